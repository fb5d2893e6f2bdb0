"""How soon changes were in force, on record: written off the hot path, shown with the change, and kept for a while."""

from datetime import datetime, timedelta
from math import ceil
from typing import Final

from ostiary.model.authority import Certificate
from ostiary.model.effect import Changed, Effect
from ostiary.ops.caller import Caller
from ostiary.ops.effects import Applied, Effects
from ostiary.ops.system import System
from ostiary.store import effects as stored
from ostiary.store import revisions
from ostiary.store.effects import Mark
from ostiary.store.store import Facts, Revision
from ostiary.tracing import told

_KEPT: Final = timedelta(days=400)
_AT_ONCE: Final = 1000  # rows of one kind in one transaction: others get their turn between


def of_certificate(system: System, caller: Caller, certificate: Certificate) -> tuple[Effect, ...]:
    """When its revocation, hold or release was in force, gateway by gateway; those are left out that do not have it yet."""
    caller.must("certificate:read")
    with system.store.read() as reader:
        return stored.of_revocation(reader, certificate.authority_id, certificate.serial)


def of_revision(system: System, caller: Caller, number: int) -> tuple[Effect, ...]:
    """When a revision was in force, gateway by gateway."""
    caller.must("revision:read")
    with system.store.read() as reader:
        return stored.of(reader, "revision", number)


def of_thing(system: System, caller: Caller, resource_id: str, limit: int = 5) -> tuple[tuple[Revision, tuple[Effect, ...]], ...]:
    """The last revisions that changed this thing, newest first, and when each was in force, gateway by gateway."""
    caller.must("revision:read")
    with system.store.read() as reader:
        found = revisions.of(reader, resource_id, limit)
        effects = stored.of_revisions(reader, [one.number for one in found])
    return tuple((one, effects.get(one.number, ())) for one in found)


def write(system: System) -> int:
    """Put on record what was measured since; says how many numbers."""
    total = 0
    while waiting := system.effects.applied():
        found, done = system.store.record(lambda facts, waiting=waiting: _written(facts, system.effects, waiting))  # type: ignore[misc]
        system.effects.written(done)
        for one in found:
            system.meters.effect_seconds.add(one.milliseconds / 1000, one.gateway_id, one.changed)
            place = system.effects.place_of(one.changed, one.number)
            if place is not None and system.traced is not None:
                about: dict[str, str | int] = {"ostiary.gateway": one.gateway_id, f"ostiary.{one.changed}": one.number}
                told(system.traced, "acknowledged by a gateway", place, (one.committed_at, one.applied_at), about)
        total += len(found)
    return total


def forget_old(system: System) -> int:
    """Numbers are kept for so long and no longer; says how many went."""
    return system.store.record(lambda facts: stored.forget(facts, facts.at - _KEPT))


def _written(facts: Facts, effects: Effects, waiting: list[Applied]) -> tuple[list[Effect], int]:
    """As many as fit into one transaction: the numbers, and how many of those that wait are done with."""
    written: list[Effect] = []
    for done, applied in enumerate(waiting):
        before = stored.mark(facts, applied.gateway_id)
        if before is None:
            # Never measured: what was committed before it came is not its affair.
            stored.set_mark(facts, applied.gateway_id, applied.holds)
            continue
        revocations = stored.revocations(facts, before.status, applied.holds.status, _AT_ONCE)
        revisions = stored.revisions(facts, before.revision, applied.holds.revision, _AT_ONCE)
        found = [_effect(effects, "revocation", one, applied) for one in revocations]
        found += [_effect(effects, "revision", one, applied) for one in revisions]
        stored.add(facts, found)
        reached = Mark(
            revision=_reached(revisions, before.revision, applied.holds.revision),
            status=_reached(revocations, before.status, applied.holds.status),
        )
        stored.set_mark(facts, applied.gateway_id, reached)
        written += found
        if len(revocations) == _AT_ONCE or len(revisions) == _AT_ONCE:
            return written, done  # there is more of this one
    return written, len(waiting)


def _reached(found: list[tuple[int, datetime]], before: int, upto: int) -> int:
    return found[-1][0] if len(found) == _AT_ONCE else max(before, upto)


def _effect(effects: Effects, changed: Changed, what: tuple[int, datetime], applied: Applied) -> Effect:
    number, at = what
    here = effects.commit_of(changed, number)
    seconds = applied.moment - here[1] if here is not None else (applied.at - at).total_seconds()
    return Effect(
        changed=changed,
        number=number,
        gateway_id=applied.gateway_id,
        committed_at=here[0] if here is not None else at,
        applied_at=applied.at,
        milliseconds=ceil(max(seconds, 0) * 1000),
    )
