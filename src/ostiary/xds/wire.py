"""Between our words and Envoy's protobuf messages. Only here does the conversation meet protobuf."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import any_pb2, message, struct_pb2
from google.rpc import status_pb2

from ostiary.envoy.resources import Resource
from ostiary.errors import Invalid
from ostiary.xds.stream import Request, Send

ADS: Final = "envoy.service.discovery.v3.AggregatedDiscoveryService"
DELTA: Final = "DeltaAggregatedResources"
REPORTS: Final = "ostiary.gateway.v1.Reports"
REPORT: Final = "Report"
SEEN: Final = "Seen"
DENIED: Final = "Denied"
REHEARSED: Final = "Rehearsed"
NUMBERS: Final = "Numbers"
STREAMS: Final = "Streams"

# Certificates with their chains and CRLs travel in one message each; gRPC's default of 4 MiB is too little for a large CRL. The
# lists of a million revoked certificates take 70 MiB (docs/decisions/0016-lists-that-end.md).
MESSAGE_LIMIT: Final = 256 * 1024 * 1024
OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ("grpc.so_reuseport", 0),
)

_REFUSED: Final = 13  # google.rpc.Code.INTERNAL, which Envoy uses too; only the message is ever read.
_LONGEST_WORDS: Final = 4096
# Protobuf marks such text ("goo.gle/debugstr", "goo.gle/debugproto"). Envoy puts its reason behind it; where
# the end is not plain, all that follows is left out.
_QUOTED: Final = re.compile(r"goo\.gle/debug.*?(?:\n\}\s*: (?=[^\n]*\Z)|\Z)", re.DOTALL)


def read_request(data: bytes) -> tuple[str, Request]:
    """A DeltaDiscoveryRequest: the sender's node id (often empty after the first message of a stream), and what it says."""
    heard = discovery_pb2.DeltaDiscoveryRequest.FromString(data)
    error = discreet(heard.error_detail.message) or "refused without a word" if heard.HasField("error_detail") else None
    request = Request(
        type_url=heard.type_url,
        subscribe=tuple(heard.resource_names_subscribe),
        unsubscribe=tuple(heard.resource_names_unsubscribe),
        initial_versions=dict(heard.initial_resource_versions),
        nonce=heard.response_nonce,
        error=error,
    )
    return heard.node.id, request


def discreet(words: str) -> str:
    """Envoy's words without the whole resource that it likes to quote: of a secret, that would show the private key."""
    return _QUOTED.sub("", words)[:_LONGEST_WORDS].strip()


def write_request(node_id: str, request: Request) -> bytes:
    """A DeltaDiscoveryRequest from a node."""
    said = discovery_pb2.DeltaDiscoveryRequest(
        node=base_pb2.Node(id=node_id),
        type_url=request.type_url,
        resource_names_subscribe=request.subscribe,
        resource_names_unsubscribe=request.unsubscribe,
        initial_resource_versions=dict(request.initial_versions),
        response_nonce=request.nonce,
    )
    if request.error is not None:
        said.error_detail.CopyFrom(status_pb2.Status(code=_REFUSED, message=request.error))
    return bytes(said.SerializeToString())


def write_send(send: Send) -> bytes:
    """A DeltaDiscoveryResponse."""
    said = discovery_pb2.DeltaDiscoveryResponse(
        type_url=send.type_url,
        nonce=send.nonce,
        resources=[_resource(resource) for resource in send.resources],
        removed_resources=send.removed,
    )
    return bytes(said.SerializeToString())


def read_send(data: bytes) -> Send:
    """What a DeltaDiscoveryResponse says. Owners do not travel: nobody but the control plane asks for them."""
    heard = discovery_pb2.DeltaDiscoveryResponse.FromString(data)
    return Send(heard.type_url, heard.nonce, tuple(_taken(one) for one in heard.resources), tuple(heard.removed_resources))


def dump(resources: Iterable[Resource]) -> bytes:
    """Resources as bytes, to be kept."""
    return bytes(discovery_pb2.DeltaDiscoveryResponse(resources=map(_resource, resources)).SerializeToString())


def load(data: bytes) -> tuple[Resource, ...]:
    """The resources in what `dump` made. Raises `Invalid` for anything else."""
    try:
        return tuple(_taken(one) for one in discovery_pb2.DeltaDiscoveryResponse.FromString(data).resources)
    except message.DecodeError as err:
        raise Invalid("resources", "not a list of resources") from err


def write_report(report: dict[str, Any]) -> bytes:
    """A report as google.protobuf.Struct: JSON's types, numbers as doubles."""
    said = struct_pb2.Struct()
    said.update(report)
    return bytes(said.SerializeToString())


def read_report(data: bytes) -> dict[str, Any]:
    """What a report says, as plain dicts and lists."""
    return {name: _plain(value) for name, value in struct_pb2.Struct.FromString(data).fields.items()}


def write_seen(gateway_id: str, batch: dict[str, Any]) -> bytes:
    """Who was seen or refused, as JSON: there may be thousands, and a Struct takes ten times as long."""
    return json.dumps({**batch, "gateway": gateway_id}).encode()


def read_seen(data: bytes) -> tuple[str, dict[str, Any]]:
    """Which gateway tells, and what; empty for anything that is not in this form."""
    try:
        batch = dict(json.loads(data))
    except (ValueError, TypeError, RecursionError):
        return "", {}
    return str(batch.pop("gateway", "")), batch


def write_ends(why: Mapping[int, str]) -> bytes:
    """Which streams are to end, by the keeper's number of each, and why."""
    return json.dumps(why).encode()


def read_ends(data: bytes) -> dict[int, str]:
    """What `write_ends` wrote."""
    return {int(number): str(reason) for number, reason in json.loads(data).items()}


def _resource(resource: Resource) -> Any:
    return discovery_pb2.Resource(
        name=resource.name,
        version=resource.version,
        resource=any_pb2.Any(type_url=resource.type_url, value=resource.body),
    )


def _taken(heard: Any) -> Resource:
    # A version is what its bytes say (ostiary.envoy.resources.pack): two that differ can never pass for one.
    body = heard.resource.value
    return Resource(heard.resource.type_url, heard.name, heard.version or hashlib.sha256(body).hexdigest()[:32], body)


def _plain(value: Any) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return {name: _plain(inner) for name, inner in value.struct_value.fields.items()}
        case "list_value":
            return [_plain(inner) for inner in value.list_value.values]
        case "null_value" | None:
            return None
        case kind:
            return getattr(value, kind)
