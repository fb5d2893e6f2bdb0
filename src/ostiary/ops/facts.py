"""The write path of facts: certificates issued, renewed, revoked. Many at once, each on record, none a new configuration.

A setting is one person's decision and is translated before it is committed (`ops.change`). Facts come in thousands and leave
the configuration as it is: they share transactions (docs/decisions/0012-facts-in-groups.md) and do not wait for a translation.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ostiary.ops.caller import Caller
from ostiary.ops.record import entry
from ostiary.ops.system import System
from ostiary.store.kinds import CERTIFICATE
from ostiary.store.store import Change, Facts

T = TypeVar("T")


def record(system: System, caller: Caller, action: str, work: Callable[[Facts], T]) -> T:
    """Do `work` as `caller`, with each thing it changes on record; returns once all of it is committed.

    `work` may be called more than once (`Store.record`), so it must do nothing but read and write this transaction.
    Raises `Denied` when the caller may not.
    """
    (done,) = record_all(system, action, [(caller, work)])
    return done


def record_all(system: System, action: str, works: Sequence[tuple[Caller, Callable[[Facts], T]]]) -> list[T]:
    """The same for several callers in one transaction: all of it is committed, or what one raises undoes it all."""
    for caller, _ in works:
        caller.must(action)
    moved = range(0)
    changes: list[Change] = []
    moment = system.effects.moment()

    def recorded(facts: Facts) -> list[T]:
        nonlocal moved, changes, moment
        first, status = len(facts.changed), facts.status_sequence()
        done = [_recorded(facts, caller, action, work) for caller, work in works]
        changes = facts.changed[first:]
        moved = range(status + 1, facts.status_sequence() + 1)
        moment = system.effects.moment()
        return done

    done = system.store.record(recorded)
    system.meters.recorded(action, changes)
    if moved:
        system.effects.committed("revocation", moved, moment)
        system.committed(0)
    return done


def _recorded(facts: Facts, caller: Caller, action: str, work: Callable[[Facts], T]) -> T:
    first, status = len(facts.changed), facts.status_sequence()
    facts.remarks = {}
    done = work(facts)
    changes = facts.changed[first:]
    for changed, place in zip(changes, _places(changes, range(status + 1, facts.status_sequence() + 1)), strict=True):
        facts.append_audit({**entry(caller, action, changed, None), **facts.remarks, **place})
    return done


def _places(changes: Sequence[Change], moved: range) -> Iterator[dict[str, int]]:
    """For each certificate whose status was moved, to which number: that tells how soon it was in force (`store.effects`)."""
    numbers = iter(moved if len(moved) == sum(one.kind == CERTIFICATE.name for one in changes) else ())
    for one in changes:
        number = next(numbers, None) if one.kind == CERTIFICATE.name else None
        yield {} if number is None else {"status_sequence": number}
