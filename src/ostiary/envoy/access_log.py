"""Envoy is asked to tell of every request and every connection, as OpenTelemetry records to the keeper beside it.

Requests are told by the HTTP manager, at their end, every few seconds of a long one, and as soon as it is a WebSocket;
connections by the listener, at their end: only the latter knows why a handshake failed. A listener's message cannot change
without closing its connections, so what is told there hangs on no setting.
"""

from collections.abc import Iterable
from typing import Any, Final

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import grpc_service_pb2
from envoy.extensions.access_loggers.open_telemetry.v3 import logs_service_pb2
from opentelemetry.proto.common.v1 import common_pb2

from ostiary.envoy import access, names, noted, records, wire
from ostiary.envoy.records import COLLECTOR, Kind
from ostiary.model.listener import Listener

# Of OpenTelemetryAccessLogConfig, and not in xds-protos 1.85, which has only the field that this one replaces (and Envoy calls
# deprecated). Protobuf never gives a number to another field.
_GRPC_SERVICE: Final = 9


def of_connections(listener_id: str, *, is_tls: bool) -> Any:
    """What is told of a listener's connections (AccessLog). The same whatever its settings."""
    ours, theirs = records.FIELDS["connection"]
    return _access_log(listener_id, "connection", (ours | theirs).values(), **({records.IS_TLS: "yes"} if is_tls else {}))


def of_requests(listener: Listener) -> Any:
    """What is told of a listener's requests (AccessLog)."""
    ours, theirs = records.FIELDS["request"]
    fields = ours | theirs | {"trust_revision": str(listener.trust_revision)}
    if listener.id in names.HOUSE:
        fields |= {"path": records.NOTHING}  # it may hold a secret, which is good for a certificate, or signs in
    if listener.client_authentication == "NONE":
        return _access_log(listener.id, "request", (fields | _NO_CERTIFICATE).values())
    whole = listener.client_authentication == "REHEARSAL"
    fields |= {"rehearsed": access.told_of_rehearsals(whole=whole)}
    fields |= {"certificate": noted.told(noted.PEM) if whole else records.NOTHING}
    text = records.BETWEEN.join(fields.values())
    for alike, key in ((records.CONNECTION, noted.CONNECTION), (records.DETAILS, noted.DETAILS)):
        text = text.replace(alike, noted.told(key))
    return _access_log(listener.id, "request", [text])


_NO_CERTIFICATE: Final = dict.fromkeys(("fingerprint", *records.CERTIFICATE, *records.THEIR_NAMES), records.NOTHING)


def _access_log(listener_id: str, kind: Kind, fields: Iterable[str], **about: str) -> Any:
    """Where one listener's records of one kind go: together, each second or 16 KiB."""
    attributes = {"listener": listener_id, "kind": kind, **about}
    config = logs_service_pb2.OpenTelemetryAccessLogConfig(
        disable_builtin_labels=True,
        resource_attributes=common_pb2.KeyValueList(values=[_text(*one) for one in attributes.items()]),
        body=common_pb2.AnyValue(string_value=records.BETWEEN.join(fields)),
    )
    service = grpc_service_pb2.GrpcService(envoy_grpc=grpc_service_pb2.GrpcService.EnvoyGrpc(cluster_name=COLLECTOR))
    config.MergeFromString(wire.field(_GRPC_SERVICE, service))
    return accesslog_pb2.AccessLog(name="envoy.access_loggers.open_telemetry", typed_config=wire.packed(config))


def _text(key: str, value: str) -> Any:
    return common_pb2.KeyValue(key=key, value=common_pb2.AnyValue(string_value=value))
