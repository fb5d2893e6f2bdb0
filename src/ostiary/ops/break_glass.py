"""Break-glass: in an emergency an administrator does without others' approval, for a bounded time, and everybody is told.

It ends by itself, whatever becomes of this process: when it ends is stored, and asked with each use. Afterwards another person
has to look at what was done.
"""

from datetime import timedelta
from typing import Any, Final

import structlog

from ostiary.errors import Conflict
from ostiary.ids import new_id
from ostiary.model.approval import BreakGlass, NewBreakGlass
from ostiary.model.query import Page, Query
from ostiary.ops import apart, gate, house
from ostiary.ops.caller import SYSTEM, Caller
from ostiary.ops.facts import record
from ostiary.ops.system import System
from ostiary.store.kinds import BREAK_GLASS
from ostiary.store.store import Facts

log = structlog.get_logger(source="approvals")

_SOURCE_MAX: Final = 255


def begin(system: System, caller: Caller, wanted: NewBreakGlass) -> BreakGlass:
    """Do without approval from now on. Raises `Conflict` where nothing needs any, and for who does without already."""
    caller.must("break-glass:begin")

    def work(facts: Facts) -> BreakGlass:
        if not house.read(facts).approval_needed_for:
            raise Conflict("Nothing needs another person's approval here; do it.")
        known = gate.open_of(facts, caller, facts.at)
        if known is not None:
            raise Conflict(f"You do without approval already, until {known.ends_at:%Y-%m-%d %H:%M} UTC; end that first.")
        made = BreakGlass(
            id=new_id(),
            begun_by=caller.name,
            source=caller.source[:_SOURCE_MAX],
            reason=wanted.reason,
            hands=tuple(sorted(apart.entrance(facts, caller, facts.at).by)),
            begun_at=facts.at,
            ends_at=facts.at + timedelta(minutes=wanted.minutes),
        )
        return facts.insert(BREAK_GLASS, made)

    begun = record(system, caller, "break-glass:begin", work)
    until = begun.ends_at.isoformat()
    log.warning("break-glass begun", by=caller.name, reason=begun.reason, until=until, break_glass=begun.id)
    refresh(system)
    return begun


def end(system: System, caller: Caller, glass_id: str) -> BreakGlass:
    """End it now. Raises `Conflict` when it is over."""
    caller.must("break-glass:end")
    ended = _ended(system, caller, glass_id, late=False)
    refresh(system)
    return ended


def review(system: System, caller: Caller, glass_id: str, words: str) -> BreakGlass:
    """Sign off what was done under it. Raises `Denied` for whoever began it, `Conflict` while it is open or once it is done."""
    caller.must("break-glass:review")

    def work(facts: Facts) -> BreakGlass:
        glass = facts.require(BREAK_GLASS, glass_id)
        if glass.state == "REVIEWED":
            raise Conflict(f"{glass.reviewed_by} has signed it off already.")
        if glass.state == "OPEN":
            raise Conflict("It goes on still; sign it off when it is over.")
        apart.refuse_same_of_emergency(facts, glass, caller, facts.at)
        news = {"state": "REVIEWED", "reviewed_by": caller.name, "reviewed_at": facts.at, "review": words}
        return facts.replace(BREAK_GLASS, glass, glass.model_copy(update=news))

    return record(system, caller, "break-glass:review", work)


def get(system: System, caller: Caller, glass_id: str) -> BreakGlass:
    """One of them. Raises `NotFound`."""
    caller.must("break-glass:read")
    with system.store.read() as reader:
        return reader.require(BREAK_GLASS, glass_id)


def find(system: System, caller: Caller, query: Query) -> Page[BreakGlass]:
    """Those that match."""
    caller.must("break-glass:read")
    with system.store.read() as reader:
        return reader.find(BREAK_GLASS, query)


def unreviewed(system: System, caller: Caller) -> tuple[BreakGlass, ...]:
    """Those that go on, and those that nobody has signed off, oldest first."""
    caller.must("break-glass:read")
    with system.store.read() as reader:
        return (*reader.all(BREAK_GLASS, state="OPEN"), *reader.all(BREAK_GLASS, state="ENDED"))


def open_now(system: System) -> tuple[BreakGlass, ...]:
    """Those that go on, as far as is known here without asking the database (`refresh`)."""
    at = system.clock()
    return tuple(one for one in system.emergencies.known if gate.is_open(one, at))


def refresh(system: System) -> int:
    """Look which go on, for what tells of them on every page. Returns 0: that is no news."""
    with system.store.read() as reader:
        system.emergencies.known = reader.all(BREAK_GLASS, state="OPEN")
    return 0


def lapse_due(system: System) -> int:
    """Put on record the end of those whose time is over. Returns how many."""
    refresh(system)
    at = system.clock()
    late = [one.id for one in system.emergencies.known if at >= one.ends_at]
    for glass_id in late:
        _ended(system, SYSTEM, glass_id, late=True)
    if late:
        refresh(system)
    return len(late)


def _ended(system: System, caller: Caller, glass_id: str, *, late: bool) -> BreakGlass:
    def work(facts: Facts) -> BreakGlass:
        glass = facts.require(BREAK_GLASS, glass_id)
        if glass.state != "OPEN":
            if late:
                return glass
            raise Conflict(f"It ended at {glass.ended_at or glass.ends_at:%Y-%m-%d %H:%M} UTC.")
        news: dict[str, Any] = {"state": "ENDED", "ended_at": min(facts.at, glass.ends_at), "ended_by": caller.name}
        return facts.replace(BREAK_GLASS, glass, glass.model_copy(update=news))

    ended = record(system, caller, "break-glass:end", work)
    log.warning("break-glass ended", begun_by=ended.begun_by, by=caller.name, uses=ended.uses, break_glass=ended.id)
    return ended
