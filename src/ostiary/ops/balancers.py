"""Load balancers: create, read, change, delete."""

from collections.abc import Iterable, Mapping
from typing import Any

from ostiary.errors import Invalid
from ostiary.ids import new_id
from ostiary.model.balancer import LoadBalancer
from ostiary.model.query import Page, Query
from ostiary.model.whole import WholeBalancer, WholeListener, WholePool
from ostiary.ops import listeners, pools, populated
from ostiary.ops.asking import asks
from ostiary.ops.caller import Caller
from ostiary.ops.change import change
from ostiary.ops.edit import edited
from ostiary.ops.meanwhile import refuse_if_overtaken
from ostiary.ops.system import System
from ostiary.store.kinds import LISTENER, LOAD_BALANCER, POOL

# Where listeners bind when a client names a subnet, network or port of its cloud instead of an address.
DEFAULT_ADDRESS = "127.0.0.1"


@asks()
def create(
    system: System,
    caller: Caller,
    balancer: LoadBalancer,
    *,
    with_listeners: Iterable[WholeListener] = (),
    with_pools: Iterable[WholePool] = (),
) -> LoadBalancer:
    """Add a load balancer, with all that is to hang on it. Needs an address, or (for OpenStack clients) one of the vip_… ids."""
    if not balancer.vip_address:
        if not (balancer.vip_subnet_id or balancer.vip_network_id or balancer.vip_port_id):
            raise Invalid("vip_address", "VIP must contain one of: vip_address, vip_subnet_id, vip_network_id, vip_port_id")
        balancer = balancer.model_copy(update={"vip_address": DEFAULT_ADDRESS})
    identified = balancer.model_copy(update={"id": new_id(), "name": balancer.name or "load-balancer"})
    whole = WholeBalancer(balancer=identified, listeners=tuple(with_listeners), pools=tuple(with_pools))
    populated.check(caller, whole)
    with change(system, caller, "loadbalancer:create") as transaction:
        stored = transaction.insert(LOAD_BALANCER, identified)
        populated.add(transaction, system, whole)
        return stored


def get(system: System, caller: Caller, balancer_id: str) -> LoadBalancer:
    """One load balancer. Raises `NotFound`."""
    caller.must("loadbalancer:read")
    with system.store.read() as reader:
        return reader.require(LOAD_BALANCER, balancer_id)


def find(system: System, caller: Caller, query: Query) -> Page[LoadBalancer]:
    """Load balancers that match."""
    caller.must("loadbalancer:read")
    with system.store.read() as reader:
        return reader.find(LOAD_BALANCER, query)


def update(
    system: System, caller: Caller, balancer_id: str, changes: Mapping[str, Any], *, since: int | None = None
) -> LoadBalancer:
    """Change a load balancer. `since` as in `listeners.update`."""
    with change(system, caller, "loadbalancer:update") as transaction:
        before = transaction.require(LOAD_BALANCER, balancer_id)
        refuse_if_overtaken(transaction, LOAD_BALANCER, before, since)
        return transaction.replace(LOAD_BALANCER, before, edited(before, changes))


@asks()
def delete(system: System, caller: Caller, balancer_id: str, *, cascade: bool = False) -> None:
    """Remove a load balancer; with `cascade`, all that belongs to it. Raises `Invalid` when it has children otherwise."""
    with change(system, caller, "loadbalancer:delete") as transaction:
        balancer = transaction.require(LOAD_BALANCER, balancer_id)
        its_listeners = transaction.all(LISTENER, loadbalancer_id=balancer_id)
        its_pools = transaction.all(POOL, loadbalancer_id=balancer_id)
        if (its_listeners or its_pools) and not cascade:
            raise Invalid("cascade", f"Cannot delete Load Balancer {balancer_id} - it has children")
        for listener in its_listeners:
            listeners.remove(transaction, listener)
        for pool in its_pools:
            pools.remove(transaction, pool)
        transaction.delete(LOAD_BALANCER, balancer)
