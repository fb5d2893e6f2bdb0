"""Translate what is desired, whole, into everything an Envoy should have. Pure: equal input, equal bytes."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain, zip_longest
from sys import intern
from types import MappingProxyType
from typing import Any, Final, Literal

from ostiary.access.policy import policy, uses_members
from ostiary.envoy import access, denied, house_doors, names, secret
from ostiary.envoy.cluster import cluster
from ostiary.envoy.downstream_tls import client_trust
from ostiary.envoy.endpoint import endpoint
from ostiary.envoy.listener import listener
from ostiary.envoy.resources import CLUSTER, ENDPOINT, LISTENER, ORDER, ROUTE, SECRET, Key, Resource, Snapshot, Step, pack
from ostiary.envoy.route import route
from ostiary.envoy.upstream_tls import member_identity, member_trust
from ostiary.kept import Kept, Remembered, Row
from ostiary.model.desired import Desired, DesiredHouseDoor, DesiredListener, DesiredPool
from ostiary.model.pool import Pool
from ostiary.model.roster import Roster
from ostiary.model.tls import Trust

_LONG, _SHORT = Kept(64), Kept(1024)  # trusts, and what they are on the wire
_LISTS: Final = "lists"  # stands for revocation lists
_LONG_FROM: Final = 64 * 1024
_TOLD_APART: Final[frozenset[str]] = frozenset()  # of who is denied, nothing is in the routes
_Part = tuple[Hashable, tuple[Resource, ...]]  # a name, and what was made under it
_PLACE: Final = {kind: place for place, kind in enumerate(ORDER)}
_CONNECT_TIMEOUT = 5_000  # When no listener says how long a member may take to accept a connection.


class Memory:
    """What the translation before came to, so that the next one costs what has changed since. Not for several threads at once."""

    def __init__(self) -> None:
        self.shared = Remembered()  # what each translation asks for
        self.listeners, self.pools, self.doors = Row(), Row(), Row()
        self.merged = _Merged()


def snapshot(desired: Desired, memory: Memory | None = None) -> Snapshot:
    """Everything an Envoy should have. Raises `Invalid` for what cannot be translated safely.

    It is whole: whatever one resource refers to by name is there, but a listener may stand without its pool. With a `memory`,
    what was made of the very same objects before is not made again; what comes out is equal to what comes out without.
    """
    memory = memory or Memory()
    steady, listeners, pools = memory.shared.steady, memory.listeners, memory.pools
    # Sets and rows are copied where they are validated, so they are compared.
    retired, fingerprints = steady("retired", desired.retired), steady("denied", desired.denied)
    in_front = steady("in front", desired.listeners)
    plain = steady("pools", {each.pool.id: each.pool for each in desired.pools})
    patience = memory.shared.made("patience", (in_front,), partial(_connect_timeouts, desired))
    who_ask = memory.shared.made("who ask", (in_front, steady("doors", desired.doors)), partial(_who_ask, desired))

    def of_listener(each: DesiredListener) -> tuple[_Part, ...]:
        name, pool = each.listener.id, plain.get(each.listener.default_pool_id or "")
        trusted = (("trusted", name), listeners.made(("trusted", name), (each,), partial(_trusted, each, _owners(each))))
        door = listeners.made(("door", name), (each,), partial(_without_lists, each))
        itself = (name, listeners.made(name, (door, pool), partial(_of_listener, door, pool)))
        if not each.listener.is_http:
            return itself, trusted
        routes, of = ("routes", name), (door, pool, *_decided_by(door, retired, desired.roster))
        return itself, trusted, (routes, listeners.made(routes, of, partial(_of_requests, door, pool, desired)))

    def of_pool(each: DesiredPool) -> tuple[_Part, ...]:
        timeout = patience.get(each.pool.id, 0) or _CONNECT_TIMEOUT
        # As text, for equal numbers need not be the same object.
        return ((each.pool.id, pools.made(each.pool.id, (each, intern(str(timeout))), partial(_of_pool, each, timeout))),)

    def of_door(door: DesiredHouseDoor) -> tuple[_Part, ...]:
        return ((door.kind, memory.doors.made(door.kind, (door, retired), partial(_of_house_door, door, desired))),)

    rows = (
        *listeners.all(desired.listeners, (retired, desired.roster, plain), of_listener),
        *pools.all(desired.pools, (patience,), of_pool),
        *memory.doors.all(desired.doors, (retired,), of_door),
        _of_denied(who_ask, fingerprints, memory.shared),
    )
    resources, step = memory.merged.take(rows)
    memory.shared.done()
    return Snapshot(desired.revision, resources, step)


def _decided_by(desired: DesiredListener, retired: frozenset[str], roster: Roster) -> tuple[Any, ...]:
    """What decides about its requests besides its own settings: which authorities are gone, who is in a group.

    And who is denied, which is told to all listeners at once.
    """
    if desired.listener.client_authentication == "NONE":
        return ()
    return (retired, roster if uses_members(desired) else None)


def _without_lists(desired: DesiredListener) -> DesiredListener:
    """All that listener and routes are made of: of revocation lists, which may change each second, only whether there are any."""
    trust = desired.trust
    if trust is None or not trust.crls.strip():
        return desired
    return desired.model_copy(update={"trust": trust.model_copy(update={"crls": _LISTS})})


def _of_listener(desired: DesiredListener, pool: Pool | None) -> tuple[Resource, ...]:
    owners = _owners(desired)
    made = pack(LISTENER, names.listener(desired.listener.id), listener(desired, pool), owners)
    return (made, *_identities(desired, owners))


def _of_requests(desired: DesiredListener, pool: Pool | None, whole: Desired) -> tuple[Resource, ...]:
    """Its routes, and who is in which group."""
    given, its, owners = desired.listener, policy(desired, _TOLD_APART, whole.retired), _owners(desired)
    roster = whole.roster if uses_members(desired) else None
    made = pack(ROUTE, names.route(given.id), route(desired, pool, its, roster), owners)
    return (made, access.members(given.id, roster.settled if roster else None, owners)) if given.is_tls else (made,)


def _who_ask(desired: Desired) -> Mapping[bool, frozenset[str]]:
    """Who asks for the denied, or for those who would be if it were not rehearsed (True), as in `http_filters`: the owners."""
    doors = [(one.listener, _owners(one)) for one in desired.listeners]
    doors += [(house_doors.as_listener(one).listener, (one.kind,)) for one in desired.doors]
    asking = [owners for door, owners in doors if door.is_tls]
    rehearsing = [owners for door, owners in doors if door.client_authentication == "REHEARSAL"]
    return {False: frozenset(chain.from_iterable(asking)), True: frozenset(chain.from_iterable(rehearsing))}


def _of_denied(who_ask: Mapping[bool, frozenset[str]], fingerprints: frozenset[str], memory: Remembered) -> tuple[_Part, ...]:
    """Who is denied, told once to all who ask for it."""

    def part(name: str, owners: frozenset[str], *, rehearsed: bool) -> _Part:
        return name, memory.made(name, (fingerprints, owners), partial(_told, fingerprints, owners, rehearsed=rehearsed))

    return tuple(part(names.denied(rehearsed=way), owners, rehearsed=way) for way, owners in who_ask.items())


def _told(fingerprints: frozenset[str], owners: frozenset[str], *, rehearsed: bool) -> tuple[Resource, ...]:
    return (denied.table(fingerprints, owners, rehearsed=rehearsed),) if owners else ()


def _owners(desired: DesiredListener) -> tuple[str, ...]:
    return desired.listener.id, desired.listener.loadbalancer_id


def _identities(desired: DesiredListener, owners: tuple[str, ...]) -> Iterator[Resource]:
    identities = desired.identities if desired.listener.is_tls else ()
    for place, identity in enumerate(identities):
        field = "sni_container_refs" if place else "default_tls_container_ref"
        yield pack(SECRET, identity.name, secret.identity(identity, field), owners)


def _trusted(desired: DesiredListener, owners: tuple[str, ...]) -> tuple[Resource, ...]:
    """Whose clients it lets in, and who of them is revoked; nothing where no certificates are asked for."""
    asked_for = client_trust(desired)
    return (_trust(asked_for, "client_", owners),) if asked_for is not None else ()


def _of_pool(desired: DesiredPool, connect_timeout: int) -> tuple[Resource, ...]:
    pool, monitor = desired.pool, desired.health_monitor
    monitor_ids = (monitor.id,) if monitor else ()
    owners = (pool.id, pool.loadbalancer_id, *monitor_ids, *(member.id for member in desired.members))
    found = [
        pack(CLUSTER, names.pool(pool.id), cluster(desired, connect_timeout), owners),
        pack(ENDPOINT, names.pool(pool.id), endpoint(desired), owners),
    ]
    identity, trust = member_identity(desired), member_trust(desired)
    if identity is not None:
        found.append(pack(SECRET, identity.name, secret.identity(identity, "tls_container_ref"), owners))
    if trust is not None:
        found.append(_trust(trust, "", owners))
    return tuple(found)


def _trust(given: Trust, side: Literal["client_", ""], owners: tuple[str, ...]) -> Resource:
    """Written once for all who use it, and for as long as it stays the same: thousands may use it, and it may have 70 MiB."""
    name = f"{side}{given.name}"
    known: tuple[Trust, Resource] | None = _LONG.get(name) or _SHORT.get(name)
    if known is not None and known[0] == given:
        return replace(known[1], owners=frozenset(owners))
    made = pack(SECRET, given.name, secret.trust(given, side), owners)
    (_LONG if len(made.body) >= _LONG_FROM else _SHORT).keep(name, (given, made))
    return made


def _of_house_door(desired: DesiredHouseDoor, whole: Desired) -> tuple[Resource, ...]:
    door, owners = house_doors.as_listener(desired), (desired.kind,)
    its = policy(door, _TOLD_APART, whole.retired)
    return (
        pack(CLUSTER, names.house(desired.kind), house_doors.cluster(desired), owners),
        pack(LISTENER, names.listener(desired.kind), listener(door, None), owners),
        pack(ROUTE, names.route(desired.kind), house_doors.route(desired.kind, door, its), owners),
        access.members(desired.kind, None, owners),
        *_identities(door, owners),
        *_trusted(door, owners),
    )


def _connect_timeouts(desired: Desired) -> dict[str, int]:
    """By pool. A pool has one, and listeners set it: the most patient of those that use the pool decides."""
    found: dict[str, int] = {}
    for each in desired.listeners:
        if each.listener.default_pool_id is not None:
            known = found.get(each.listener.default_pool_id, 0)
            found[each.listener.default_pool_id] = max(known, each.listener.timeout_member_connect)
    return found


class _Merged:
    """The resources of all parts, each name once and owned by all who use it."""

    def __init__(self) -> None:
        self._rows: tuple[tuple[_Part, ...], ...] = ()
        self._users: dict[Key, dict[Hashable, Resource]] = {}
        self._resources: Mapping[Key, Resource] = MappingProxyType({})

    def take(self, rows: tuple[tuple[_Part, ...], ...]) -> tuple[Mapping[Key, Resource], Step]:
        """All resources in order, and where they differ from those before."""
        try:
            return self._take(rows)
        except ValueError:
            self.__init__()  # type: ignore[misc]  # begun and not ended, so nothing in it can be built on
            raise

    def _take(self, rows: tuple[tuple[_Part, ...], ...]) -> tuple[Mapping[Key, Resource], Step]:
        before, resources = self._resources, dict(self._resources)
        left, entered = _others(self._rows, rows)
        touched = dict.fromkeys((*self._leave(left), *self._enter(entered)))
        changed, moved, appeared = set(), set(), False
        for key in touched:
            was, one = before.get(key), _merged(self._users.get(key, {}).values())
            if one is None:
                resources.pop(key, None)
            elif was is None or (was.version, was.owners) != (one.version, one.owners):
                resources[key] = one
                appeared = appeared or was is None
            if (was and was.version) != (one and one.version):
                changed.add(key)
            if (was and was.owners) != (one and one.owners):
                moved.add(key)
        if appeared:
            resources = dict(sorted(resources.items(), key=_place))
        self._rows, self._resources = rows, MappingProxyType(resources)
        return self._resources, Step(before, frozenset(changed), frozenset(moved))

    def _leave(self, parts: Iterable[_Part]) -> Iterator[Key]:
        for part, made in parts:
            for resource in made:
                users = self._users.get(resource.key, {})
                users.pop(part, None)
                if not users:
                    self._users.pop(resource.key, None)
                yield resource.key

    def _enter(self, parts: Iterable[_Part]) -> Iterator[Key]:
        for part, made in parts:
            for resource in made:
                its = self._users.setdefault(resource.key, {}).setdefault(part, resource)
                if its.version != resource.version:
                    raise ValueError(f"two different resources are called {resource.name}")
                yield resource.key


def _others(before: tuple[tuple[_Part, ...], ...], now: tuple[tuple[_Part, ...], ...]) -> tuple[list[_Part], list[_Part]]:
    """The parts that are there no more, and those that were not there."""
    pairs = [(was, one) for was, one in zip_longest(before, now, fillvalue=()) if was is not one]
    left = {name: made for was, _ in pairs for name, made in was}
    entered = {name: made for _, one in pairs for name, made in one}
    both = [name for name, made in entered.items() if left.get(name) is made]
    for name in both:
        del left[name], entered[name]
    return list(left.items()), list(entered.items())


def _place(item: tuple[Key, Resource]) -> tuple[int, str]:
    (kind, name), _ = item
    return _PLACE[kind], name


def _merged(users: Iterable[Resource]) -> Resource | None:
    """One for all who use it; None where nobody does."""
    every = tuple(users)
    if not every:
        return None
    first = every[0]
    if any(one.version != first.version for one in every):
        raise ValueError(f"two different resources are called {first.name}")
    return first if len(every) == 1 else replace(first, owners=frozenset().union(*(one.owners for one in every)))
