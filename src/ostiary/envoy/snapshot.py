"""Translate what is desired, whole, into everything an Envoy should have. Pure: equal input, equal bytes."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Final, Literal

from ostiary.access.policy import policy, uses_members
from ostiary.envoy import access, house_doors, names, secret
from ostiary.envoy.cluster import cluster
from ostiary.envoy.downstream_tls import client_trust
from ostiary.envoy.endpoint import endpoint
from ostiary.envoy.listener import listener
from ostiary.envoy.resources import CLUSTER, ENDPOINT, LISTENER, ORDER, ROUTE, SECRET, Key, Resource, Snapshot, pack
from ostiary.envoy.route import route
from ostiary.envoy.upstream_tls import member_identity, member_trust
from ostiary.kept import Kept
from ostiary.model.desired import Desired, DesiredHouseDoor, DesiredListener, DesiredPool
from ostiary.model.tls import Trust

_LONG: Final = Kept(64)
_LONG_FROM: Final = 64 * 1024
_CONNECT_TIMEOUT = 5_000  # When no listener says how long a member may take to accept a connection.


def snapshot(desired: Desired) -> Snapshot:
    """Everything an Envoy should have. Raises `Invalid` for what cannot be translated safely.

    It is whole: whatever one resource refers to by name is there, but a listener may stand without its pool.
    """
    pools = {each.pool.id: each for each in desired.pools}
    made = _once(
        (
            *(resource for each in desired.listeners for resource in _of_listener(each, pools, desired)),
            *(resource for each in desired.pools for resource in _of_pool(each, _connect_timeout(each, desired))),
            *(resource for each in desired.doors for resource in _of_house_door(each, desired)),
        )
    )
    in_order = sorted(made.items(), key=lambda item: (ORDER.index(item[0][0]), item[0][1]))
    return Snapshot(desired.revision, MappingProxyType(dict(in_order)))


def _of_listener(desired: DesiredListener, pools: dict[str, DesiredPool], whole: Desired) -> Iterator[Resource]:
    given = desired.listener
    owners = (given.id, given.loadbalancer_id)
    default = pools.get(given.default_pool_id or "")
    pool = default.pool if default else None
    yield pack(LISTENER, names.listener(given.id), listener(desired, pool), owners)
    if given.is_http:
        roster = whole.roster if uses_members(desired) else None
        its = policy(desired, whole.denied, whole.retired)
        yield pack(ROUTE, names.route(given.id), route(desired, pool, its, roster), owners)
        if given.is_tls:
            yield access.members(given.id, roster.settled if roster else None, owners)
    yield from _of_tls(desired, owners)


def _of_tls(desired: DesiredListener, owners: tuple[str, ...]) -> Iterator[Resource]:
    identities = desired.identities if desired.listener.is_tls else ()
    for place, identity in enumerate(identities):
        field = "sni_container_refs" if place else "default_tls_container_ref"
        yield pack(SECRET, identity.name, secret.identity(identity, field), owners)
    asked_for = client_trust(desired)
    if asked_for is not None:
        yield _trust(asked_for, "client_", owners)


def _of_pool(desired: DesiredPool, connect_timeout: int) -> Iterator[Resource]:
    pool, monitor = desired.pool, desired.health_monitor
    monitor_ids = (monitor.id,) if monitor else ()
    owners = (pool.id, pool.loadbalancer_id, *monitor_ids, *(member.id for member in desired.members))
    yield pack(CLUSTER, names.pool(pool.id), cluster(desired, connect_timeout), owners)
    yield pack(ENDPOINT, names.pool(pool.id), endpoint(desired), owners)
    identity, trust = member_identity(desired), member_trust(desired)
    if identity is not None:
        yield pack(SECRET, identity.name, secret.identity(identity, "tls_container_ref"), owners)
    if trust is not None:
        yield _trust(trust, "", owners)


def _trust(given: Trust, side: Literal["client_", ""], owners: tuple[str, ...]) -> Resource:
    """What is long is written once for all who use it, and for as long as it stays the same: it may have 70 MiB."""
    name = f"{side}{given.name}"
    known: tuple[Trust, Resource] | None = _LONG.get(name)
    if known is not None and known[0] == given:
        return replace(known[1], owners=frozenset(owners))
    made = pack(SECRET, given.name, secret.trust(given, side), owners)
    if len(made.body) >= _LONG_FROM:
        _LONG.keep(name, (given, made))
    return made


def _of_house_door(desired: DesiredHouseDoor, whole: Desired) -> Iterator[Resource]:
    door, owners = house_doors.as_listener(desired), (desired.kind,)
    its = policy(door, whole.denied, whole.retired)
    yield pack(CLUSTER, names.house(desired.kind), house_doors.cluster(desired), owners)
    yield pack(LISTENER, names.listener(desired.kind), listener(door, None), owners)
    yield pack(ROUTE, names.route(desired.kind), house_doors.route(desired.kind, door, its), owners)
    yield access.members(desired.kind, None, owners)
    yield from _of_tls(door, owners)


def _connect_timeout(desired: DesiredPool, whole: Desired) -> int:
    """A pool has one, and listeners set it: the most patient of those that use the pool decides."""
    users = (each.listener for each in whole.listeners if each.listener.default_pool_id == desired.pool.id)
    return max((user.timeout_member_connect for user in users), default=0) or _CONNECT_TIMEOUT


def _once(resources: Iterable[Resource]) -> dict[Key, Resource]:
    """Each name once, owned by all who use it."""
    made: dict[Key, Resource] = {}
    for resource in resources:
        known = made.get(resource.key, resource)
        if known.version != resource.version:
            raise ValueError(f"two different resources are called {resource.name}")
        made[resource.key] = Resource(
            resource.type_url, resource.name, resource.version, resource.body, known.owners | resource.owners
        )
    return made
