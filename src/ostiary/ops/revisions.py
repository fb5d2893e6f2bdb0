"""Revisions: the history of the configuration, and going back to an earlier one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ostiary.errors import Conflict, Invalid
from ostiary.model.listener import Listener
from ostiary.model.reference import parse
from ostiary.ops import access, listeners, server_certificates
from ostiary.ops.asking import asks
from ostiary.ops.caller import Caller
from ostiary.ops.change import change
from ostiary.ops.material import check_listener, check_pool
from ostiary.ops.system import System
from ostiary.store import revisions as stored
from ostiary.store.kinds import (
    ACCESS_EXCEPTION,
    ACCESS_RULE,
    BY_NAME,
    CONTAINER,
    KINDS,
    LISTENER,
    LOAD_BALANCER,
    POOL,
)
from ostiary.store.store import Change, Revision, Transaction

_ORDER = {kind.name: position for position, kind in enumerate(KINDS)}
_CONFIGURED = tuple(kind.name for kind in KINDS if kind.configured)
# What the store notes of each row beside its settings.
_NOTED = frozenset({"revision", "created_at", "updated_at"})


@dataclass(frozen=True)
class RevisionDetail:
    """A revision and what it changed."""

    revision: Revision
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Summary:
    """A revision, and how many things it changed."""

    revision: Revision
    things: int


@dataclass(frozen=True)
class Preview:
    """What going back would do: from how each thing is now (`before`) to how it would be. `current` is the revision of now."""

    current: int
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


def page(
    system: System, caller: Caller, *, before: int | None = None, after: int | None = None, limit: int = 100
) -> tuple[Summary, ...]:
    """Revisions, newest first: the newest before that number; with `after`, those that follow it next."""
    caller.must("revision:read")
    with system.store.read() as reader:
        found = stored.page(reader, limit, before=before, after=after)
        counts = stored.counts(reader, [one.number for one in found])
    return tuple(Summary(one, counts.get(one.number, 0)) for one in found)


def part(system: System, caller: Caller, number: int, *, limit: int, offset: int = 0) -> tuple[RevisionDetail, int]:
    """One revision with some of its changes, and how many there are in all. Raises `NotFound`."""
    caller.must("revision:read")
    with system.store.read() as reader:
        revision = reader.one_revision(number)
        changes = stored.changes(reader, number, limit, offset)
        return RevisionDetail(revision, changes), stored.counts(reader, [number]).get(number, 0)


def current(system: System, caller: Caller) -> int:
    """The revision that the configuration is at now."""
    caller.must("revision:read")
    with system.store.read() as reader:
        return reader.revision()


def preview(system: System, caller: Caller, number: int) -> Preview:
    """What `revert` to that revision would change, without changing it. Raises `NotFound`.

    Whether all of it can be done is not asked: what has come to refer to something deleted shows when it is tried.
    """
    caller.must("revision:read")
    with system.store.read() as reader:
        if number != 0:
            reader.one_revision(number)
        differing = tuple(one for one in stored.between(reader, number, _CONFIGURED) if _differs(one))
        return Preview(reader.revision(), tuple(sorted(differing, key=lambda one: _ORDER[one.kind])))


def _differs(one: Change) -> bool:
    before, after = one.before, one.after
    if before is None or after is None:
        return True
    return any(before.get(name) != after.get(name) for name in (before.keys() | after.keys()) - _NOTED)


@asks()
def revert(system: System, caller: Caller, number: int, *, seen: int | None = None) -> int:
    """Put load balancers, listeners with their rules, pools, members and monitors back to how they were after revision `number`.

    It is a change like any other: checked, translated, recorded, and the next revision, which is returned. Secrets,
    authorities and issued certificates are facts, not settings, and stay; what has come to refer to a deleted one is refused.
    Only a server certificate that ostiary had made itself is made anew. With `seen`, the revision that the caller had looked at,
    raises `Conflict` when it is not the current one any more.
    """
    with change(system, caller, "revision:revert") as transaction:
        if seen is not None and seen != transaction.next_revision - 1:
            raise Conflict(f"Revision {transaction.next_revision - 1} was made meanwhile; look again at what would change.")
        if number != 0:
            transaction.one_revision(number)
        since = transaction.changes(after=number)
        targets, made_anew = _states_after(since), _certificates_taken_back(since)
        for kind_name, resource_id in sorted(targets, key=lambda key: -_ORDER[key[0]]):
            if targets[kind_name, resource_id] is None:
                _delete(transaction, kind_name, resource_id)
        for kind_name, resource_id in sorted(targets, key=lambda key: _ORDER[key[0]]):
            state = targets[kind_name, resource_id]
            if state is not None:
                _restore(transaction, system, kind_name, state, made_anew)
        _touch_listeners(transaction, since)
        return transaction.next_revision if transaction.changed else transaction.next_revision - 1


def _states_after(since: Iterable[Change]) -> dict[tuple[str, str], dict[str, Any] | None]:
    """What each configured resource that changed since was then; None where it did not exist."""
    states: dict[tuple[str, str], dict[str, Any] | None] = {}
    for later in since:
        if BY_NAME[later.kind].configured:
            states.setdefault((later.kind, later.resource_id), later.before)
    return states


def _certificates_taken_back(since: Iterable[Change]) -> dict[str, str]:
    """Containers of server certificates that ostiary had made and deleted since: by id, their names."""
    deleted = (later for later in since if later.kind == CONTAINER.name and later.after is None and later.before is not None)
    return {gone.resource_id: str((gone.before or {}).get("name")) for gone in deleted}


def _touch_listeners(transaction: Transaction, since: Iterable[Change]) -> None:
    """What their clients may reach is another, so their statuses are those of this revision."""
    documents = [later.after or later.before or {} for later in since if later.kind in {ACCESS_RULE.name, ACCESS_EXCEPTION.name}]
    for listener_id in dict.fromkeys(str(document["listener_id"]) for document in documents):
        if (listener := transaction.get(LISTENER, listener_id)) is not None:
            access.touch(transaction, listener)


def _delete(transaction: Transaction, kind_name: str, resource_id: str) -> None:
    kind = BY_NAME[kind_name]
    existing = transaction.get(kind, resource_id)
    if existing is None:
        return
    if kind_name == POOL.name:
        # A listener that will be put back to another pool, or deleted, must not hold this one in the meantime.
        for listener in transaction.all(LISTENER, default_pool_id=resource_id):
            transaction.replace(LISTENER, listener, listener.model_copy(update={"default_pool_id": None}))
    if isinstance(existing, Listener):
        listeners.remove(transaction, existing)
    else:
        transaction.delete(kind, existing)


def _restore(
    transaction: Transaction, system: System, kind_name: str, state: dict[str, Any], made_anew: Mapping[str, str]
) -> None:
    kind = BY_NAME[kind_name]
    wanted = kind.model.model_validate(state, strict=False)
    existing = transaction.get(kind, wanted.id)
    if isinstance(wanted, Listener):
        _restore_listener(transaction, system, wanted, made_anew)
        return
    if kind_name == POOL.name:
        check_pool(transaction, system, wanted, existing)  # type: ignore[arg-type]  # its kind says so
    if existing is not None:
        transaction.replace(kind, existing, wanted)
    else:
        transaction.insert(kind, wanted)


def _restore_listener(transaction: Transaction, system: System, wanted: Listener, made_anew: Mapping[str, str]) -> None:
    balancer = transaction.get(LOAD_BALANCER, wanted.loadbalancer_id)
    if balancer is None:
        raise Invalid("loadbalancer_id", f"there is no load balancer {wanted.loadbalancer_id}")
    reference = wanted.default_tls_container_ref
    if reference and made_anew.get(parse(reference, "default_tls_container_ref").id) == server_certificates.name_for(wanted):
        wanted = server_certificates.give(transaction, system, balancer, wanted)
    existing = transaction.get(LISTENER, wanted.id)
    check_listener(transaction, system, wanted, existing)
    wanted = listeners.trust_stamped(transaction, wanted, existing)
    if existing is None:
        transaction.insert(LISTENER, wanted, address=balancer.vip_address)
        return
    transaction.replace(LISTENER, existing, wanted)
    if existing.default_tls_container_ref != wanted.default_tls_container_ref:
        server_certificates.take_back(transaction, existing)
