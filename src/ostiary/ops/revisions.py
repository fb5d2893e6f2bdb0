"""Revisions: the history of the configuration, and going back to an earlier one."""

from dataclasses import dataclass
from typing import Any

from ostiary.errors import Invalid
from ostiary.model.listener import Listener
from ostiary.ops.caller import Caller
from ostiary.ops.change import change
from ostiary.ops.material import check_listener, check_pool
from ostiary.ops.system import System
from ostiary.store.kinds import BY_NAME, KINDS, LISTENER, LOAD_BALANCER, POOL
from ostiary.store.store import Change, Revision, Transaction

_ORDER = {kind.name: position for position, kind in enumerate(KINDS)}


@dataclass(frozen=True)
class RevisionDetail:
    """A revision and what it changed."""

    revision: Revision
    changes: tuple[Change, ...]


def get(system: System, caller: Caller, number: int) -> RevisionDetail:
    """One revision with its changes. Raises `NotFound`."""
    caller.must("revision:read")
    with system.store.read() as reader:
        return RevisionDetail(reader.one_revision(number), reader.changes(of=number))


def find(system: System, caller: Caller, *, before: int | None = None, limit: int = 100) -> tuple[Revision, ...]:
    """Revisions, newest first."""
    caller.must("revision:read")
    with system.store.read() as reader:
        return reader.revisions(limit, before)


def revert(system: System, caller: Caller, number: int) -> int:
    """Put load balancers, listeners, pools, members and monitors back to how they were after revision `number`.

    It is a change like any other: checked, translated, recorded, and the next revision, which is returned. Secrets,
    authorities and issued certificates are facts, not settings, and stay; what has come to refer to a deleted one is refused.
    """
    with change(system, caller, "revision:revert") as transaction:
        if number != 0:
            transaction.one_revision(number)
        targets = _states_after(transaction, number)
        for kind_name, resource_id in sorted(targets, key=lambda key: -_ORDER[key[0]]):
            if targets[kind_name, resource_id] is None:
                _delete(transaction, kind_name, resource_id)
        for kind_name, resource_id in sorted(targets, key=lambda key: _ORDER[key[0]]):
            state = targets[kind_name, resource_id]
            if state is not None:
                _restore(transaction, system, kind_name, state)
        return transaction.next_revision if transaction.changed else transaction.next_revision - 1


def _states_after(transaction: Transaction, number: int) -> dict[tuple[str, str], dict[str, Any] | None]:
    """What each configured resource that changed since was then; None where it did not exist."""
    states: dict[tuple[str, str], dict[str, Any] | None] = {}
    for later in transaction.changes(after=number):
        if BY_NAME[later.kind].configured:
            states.setdefault((later.kind, later.resource_id), later.before)
    return states


def _delete(transaction: Transaction, kind_name: str, resource_id: str) -> None:
    kind = BY_NAME[kind_name]
    existing = transaction.get(kind, resource_id)
    if existing is None:
        return
    if kind_name == POOL.name:
        # A listener that will be put back to another pool, or deleted, must not hold this one in the meantime.
        for listener in transaction.all(LISTENER, default_pool_id=resource_id):
            transaction.replace(LISTENER, listener, listener.model_copy(update={"default_pool_id": None}))
    transaction.delete(kind, existing)


def _restore(transaction: Transaction, system: System, kind_name: str, state: dict[str, Any]) -> None:
    kind = BY_NAME[kind_name]
    wanted = kind.model.model_validate(state, strict=False)
    existing = transaction.get(kind, wanted.id)
    if kind_name == LISTENER.name:
        check_listener(transaction, system, wanted, existing)  # type: ignore[arg-type]  # its kind says so
    elif kind_name == POOL.name:
        check_pool(transaction, system, wanted, existing)  # type: ignore[arg-type]  # its kind says so
    if existing is not None:
        transaction.replace(kind, existing, wanted)
    elif isinstance(wanted, Listener):
        balancer = transaction.get(LOAD_BALANCER, wanted.loadbalancer_id)
        if balancer is None:
            raise Invalid("loadbalancer_id", f"there is no load balancer {wanted.loadbalancer_id}")
        transaction.insert(LISTENER, wanted, address=balancer.vip_address)
    else:
        transaction.insert(kind, wanted)
