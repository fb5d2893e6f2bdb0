"""Filters whose content travels apart from listeners and routes (extension discovery, ECDS): it may be long, or shared by many.

Such a filter stands in the chain and is there only for requests whose routes ask for it (`ASKED`). A listener waits for the
content before it serves; where there should be none all the same, Envoy answers 500 and asks no member.
"""

from collections.abc import Iterable
from typing import Any, Final

from envoy.config.core.v3 import config_source_pb2, extension_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from google.protobuf import any_pb2

from ostiary.envoy import wire
from ostiary.envoy.resources import EXTENSION, Resource, pack

# In routes, by the filter's name: that they want it, and bring nothing of their own for it.
ASKED: Final = wire.packed(route_components_pb2.FilterConfig(config=any_pb2.Any()))
_RBAC: Final = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"


def waiting(name: str) -> Any:
    """The filter as it stands in the chain (HttpFilter). All listeners that name the same share one subscription."""
    source = config_source_pb2.ExtensionConfigSource(config_source=wire.ads(), type_urls=[_RBAC])
    return http_connection_manager_pb2.HttpFilter(name=name, config_discovery=source, disabled=True)


def content(name: str, rbac: bytes, owners: Iterable[str]) -> Resource:
    """What it does (TypedExtensionConfig): an RBAC in its final form; without octets nothing."""
    config = wire.packed_octets(http_rbac_pb2.RBAC, rbac)
    return pack(EXTENSION, name, extension_pb2.TypedExtensionConfig(name=name, typed_config=config), owners)


def with_matcher(rbac: Any, field: str, matcher: bytes) -> bytes:
    """An RBAC with a matcher that is in its final form; never read again, for that takes seconds when it is long."""
    octets: bytes = rbac.SerializeToString(deterministic=True)
    return octets + wire.content(rbac.DESCRIPTOR.fields_by_name[field].number, matcher)
