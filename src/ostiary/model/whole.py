"""Resources together with what hangs on them, as one call creates them (Octavia: fully populated load balancer)."""

from collections.abc import Iterable, Iterator
from typing import Final

from ostiary.errors import Invalid
from ostiary.model.balancer import LoadBalancer
from ostiary.model.fields import Data
from ostiary.model.health import HealthMonitor
from ostiary.model.listener import Listener
from ostiary.model.pool import Member, Pool

# Most of them in one call: all of it is one transaction, and other writers wait until it ends.
LISTENERS_MAX: Final = 100
POOLS_MAX: Final = 100
MEMBERS_MAX: Final = 1000


class WholePool(Data):
    """A pool with its members and health monitor."""

    pool: Pool
    members: tuple[Member, ...] = ()
    healthmonitor: HealthMonitor | None = None


class WholeListener(Data):
    """A listener with its default pool: a new one, or the name of one that the same call creates."""

    listener: Listener
    default_pool: WholePool | str | None = None


class WholeBalancer(Data):
    """A load balancer with its listeners and pools."""

    balancer: LoadBalancer
    listeners: tuple[WholeListener, ...] = ()
    pools: tuple[WholePool, ...] = ()

    def every_pool(self) -> Iterator[tuple[str, WholePool]]:
        """Each pool, also those within listeners, with its place in the request."""
        for position, pool in enumerate(self.pools):
            yield f"pools.{position}", pool
        for position, listener in enumerate(self.listeners):
            if isinstance(listener.default_pool, WholePool):
                yield f"listeners.{position}.default_pool", listener.default_pool


def balancer_is_not_too_large(whole: WholeBalancer) -> None:
    """Raises `Invalid` naming the place at which it becomes too many."""
    if len(whole.listeners) > LISTENERS_MAX:
        raise Invalid(f"listeners.{LISTENERS_MAX}", _at_most(LISTENERS_MAX, "listeners"))
    pools = tuple(whole.every_pool())
    if len(pools) > POOLS_MAX:
        raise Invalid(pools[POOLS_MAX][0], _at_most(POOLS_MAX, "pools"))
    pools_are_not_too_large((f"{place}.members", pool) for place, pool in pools)


def pools_are_not_too_large(pools: Iterable[tuple[str, WholePool]]) -> None:
    """Raises `Invalid` naming the place at which their members become too many. `pools`: (place of its members, pool)."""
    count = 0
    for place, pool in pools:
        count += len(pool.members)
        if count > MEMBERS_MAX:
            raise Invalid(place, _at_most(MEMBERS_MAX, "members"))


def _at_most(most: int, what: str) -> str:
    return f"at most {most} {what} can be created in one call; create the others after it"
