"""What travels to an Envoy: named, versioned resources, and the whole set of them at one revision."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

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


class Step(NamedTuple):
    """How resources came about from those `before`: which are others, appeared or went, and whose owners are others."""

    before: Mapping[Key, Resource]
    changed: frozenset[Key]
    moved: frozenset[Key]


class Versions(Mapping[Key, str]):
    """The versions of resources, without a copy of them all."""

    def __init__(self, resources: Mapping[Key, Resource]) -> None:
        self._resources = resources

    def __getitem__(self, key: Key) -> str:
        return self._resources[key].version

    def __iter__(self) -> Iterator[Key]:
        return iter(self._resources)

    def __len__(self) -> int:
        return len(self._resources)


@dataclass(frozen=True)
class Snapshot:
    """Everything a gateway should have at one revision. Never changes once built.

    `step`: where they differ from those of another snapshot, so that whoever has those need not compare.
    """

    revision: int = 0
    resources: Mapping[Key, Resource] = field(default_factory=lambda: MappingProxyType({}))
    step: Step | None = field(default=None, compare=False, repr=False)

    def changed(self, before: Mapping[Key, Resource]) -> frozenset[Key]:
        """Which resources are others than in `before`, or are there in one of the two only."""
        if self.step is not None and self.step.before is before:
            return self.step.changed
        here = self.resources
        others = [(key, before.get(key), one) for key, one in here.items() if before.get(key) is not one]
        return frozenset(key for key, was, one in others if was is None or was.version != one.version) | (
            before.keys() - here.keys()
        )
