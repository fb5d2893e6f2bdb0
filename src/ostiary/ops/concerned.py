"""What a change can have made impossible to carry out: the listeners and pools that hang on it, and nothing else.

Everything that is committed was translated before it was; so of a change only that has to be tried whose translation is made of
something that it changed. A test lets changes happen by chance, and sees that whatever came out as something else had been tried
(tests/ops/test_what_has_not_changed.py).
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from ostiary.model.desired import Desired
from ostiary.ops.system import System
from ostiary.store import uses
from ostiary.store.desired import in_service
from ostiary.store.kinds import (
    ACCESS_EXCEPTION,
    ACCESS_RULE,
    AUTHORITY,
    BY_NAME,
    CONTAINER,
    HEALTH_MONITOR,
    LISTENER,
    LOAD_BALANCER,
    MEMBER,
    POOL,
    ROTATION,
    SECRET,
    Kind,
)
from ostiary.store.lists import Unread
from ostiary.store.material import Materials
from ostiary.store.store import Change, Reader, Transaction

Found = tuple[Kind[Any], str]
# By which field a thing says to which other it belongs.
_BELONGS: Final[dict[str, tuple[Kind[Any], str]]] = {
    MEMBER.name: (POOL, "pool_id"),
    HEALTH_MONITOR.name: (POOL, "pool_id"),
    ACCESS_RULE.name: (LISTENER, "listener_id"),
    ACCESS_EXCEPTION.name: (LISTENER, "listener_id"),
}
_ITSELF: Final[dict[str, Kind[Any]]] = {LISTENER.name: LISTENER, POOL.name: POOL}


def concerned(system: System, transaction: Transaction) -> Desired:
    """The listeners and pools that the changes of this transaction concern, as they would be in service.

    Raises `Invalid` as `store.desired` does. Whom revocations shut out is left aside: that can always be carried out.
    """
    found = {one for change in transaction.changed for one in _of(transaction, change)}
    listeners = {thing_id for kind, thing_id in found if kind is LISTENER}
    pools = {thing_id for kind, thing_id in found if kind is POOL}
    for pool_id in pools:
        listeners |= set(transaction.ids(LISTENER, default_pool_id=pool_id))
    reader = _only(transaction, listeners, pools)
    doors, behind = in_service(reader, Materials(reader, system.sealer), transaction.at, Unread())
    return Desired(listeners=doors, pools=behind)


def _of(reader: Reader, change: Change) -> Iterator[Found]:
    """What is made of a thing that changed. What `store.desired` does not read at all concerns nobody."""
    if change.kind in _ITSELF:
        yield _ITSELF[change.kind], change.resource_id
    elif change.kind in _BELONGS:
        kind, field = _BELONGS[change.kind]
        yield from ((kind, document[field]) for document in (change.before, change.after) if document is not None)
    elif change.kind == LOAD_BALANCER.name:
        for kind in _ITSELF.values():
            yield from ((kind, thing_id) for thing_id in reader.ids(kind, loadbalancer_id=change.resource_id))
    elif change.kind in {SECRET.name, CONTAINER.name}:
        yield from _holding(reader, change.resource_id)
    elif change.kind in {AUTHORITY.name, ROTATION.name}:
        yield from _one_of_each(reader)


def _holding(reader: Reader, target_id: str) -> Iterator[Found]:
    """The listeners and pools that refer to it, themselves or by a container."""
    for kind_name, holder_id, _ in reader.holders(target_id):
        if kind_name == CONTAINER.name:
            yield from _holding(reader, holder_id)
        elif kind_name in _ITSELF:
            yield _ITSELF[kind_name], holder_id


def _one_of_each(reader: Reader) -> Iterator[Found]:
    """One of those that trust the same, of all there is to trust; and all whose rules may name an authority.

    What authorities come to is the same for all who refer to the same: thousands of listeners may.
    """
    yield from ((_ITSELF[kind_name], holder_id) for kind_name, holder_id in uses.one_of_each(reader, tuple(_ITSELF)))
    yield from ((LISTENER, listener_id) for listener_id in uses.with_rules(reader))


def _only(transaction: Transaction, listener_ids: Iterable[str], pool_ids: Iterable[str]) -> Reader:
    """A reader that knows of these listeners and pools only, with all that belongs to them."""
    reader = Reader(transaction.connection)
    listeners = _those(reader, LISTENER, listener_ids)
    pools = _those(reader, POOL, {*pool_ids, *(one.default_pool_id for one in listeners if one.default_pool_id)})
    balancers = _those(reader, LOAD_BALANCER, {one.loadbalancer_id for one in (*listeners, *pools)})
    reader.lend(LISTENER, listeners)
    reader.lend(POOL, pools)
    reader.lend(LOAD_BALANCER, balancers)
    for name, (owner, field) in _BELONGS.items():
        owners = pools if owner is POOL else listeners
        kind: Kind[Any] = BY_NAME[name]
        reader.lend(kind, tuple(one for each in owners for one in reader.all(kind, **{field: each.id})))
    return reader


def _those(reader: Reader, kind: Kind[Any], ids: Iterable[str]) -> tuple[Any, ...]:
    return tuple(one for thing_id in sorted(ids) if (one := reader.get(kind, thing_id)) is not None)
