"""Listeners: create, read, change, delete. The switch of the mission, Client CA on or off, is one `update`."""

from collections.abc import Mapping, Sequence
from typing import Any

from ostiary.errors import Invalid
from ostiary.ids import new_id
from ostiary.model.balancer import LoadBalancer
from ostiary.model.listener import Listener
from ostiary.model.pool import Pool
from ostiary.model.query import Page, Query
from ostiary.model.rules import listener_is_coherent, pool_fits, port_is_free, taken_ports
from ostiary.model.whole import WholePool, pools_are_not_too_large
from ostiary.ops import house_doors, pools, server_certificates
from ostiary.ops.asking import asks
from ostiary.ops.caller import Caller
from ostiary.ops.change import change, touch_balancer
from ostiary.ops.edit import edited
from ostiary.ops.material import check_listener
from ostiary.ops.meanwhile import refuse_if_overtaken
from ostiary.ops.system import System
from ostiary.ops.within import within
from ostiary.store import ports
from ostiary.store.kinds import ACCESS_EXCEPTION, ACCESS_RULE, LISTENER, LOAD_BALANCER, POOL
from ostiary.store.store import Transaction


@asks()
def create(system: System, caller: Caller, listener: Listener, *, with_pool: WholePool | None = None) -> Listener:
    """Add a listener, with a new default pool if one is given, to a load balancer."""
    if with_pool is not None:
        pools_are_not_too_large([("default_pool.members", with_pool)])
        caller.must("pool:create")
        pools.must_for_parts(caller, [with_pool])
    with change(system, caller, "listener:create") as transaction:
        if with_pool is not None:
            listener = add_pool(transaction, system, listener, with_pool)
        stored = add(transaction, system, listener)
        touch_balancer(transaction, stored.loadbalancer_id)
        return stored


def add(transaction: Transaction, system: System, listener: Listener) -> Listener:
    """Put a listener at its load balancer. A TLS listener without a certificate is given one by ostiary itself."""
    listener_is_coherent(listener)
    balancer = _balancer(transaction, listener)
    _check_port(transaction, system, balancer, listener)
    _check_pool(transaction, listener)
    its = {"id": new_id(), "project_id": listener.project_id or balancer.project_id}
    identified = listener.model_copy(update=its)
    if identified.is_tls and not identified.default_tls_container_ref and not identified.sni_container_refs:
        identified = server_certificates.give(transaction, system, balancer, identified)
    check_listener(transaction, system, identified)
    stored = trust_stamped(transaction, identified)
    return transaction.insert(LISTENER, stored, address=balancer.vip_address)


def trust_stamped(transaction: Transaction, listener: Listener, before: Listener | None = None) -> Listener:
    """With the revision that last changed who may have signed client certificates: by it, older connections are told apart."""
    since = None if before is None else (before.client_authentication, before.client_ca_tls_container_ref)
    if since == (listener.client_authentication, listener.client_ca_tls_container_ref):
        return listener.model_copy(update={"trust_revision": before.trust_revision if before else 0})
    return listener.model_copy(update={"trust_revision": transaction.next_revision})


def add_pool(transaction: Transaction, system: System, listener: Listener, whole: WholePool) -> Listener:
    """The listener with a new pool, which is put at its load balancer."""
    balancer = _balancer(transaction, listener)
    its = {"project_id": whole.pool.project_id or listener.project_id}
    with within("default_pool"):
        pool = pools.add(transaction, system, whole.model_copy(update={"pool": whole.pool.model_copy(update=its)}), balancer.id)
    return served_by(listener, pool, "default_pool.protocol")


def served_by(listener: Listener, pool: Pool, field: str) -> Listener:
    """The listener with that default pool. `field` is where the caller brought them together."""
    if listener.default_pool_id is not None:
        raise Invalid("default_pool_id", "there is a default_pool too; give one of them")
    pool_fits(listener, pool, field)
    return listener.model_copy(update={"default_pool_id": pool.id})


def free_port(system: System, caller: Caller, *, balancer_id: str = "", address: str = "", first: int = 443) -> int:
    """The first port, from `first` up, that no listener has at this address, or at that of this load balancer."""
    caller.must("listener:read")
    with system.store.read() as reader:
        if balancer_id:
            address = reader.require(LOAD_BALANCER, balancer_id).vip_address
        every = ports.taken(reader)
    taken = taken_ports(address, [*every, *((door.address, door.port) for door in system.doors)])
    return next((port for port in range(first, 65536) if port not in taken), first)


def get(system: System, caller: Caller, listener_id: str) -> Listener:
    """One listener. Raises `NotFound`."""
    caller.must("listener:read")
    with system.store.read() as reader:
        return reader.require(LISTENER, listener_id)


def find(system: System, caller: Caller, query: Query) -> Page[Listener]:
    """Listeners that match."""
    caller.must("listener:read")
    with system.store.read() as reader:
        return reader.find(LISTENER, query)


def first_of(system: System, caller: Caller, balancer_ids: Sequence[str], each: int) -> dict[str, tuple[Listener, ...]]:
    """The first few listeners of each of these load balancers, in the order of their ports."""
    caller.must("listener:read")
    with system.store.read() as reader:
        found = reader.first_of_each(LISTENER, "loadbalancer_id", balancer_ids, "protocol_port", each)
    its: dict[str, list[Listener]] = {}
    for listener in found:
        its.setdefault(listener.loadbalancer_id, []).append(listener)
    return {balancer_id: tuple(listeners) for balancer_id, listeners in its.items()}


@asks(changes=Listener)
def update(system: System, caller: Caller, listener_id: str, changes: Mapping[str, Any], *, since: int | None = None) -> Listener:
    """Change a listener. With `since`, the revision that the caller saw, raises `Overtaken` if others changed it since."""
    with change(system, caller, "listener:update") as transaction:
        before = transaction.require(LISTENER, listener_id)
        refuse_if_overtaken(transaction, LISTENER, before, since)
        after = edited(before, changes)
        listener_is_coherent(after)
        if after.default_pool_id != before.default_pool_id:
            _check_pool(transaction, after)
        if after.is_tls and not after.default_tls_container_ref and not after.sni_container_refs:
            balancer = transaction.require(LOAD_BALANCER, after.loadbalancer_id)
            after = server_certificates.give(transaction, system, balancer, after)
        check_listener(transaction, system, after, before)
        stored = transaction.replace(LISTENER, before, trust_stamped(transaction, after, before))
        if before.default_tls_container_ref != stored.default_tls_container_ref:
            server_certificates.take_back(transaction, before)
        touch_balancer(transaction, stored.loadbalancer_id)
        return stored


@asks()
def delete(system: System, caller: Caller, listener_id: str) -> None:
    """Remove a listener; its port is closed."""
    with change(system, caller, "listener:delete") as transaction:
        listener = transaction.require(LISTENER, listener_id)
        remove(transaction, listener)
        touch_balancer(transaction, listener.loadbalancer_id)


def remove(transaction: Transaction, listener: Listener) -> None:
    """Take a listener, its access rules, and the certificate ostiary made for it, out of the store."""
    for rule in transaction.all(ACCESS_RULE, listener_id=listener.id):
        transaction.delete(ACCESS_RULE, rule)
    for exception in transaction.all(ACCESS_EXCEPTION, listener_id=listener.id):
        transaction.delete(ACCESS_EXCEPTION, exception)
    transaction.delete(LISTENER, listener)
    server_certificates.take_back(transaction, listener)


def _balancer(transaction: Transaction, listener: Listener) -> LoadBalancer:
    named = listener.loadbalancer_id
    balancer = transaction.get(LOAD_BALANCER, named)
    if balancer is None:
        raise Invalid("loadbalancer_id", f"there is no load balancer {named}" if named else "is needed")
    return balancer


def _check_port(transaction: Transaction, system: System, balancer: LoadBalancer, listener: Listener) -> None:
    addresses = {other.id: other.vip_address for other in transaction.all(LOAD_BALANCER)}
    same_port = transaction.all(LISTENER, protocol_port=listener.protocol_port)
    taken = [(addresses[other.loadbalancer_id], other) for other in same_port]
    port_is_free(balancer.vip_address, listener.protocol_port, [*taken, *house_doors.as_listeners(system)])


def _check_pool(transaction: Transaction, listener: Listener) -> None:
    if listener.default_pool_id is None:
        return
    pool = transaction.get(POOL, listener.default_pool_id)
    if pool is None:
        raise Invalid("default_pool_id", f"there is no pool {listener.default_pool_id}")
    pool_fits(listener, pool)
