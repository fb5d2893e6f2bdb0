"""The one write path: lock the head row, write, translate to see that it can become real, record, next revision, commit."""

from collections.abc import Iterator
from contextlib import contextmanager

from ostiary import logs, tracing
from ostiary.envoy.snapshot import snapshot
from ostiary.model.fields import Private
from ostiary.ops import gate, house
from ostiary.ops.caller import Caller
from ostiary.ops.concerned import concerned
from ostiary.ops.record import entry
from ostiary.ops.system import System
from ostiary.store.kinds import LISTENER, LOAD_BALANCER, POOL
from ostiary.store.store import Transaction


@contextmanager
def change(system: System, caller: Caller, action: str) -> Iterator[Transaction]:
    """Make a change as `caller`; all of it happens or none.

    Raises `Denied` when the caller may not, and `Invalid` when the result could not be carried out by the engine: the translation
    is pure, so it is tried here, before anything is committed. Raises `Stopped` when another person has to agree (`ops.gate`).
    """
    caller.must(action)
    with system.store.write() as transaction:
        status, settings = transaction.status_sequence(), house.read(transaction)
        yield transaction
        if not transaction.changed:
            return
        with tracing.span("translate, to see that it can be carried out"):
            snapshot(concerned(system, transaction))
        gate.look(system, transaction, caller, action, settings)
        for changed in transaction.changed:
            said = entry(caller, action, changed, transaction.next_revision)
            transaction.append_audit({**said, **transaction.remarks})
        revision = transaction.bump(caller.name, action)
        moved = range(status + 1, transaction.status_sequence() + 1)
        moment = system.effects.moment()
    logs.also(revision=revision)
    system.meters.recorded(action, transaction.changed)
    system.effects.committed("revision", [revision], moment)
    system.effects.committed("revocation", moved, moment)
    # Only now: nobody may act on what could still be undone.
    system.committed(revision)


def touch_balancer(transaction: Transaction, balancer_id: str) -> None:
    """What is below a load balancer changed, so its status is that of this revision."""
    transaction.touch(LOAD_BALANCER, balancer_id)


def touch_pool(transaction: Transaction, pool_id: str, balancer_id: str) -> None:
    """What is below a pool changed: it, the listeners that use it and the load balancer are affected."""
    transaction.touch(POOL, pool_id)
    for listener_id in transaction.ids(LISTENER, default_pool_id=pool_id):
        transaction.touch(LISTENER, listener_id)
    touch_balancer(transaction, balancer_id)


def sealed(system: System, plain: bytes, context: str) -> Private:
    """Bytes encrypted for the store; `context` names the one row that may hold them."""
    return Private(system.sealer.seal(plain, context))
