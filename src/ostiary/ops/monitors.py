"""Health monitors: create, read, change, delete."""

from collections.abc import Mapping
from typing import Any

from ostiary.errors import Conflict, Invalid
from ostiary.ids import new_id
from ostiary.model.health import HealthMonitor
from ostiary.model.query import Page, Query
from ostiary.model.rules import monitor_is_coherent
from ostiary.ops.caller import Caller
from ostiary.ops.change import change, touch_pool
from ostiary.ops.edit import edited
from ostiary.ops.meanwhile import refuse_if_overtaken
from ostiary.ops.system import System
from ostiary.store.kinds import HEALTH_MONITOR, POOL
from ostiary.store.store import Transaction


def create(system: System, caller: Caller, monitor: HealthMonitor) -> HealthMonitor:
    """Add a monitor to a pool that has none."""
    with change(system, caller, "healthmonitor:create") as transaction:
        stored = add(transaction, monitor)
        _touch(transaction, stored)
        return stored


def add(transaction: Transaction, monitor: HealthMonitor) -> HealthMonitor:
    """Put a monitor at its pool."""
    monitor_is_coherent(monitor)
    pool = transaction.get(POOL, monitor.pool_id)
    if pool is None:
        raise Invalid("pool_id", f"there is no pool {monitor.pool_id}" if monitor.pool_id else "is needed")
    for other in transaction.all(HEALTH_MONITOR, pool_id=pool.id):
        raise Conflict(f"pool {pool.id} already has health monitor {other.id}.", "pool_id")
    its = {"id": new_id(), "project_id": monitor.project_id or pool.project_id}
    return transaction.insert(HEALTH_MONITOR, monitor.model_copy(update=its))


def get(system: System, caller: Caller, monitor_id: str) -> HealthMonitor:
    """One monitor. Raises `NotFound`."""
    caller.must("healthmonitor:read")
    with system.store.read() as reader:
        return reader.require(HEALTH_MONITOR, monitor_id)


def find(system: System, caller: Caller, query: Query) -> Page[HealthMonitor]:
    """Monitors that match."""
    caller.must("healthmonitor:read")
    with system.store.read() as reader:
        return reader.find(HEALTH_MONITOR, query)


def update(
    system: System, caller: Caller, monitor_id: str, changes: Mapping[str, Any], *, since: int | None = None
) -> HealthMonitor:
    """Change a monitor. `since` as in `listeners.update`."""
    with change(system, caller, "healthmonitor:update") as transaction:
        before = transaction.require(HEALTH_MONITOR, monitor_id)
        refuse_if_overtaken(transaction, HEALTH_MONITOR, before, since)
        after = edited(before, changes)
        monitor_is_coherent(after)
        stored = transaction.replace(HEALTH_MONITOR, before, after)
        _touch(transaction, stored)
        return stored


def delete(system: System, caller: Caller, monitor_id: str) -> None:
    """Remove a monitor; its pool's members are taken to be well."""
    with change(system, caller, "healthmonitor:delete") as transaction:
        monitor = transaction.require(HEALTH_MONITOR, monitor_id)
        transaction.delete(HEALTH_MONITOR, monitor)
        _touch(transaction, monitor)


def _touch(transaction: Transaction, monitor: HealthMonitor) -> None:
    touch_pool(transaction, monitor.pool_id, transaction.require(POOL, monitor.pool_id).loadbalancer_id)
