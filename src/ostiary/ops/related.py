"""What hangs together with load balancers and pools, by id: replies show it beside them."""

from collections.abc import Iterable
from dataclasses import dataclass

from ostiary.ops.system import System
from ostiary.store import below
from ostiary.store.kinds import HEALTH_MONITOR, LISTENER, MEMBER, POOL


@dataclass(frozen=True)
class OfBalancer:
    """The ids of what belongs to a load balancer, oldest first."""

    listeners: tuple[str, ...]
    pools: tuple[str, ...]


@dataclass(frozen=True)
class OfPool:
    """The ids of the listeners whose default pool it is, and of what belongs to it, oldest first."""

    listeners: tuple[str, ...]
    members: tuple[str, ...]
    monitor: str | None


def of_balancers(system: System, balancer_ids: Iterable[str]) -> dict[str, OfBalancer]:
    """For load balancers the caller has already been shown."""
    with system.store.read() as reader:
        return {
            balancer_id: OfBalancer(
                listeners=reader.ids(LISTENER, loadbalancer_id=balancer_id),
                pools=reader.ids(POOL, loadbalancer_id=balancer_id),
            )
            for balancer_id in balancer_ids
        }


def of_pools(system: System, pool_ids: Iterable[str]) -> dict[str, OfPool]:
    """For pools the caller has already been shown."""
    with system.store.read() as reader:
        return {
            pool_id: OfPool(
                listeners=reader.ids(LISTENER, default_pool_id=pool_id),
                members=reader.ids(MEMBER, pool_id=pool_id),
                monitor=next(iter(reader.ids(HEALTH_MONITOR, pool_id=pool_id)), None),
            )
            for pool_id in pool_ids
        }


def member_counts(system: System, pool_ids: Iterable[str]) -> dict[str, int]:
    """How many members each of these pools has; those without are left out. For pools the caller has already been shown."""
    with system.store.read() as reader:
        return below.counts(reader, MEMBER, "pool_id", pool_ids)
