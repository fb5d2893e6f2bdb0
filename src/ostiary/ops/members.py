"""Members of a pool: create, read, change, delete, and all at once."""

from collections.abc import Mapping, Sequence
from typing import Any

from ostiary.errors import Conflict, Invalid, NotFound
from ostiary.ids import new_id
from ostiary.model.fields import traits
from ostiary.model.pool import Member, Pool
from ostiary.model.query import Page, Query
from ostiary.ops.asking import asks
from ostiary.ops.caller import Caller
from ostiary.ops.change import change, touch_pool
from ostiary.ops.edit import edited
from ostiary.ops.meanwhile import refuse_if_overtaken
from ostiary.ops.system import System
from ostiary.store.kinds import MEMBER, POOL
from ostiary.store.store import Reader, Transaction


@asks()
def create(system: System, caller: Caller, pool_id: str, member: Member) -> Member:
    """Add a member to a pool."""
    with change(system, caller, "member:create") as transaction:
        pool = transaction.require(POOL, pool_id)
        stored = add(transaction, pool, member)
        touch_pool(transaction, pool_id, pool.loadbalancer_id)
        return stored


def get(system: System, caller: Caller, pool_id: str, member_id: str) -> Member:
    """One member. Raises `NotFound`."""
    caller.must("member:read")
    with system.store.read() as reader:
        return _require(reader, pool_id, member_id)


def find(system: System, caller: Caller, pool_id: str, query: Query) -> Page[Member]:
    """Members of a pool that match."""
    caller.must("member:read")
    with system.store.read() as reader:
        reader.require(POOL, pool_id)
        return reader.find(MEMBER, query, pool_id=pool_id)


@asks(changes=Member)
def update(
    system: System, caller: Caller, pool_id: str, member_id: str, changes: Mapping[str, Any], *, since: int | None = None
) -> Member:
    """Change a member. `since` as in `listeners.update`."""
    with change(system, caller, "member:update") as transaction:
        pool = transaction.require(POOL, pool_id)
        before = _require(transaction, pool_id, member_id)
        refuse_if_overtaken(transaction, MEMBER, before, since)
        stored = transaction.replace(MEMBER, before, edited(before, changes))
        touch_pool(transaction, pool_id, pool.loadbalancer_id)
        return stored


@asks()
def delete(system: System, caller: Caller, pool_id: str, member_id: str) -> None:
    """Remove a member."""
    with change(system, caller, "member:delete") as transaction:
        pool = transaction.require(POOL, pool_id)
        transaction.delete(MEMBER, _require(transaction, pool_id, member_id))
        touch_pool(transaction, pool_id, pool.loadbalancer_id)


@asks()
def replace(
    system: System, caller: Caller, pool_id: str, members: Sequence[Member], *, additive_only: bool = False
) -> tuple[Member, ...]:
    """Make these the pool's members: known addresses are changed, new ones added, others removed unless `additive_only`."""
    places = given_once(members)
    with change(system, caller, "member:replace") as transaction:
        pool = transaction.require(POOL, pool_id)
        known = {(member.address, member.protocol_port): member for member in transaction.all(MEMBER, pool_id=pool_id)}
        kept = tuple(
            _change(transaction, known[place], member) if place in known else add(transaction, pool, member)
            for place, member in places.items()
        )
        if not additive_only:
            for place, member in known.items():
                if place not in places:
                    transaction.delete(MEMBER, member)
        touch_pool(transaction, pool_id, pool.loadbalancer_id)
        return kept


def add(transaction: Transaction, pool: Pool, member: Member) -> Member:
    """Put a member into a pool."""
    for other in transaction.all(MEMBER, pool_id=pool.id, address=member.address, protocol_port=member.protocol_port):
        raise Conflict(
            f"pool {pool.id} already has member {other.id} at {member.address} port {member.protocol_port}.", "protocol_port"
        )
    its = {"id": new_id(), "pool_id": pool.id, "project_id": member.project_id or pool.project_id}
    return transaction.insert(MEMBER, member.model_copy(update=its))


def given_once(members: Sequence[Member]) -> dict[tuple[str, int], Member]:
    """Members by address and port. Raises `Invalid` when two of them are at the same one."""
    places: dict[tuple[str, int], Member] = {}
    for position, member in enumerate(members):
        place = (member.address, member.protocol_port)
        if place in places:
            raise Invalid(f"members.{position}", f"{place[0]} port {place[1]} is given twice")
        places[place] = member
    return places


def _change(transaction: Transaction, before: Member, wanted: Member) -> Member:
    settable = {name for name, field in Member.model_fields.items() if not traits(field)}
    after = before.model_copy(update={name: getattr(wanted, name) for name in settable})
    return before if after == before else transaction.replace(MEMBER, before, after)


def _require(reader: Reader, pool_id: str, member_id: str) -> Member:
    member = reader.require(MEMBER, member_id)
    if member.pool_id != pool_id:
        raise NotFound(MEMBER.title, member_id)
    return member
