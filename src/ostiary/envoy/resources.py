"""What travels to an Envoy: named, versioned resources, and the whole set of them at one revision."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

_PREFIX = "type.googleapis.com/envoy.config."
CLUSTER: Final = _PREFIX + "cluster.v3.Cluster"
ENDPOINT: Final = _PREFIX + "endpoint.v3.ClusterLoadAssignment"
LISTENER: Final = _PREFIX + "listener.v3.Listener"
ROUTE: Final = _PREFIX + "route.v3.RouteConfiguration"
EXTENSION: Final = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
SECRET: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 (a type, not a password)

# Make before break: what is referred to goes out before what refers to it (xDS protocol, "eventual consistency").
ORDER: Final = (CLUSTER, ENDPOINT, LISTENER, EXTENSION, ROUTE, SECRET)

Key = tuple[str, str]  # (type URL, name)


@dataclass(frozen=True)
class Resource:
    """One xDS resource. `version` is a hash of its bytes, so equal content has equal versions everywhere.

    `owners` are the ids of the load balancers, listeners, pools, … that it carries out: their status is its status.
    """

    type_url: str
    name: str
    version: str
    body: bytes = field(repr=False)  # may hold private keys
    owners: frozenset[str] = frozenset()

    @property
    def key(self) -> Key:
        """What identifies it within a snapshot."""
        return (self.type_url, self.name)


def pack(type_url: str, name: str, message: Any, owners: Iterable[str] = ()) -> Resource:
    """Freeze a protobuf message into a resource; deterministic bytes, content-hash version."""
    body = message.SerializeToString(deterministic=True)
    return Resource(type_url, name, hashlib.sha256(body).hexdigest()[:32], body, frozenset(owners))


@dataclass(frozen=True)
class Snapshot:
    """Everything a gateway should have at one revision. Never changes once built."""

    revision: int = 0
    resources: Mapping[Key, Resource] = field(default_factory=lambda: MappingProxyType({}))
