"""What the gateways have: the view that every status is derived from. Never stored, so a crash cannot leave it wrong."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

from ostiary.envoy.resources import LISTENER, Key, Resource, Snapshot
from ostiary.model.desired import Desired, DesiredPool
from ostiary.model.listener import Listener

T = TypeVar("T")


def _nothing() -> Mapping[Any, Any]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Gateway:
    """One Envoy as last heard of. `rejected` holds, for each refused resource, the version and the engine's own words."""

    id: str
    connected: bool = False
    last_contact: datetime | None = None
    accepted: Mapping[Key, str] = field(default_factory=_nothing)
    rejected: Mapping[Key, tuple[str, str]] = field(default_factory=_nothing)
    report: Mapping[str, Any] = field(default_factory=_nothing)  # what its keeper tells: versions, counters, health of members


@dataclass(frozen=True)
class Wanted:
    """What every gateway should have, and which resources carry out which id."""

    desired: Desired = field(default_factory=Desired)
    snapshot: Snapshot = field(default_factory=Snapshot)
    keys: Mapping[str, tuple[Key, ...]] = field(default_factory=_nothing)  # of resources, by the id that they carry out
    _left_open: dict[str, tuple[Mapping[Key, str], bool]] = field(default_factory=dict, compare=False, repr=False)

    def owned(self, owner: str) -> tuple[Resource, ...]:
        """The resources that carry out this id."""
        return tuple(self.snapshot.resources[key] for key in self.keys.get(owner, ()))

    def left_open(self, gateway: Gateway) -> bool:
        """Whether the gateway has any listener that it should not have."""
        known = self._left_open.get(gateway.id)
        if known is None or known[0] is not gateway.accepted:
            resources = self.snapshot.resources
            known = gateway.accepted, any(key[0] == LISTENER and key not in resources for key in gateway.accepted)
            self._left_open[gateway.id] = known
        return known[1]

    @cached_property
    def pools(self) -> Mapping[str, DesiredPool]:
        """By id."""
        return {one.pool.id: one for one in self.desired.pools}

    @cached_property
    def listeners(self) -> Mapping[str, tuple[Listener, ...]]:
        """By the id of their load balancer."""
        found: dict[str, list[Listener]] = {}
        for one in self.desired.listeners:
            found.setdefault(one.listener.loadbalancer_id, []).append(one.listener)
        return {balancer_id: tuple(its) for balancer_id, its in found.items()}


class Fleet:
    """Gateways and what they should have. Written by the xDS edge, read by status; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gateways: dict[str, Gateway] = {}
        self.wanted: Wanted | None = None  # None until the first translation since start
        self.changes = 0  # differs after each that a status could be derived from: whoever watches compares it
        self._derived: tuple[int, dict[Any, Any]] = 0, {}

    def want(self, desired: Desired, snapshot: Snapshot) -> None:
        """Set what every gateway should have."""
        self.wanted = Wanted(desired, snapshot, self._keys(snapshot))
        self.changes += 1

    def _keys(self, snapshot: Snapshot) -> Mapping[str, tuple[Key, ...]]:
        """By owner, what carries it out."""
        known, step = self.wanted, snapshot.step
        if known is None or step is None or step.before is not known.snapshot.resources:
            every: dict[str, list[Key]] = {}
            for key, resource in snapshot.resources.items():
                for owner in resource.owners:
                    every.setdefault(owner, []).append(key)
            return {owner: tuple(keys) for owner, keys in every.items()}
        found = dict(known.keys)
        for key in step.moved:
            before, now = (_owners(resources.get(key)) for resources in (step.before, snapshot.resources))
            for owner in before - now:
                found[owner] = tuple(one for one in found[owner] if one != key)
                if not found[owner]:
                    del found[owner]
            for owner in now - before:
                found[owner] = (*found.get(owner, ()), key)
        return found

    def heard(self, gateway_id: str, at: datetime, **seen: Any) -> None:
        """Note what was heard from or about a gateway: any of `Gateway`'s fields."""
        with self._lock:
            known = self._gateways.get(gateway_id, Gateway(gateway_id))
            told = replace(known, last_contact=at, **seen)
            self._gateways[gateway_id] = told
            # Its counters grow with every report; what statuses are made of changes seldom.
            if seen.keys() - {"report"} or told.report.get("members") != known.report.get("members"):
                self.changes += 1

    def derived(self, name: Any, make: Callable[[], T]) -> T:
        """What `make` derives from all this, as it is when it is called; kept until something of it changes."""
        of, known = self._derived
        if of != self.changes:
            of, known = self._derived = self.changes, {}
        if name not in known:
            known[name] = make()
        value: T = known[name]
        return value

    def gateways(self) -> tuple[Gateway, ...]:
        """All gateways heard of since start."""
        with self._lock:
            return tuple(self._gateways.values())

    def live(self) -> tuple[Gateway, ...]:
        """Those connected now."""
        return tuple(gateway for gateway in self.gateways() if gateway.connected)


def _owners(resource: Resource | None) -> frozenset[str]:
    return resource.owners if resource is not None else frozenset()
