"""Pools: create, read, change, delete."""

from collections.abc import Iterable, Mapping
from typing import Any

from ostiary.errors import Conflict, Invalid
from ostiary.ids import new_id
from ostiary.model.health import HealthMonitor
from ostiary.model.pool import Member, Pool
from ostiary.model.query import Page, Query
from ostiary.model.rules import pool_fits, pool_is_coherent
from ostiary.model.whole import WholePool, pools_are_not_too_large
from ostiary.ops import members, monitors
from ostiary.ops.asking import asks
from ostiary.ops.caller import Caller
from ostiary.ops.change import change, touch_balancer, touch_pool
from ostiary.ops.edit import edited
from ostiary.ops.material import check_pool
from ostiary.ops.meanwhile import refuse_if_overtaken
from ostiary.ops.system import System
from ostiary.ops.within import within
from ostiary.store.kinds import HEALTH_MONITOR, LISTENER, LOAD_BALANCER, MEMBER, POOL
from ostiary.store.store import Transaction


@asks()
def create(
    system: System,
    caller: Caller,
    pool: Pool,
    listener_id: str | None = None,
    *,
    with_members: Iterable[Member] = (),
    with_monitor: HealthMonitor | None = None,
) -> Pool:
    """Add a pool, with what is to hang on it, to a load balancer, or to a listener as its default pool."""
    whole = WholePool(pool=pool, members=tuple(with_members), healthmonitor=with_monitor)
    pools_are_not_too_large([("members", whole)])
    must_for_parts(caller, [whole])
    with change(system, caller, "pool:create") as transaction:
        listener = None
        if listener_id is not None:
            listener = transaction.get(LISTENER, listener_id)
            if listener is None:
                raise Invalid("listener_id", f"there is no listener {listener_id}")
            if listener.default_pool_id is not None:
                raise Conflict(f"listener {listener_id} already has default pool {listener.default_pool_id}.", "listener_id")
            if pool.loadbalancer_id not in {"", listener.loadbalancer_id}:
                raise Invalid("loadbalancer_id", f"listener {listener_id} belongs to {listener.loadbalancer_id}")
        stored = add(transaction, system, whole, listener.loadbalancer_id if listener else pool.loadbalancer_id)
        touch_balancer(transaction, stored.loadbalancer_id)
        if listener is not None:
            pool_fits(listener, stored, "protocol")
            transaction.replace(LISTENER, listener, listener.model_copy(update={"default_pool_id": stored.id}))
        return stored


def add(transaction: Transaction, system: System, whole: WholePool, balancer_id: str) -> Pool:
    """Put a pool at a load balancer, then its members and monitor at the pool."""
    if not balancer_id:
        raise Invalid("loadbalancer_id", "a pool needs a loadbalancer_id or a listener_id")
    balancer = transaction.get(LOAD_BALANCER, balancer_id)
    if balancer is None:
        raise Invalid("loadbalancer_id", f"there is no load balancer {balancer_id}")
    its = {"id": new_id(), "loadbalancer_id": balancer_id, "project_id": whole.pool.project_id or balancer.project_id}
    pool = whole.pool.model_copy(update=its)
    pool_is_coherent(pool)
    check_pool(transaction, system, pool)
    stored = transaction.insert(POOL, pool)
    for position, member in enumerate(members.given_once(whole.members).values()):
        with within(f"members.{position}"):
            members.add(transaction, stored, member)
    if whole.healthmonitor is not None:
        with within("healthmonitor"):
            monitors.add(transaction, whole.healthmonitor.model_copy(update={"pool_id": stored.id}))
    return stored


def must_for_parts(caller: Caller, pools: Iterable[WholePool]) -> None:
    """Raises `Denied` unless this caller may also create what these pools bring with them."""
    for pool in pools:
        if pool.members:
            caller.must("member:create")
        if pool.healthmonitor is not None:
            caller.must("healthmonitor:create")


def get(system: System, caller: Caller, pool_id: str) -> Pool:
    """One pool. Raises `NotFound`."""
    caller.must("pool:read")
    with system.store.read() as reader:
        return reader.require(POOL, pool_id)


def find(system: System, caller: Caller, query: Query) -> Page[Pool]:
    """Pools that match."""
    caller.must("pool:read")
    with system.store.read() as reader:
        return reader.find(POOL, query)


@asks(changes=Pool)
def update(system: System, caller: Caller, pool_id: str, changes: Mapping[str, Any], *, since: int | None = None) -> Pool:
    """Change a pool. `since` as in `listeners.update`."""
    with change(system, caller, "pool:update") as transaction:
        before = transaction.require(POOL, pool_id)
        refuse_if_overtaken(transaction, POOL, before, since)
        after = edited(before, changes)
        pool_is_coherent(after)
        check_pool(transaction, system, after, before)
        stored = transaction.replace(POOL, before, after)
        touch_pool(transaction, pool_id, stored.loadbalancer_id)
        return stored


@asks()
def delete(system: System, caller: Caller, pool_id: str) -> None:
    """Remove a pool with its members and monitor; listeners that used it have no default pool then."""
    with change(system, caller, "pool:delete") as transaction:
        pool = transaction.require(POOL, pool_id)
        for listener in transaction.all(LISTENER, default_pool_id=pool_id):
            transaction.replace(LISTENER, listener, listener.model_copy(update={"default_pool_id": None}))
        remove(transaction, pool)
        touch_balancer(transaction, pool.loadbalancer_id)


def remove(transaction: Transaction, pool: Pool) -> None:
    """Take a pool that no listener uses, and what hangs on it, out of the store."""
    for monitor in transaction.all(HEALTH_MONITOR, pool_id=pool.id):
        transaction.delete(HEALTH_MONITOR, monitor)
    for member in transaction.all(MEMBER, pool_id=pool.id):
        transaction.delete(MEMBER, member)
    transaction.delete(POOL, pool)
