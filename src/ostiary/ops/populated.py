"""What one call creates below a load balancer: its pools, then its listeners (Octavia: fully populated load balancer)."""

from ostiary.errors import Invalid
from ostiary.model.pool import Pool
from ostiary.model.whole import WholeBalancer, WholePool, balancer_is_not_too_large
from ostiary.ops import listeners, pools
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.ops.within import within
from ostiary.store.store import Transaction


def check(caller: Caller, whole: WholeBalancer) -> None:
    """What can be said before anything is locked: may they, is it too much, is it clear which pool is meant."""
    every_pool = [pool for _, pool in whole.every_pool()]
    if whole.listeners:
        caller.must("listener:create")
    if every_pool:
        caller.must("pool:create")
    pools.must_for_parts(caller, every_pool)
    balancer_is_not_too_large(whole)
    _names_are_clear(whole)


def add(transaction: Transaction, system: System, whole: WholeBalancer) -> None:
    """Put it all at the load balancer, which is there. All pools come first: a listener may name any of them."""
    balancer_id = whole.balancer.id
    by_place: dict[str, Pool] = {}
    for place, pool in whole.every_pool():
        with within(place):
            by_place[place] = pools.add(transaction, system, pool, balancer_id)
    by_name = {pool.name: pool for pool in by_place.values()}
    for position, part in enumerate(whole.listeners):
        place = f"listeners.{position}"
        listener = part.listener.model_copy(update={"loadbalancer_id": balancer_id})
        with within(place):
            if isinstance(part.default_pool, WholePool):
                listener = listeners.served_by(listener, by_place[f"{place}.default_pool"], "default_pool.protocol")
            elif part.default_pool is not None:
                listener = listeners.served_by(listener, by_name[part.default_pool], "default_pool.name")
            listeners.add(transaction, system, listener)


def _names_are_clear(whole: WholeBalancer) -> None:
    """Names of pools are unique here, as Octavia asks, and every name that a listener refers to is one of them."""
    names: set[str] = set()
    for place, pool in whole.every_pool():
        if pool.pool.name in names:
            raise Invalid(f"{place}.name", f"another pool of this call is called '{pool.pool.name}' too")
        names |= {pool.pool.name} - {""}
    for position, listener in enumerate(whole.listeners):
        if isinstance(listener.default_pool, str) and listener.default_pool not in names:
            raise Invalid(f"listeners.{position}.default_pool.name", f"no pool of this call is called '{listener.default_pool}'")
