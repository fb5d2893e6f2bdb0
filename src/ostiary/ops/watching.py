"""The watch over what ends and what is wrong: what people should know now, and who still has to be told.

Level-triggered: each round compares what is so with what each target was told, which is kept. So nothing is told twice, nothing
is lost by a restart, and a target that is new is told all there is. What is to be told is committed together with the note that
it was; sending it is another's work (`ops.outbox`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog

from ostiary.model.notification import NotificationTarget
from ostiary.model.revocation import RevocationList
from ostiary.model.warning import (
    CRITICAL_DAYS,
    TOPIC_OF,
    Notice,
    Severity,
    Topic,
    WarningKind,
    at_least,
    judged,
    kind_of,
    news,
)
from ostiary.ops import house, letters, outbox, warning_words, watched
from ostiary.ops.caller import Caller
from ostiary.ops.notification_targets import new_message
from ostiary.ops.system import System
from ostiary.store import notifications, revocations
from ostiary.store.kinds import AUTHORITY, NOTIFICATION_TARGET
from ostiary.store.store import Facts, Reader
from ostiary.web import words
from ostiary.web.words import _

_OF_GATEWAYS: Final[tuple[WarningKind, ...]] = ("GATEWAY", "LISTENER")
_OF_WHAT_IS_SERVED: Final[tuple[WarningKind, ...]] = ("SERVER_CERTIFICATE", "AUTHORITY", "REVOCATION_LIST", "LISTENER")
_HURRY: Final[tuple[Topic, ...]] = ("GATEWAYS", "BREAK_GLASS", "APPROVALS")
_EVENTS: Final = {
    "break-glass:begin": _("Break-glass: %(who)s began to do without approval"),
    "break-glass:end": _("Break-glass: doing without approval came to its end"),
    "break-glass:review": _("Break-glass: %(who)s signed off what was done without approval"),
}
_USE: Final = _("Break-glass: %(who)s did something without approval")
_EVENTS_AT_ONCE: Final = 100
_EVENTS_SINCE: Final = timedelta(days=7)
_LOGGED: Final = 20

log = structlog.get_logger(source="watch")


@dataclass(frozen=True)
class Freshness:
    """How much of a revocation list's life is left: 1 when it is new, 0 once it has ended."""

    authority: str
    authority_id: str
    ratio: float


@dataclass(frozen=True)
class Counts:
    """For a monitoring system. `expiring` counts by kind and threshold: the smallest that each passed; 0 for ended."""

    expiring: Mapping[tuple[WarningKind, int], int]
    freshness: tuple[Freshness, ...]
    failed: Mapping[str, int]  # notifications that were ever given up, by target
    waiting: int


def warnings(system: System, caller: Caller) -> tuple[Notice, ...]:
    """What people should see to now, the most urgent first."""
    caller.must("warning:read")
    return _current(system)


def lately(system: System, caller: Caller) -> tuple[Notice, ...]:
    """The same as of the last round, a minute ago or two: for pages that are about something else."""
    caller.must("warning:read")
    known = system.since.lately(system.clock())
    return _current(system) if known is None else known


def counts(system: System) -> Counts:
    """The same in numbers; whoever asks was allowed to (`ops.measures`)."""
    at = system.clock()
    expiring: dict[tuple[WarningKind, int], int] = {}
    for one in _current(system):
        if one.ends_at is not None:
            key = (one.kind, one.within_days or 0)
            expiring[key] = expiring.get(key, 0) + (one.stage != "HALF_LIFE")
    with system.store.read() as reader:
        standings = notifications.standings(reader)
        targets = reader.all(NOTIFICATION_TARGET)
        return Counts(
            expiring={key: count for key, count in expiring.items() if count},
            freshness=tuple(_freshness(reader, at)),
            failed={one.name: standings[one.id].given_up for one in targets if one.id in standings},
            waiting=sum(one.waiting for one in standings.values()),
        )


def look(system: System) -> int:
    """Compare what is so with what was told, and put what is new where it is sent from. Returns how many messages that made."""
    at = system.clock()
    current = _current(system)
    settled = _settled(system, current, at)
    _log(system, settled)
    with system.store.read() as reader:
        targets = [one for one in reader.all(NOTIFICATION_TARGET) if one.enabled]
        due = [one for one in targets if _has_news(reader, one, current, settled, _unknown(system), at)]
    return sum(_tell(system, one, current, settled) for one in due)


def hear(system: System) -> int:
    """Tell of what is on record and cannot wait for a round: break-glass. Returns how many messages that made."""
    with system.store.read() as reader:
        targets = [one for one in reader.all(NOTIFICATION_TARGET) if one.enabled and "BREAK_GLASS" in one.topics]
        lowest = min((notifications.marks(reader, one.id)[1] for one in targets), default=None)
        if lowest is None or not notifications.emergencies_on_record(reader, lowest, system.clock() - _EVENTS_SINCE, 1):
            return 0
    return sum(system.store.record(partial(_hear, target=one)) for one in targets)


def _current(system: System) -> tuple[Notice, ...]:
    """All warnings of now. What is asked again within a minute, with nothing changed, is not looked for again."""
    at = system.clock()
    stale = [repr(one.report.get("stale")) for one in system.fleet.live()]
    key = (system.store.commits, int(at.timestamp()) // 60, system.fleet.changes, *stale)
    known = system.since.kept(key)
    if known is not None:
        return known
    with system.store.read() as reader:
        days = house.read(reader).warn_days
        found = judged(watched.things(system, reader, days, at), days, at)
    system.since.keep(key, found, at)
    return found


def _settled(system: System, current: Sequence[Notice], at: datetime) -> tuple[Notice, ...]:
    """Without what gateways have said for a moment only."""
    of_gateways = [one.id for one in current if one.kind in _OF_GATEWAYS]
    long_enough = system.since.settled(of_gateways, at)
    return tuple(one for one in current if one.kind not in _OF_GATEWAYS or one.id in long_enough)


def _unknown(system: System) -> frozenset[WarningKind]:
    """Of what nothing is known now, and so nothing is over: no gateway says how it is, or none was told anything yet."""
    unknown: set[WarningKind] = set()
    if not system.fleet.live():
        unknown.add("LISTENER")
    if system.fleet.wanted is None:
        unknown |= set(_OF_WHAT_IS_SERVED)
    return frozenset(unknown)


def _log(system: System, current: Sequence[Notice]) -> None:
    """Write what is new, and more than a notice, to the log: for those who have no target, and for when none can be reached."""
    at = system.clock()
    fresh = [one for one in system.since.to_log(current) if at_least(one.severity, "WARNING")]
    for one in fresh[:_LOGGED]:
        log.warning(
            warning_words.title(one, "en", at), kind=one.kind, thing=one.thing_id, what_to_do=warning_words.way(one, "en")
        )
    if len(fresh) > _LOGGED:
        log.warning("more warnings: ostiary expiring", count=len(fresh) - _LOGGED)


def _has_news(
    reader: Reader,
    target: NotificationTarget,
    current: Sequence[Notice],
    settled: Sequence[Notice],
    unknown: frozenset[WarningKind],
    at: datetime,
) -> bool:
    """Whether there is anything to tell a target now; asked without the write lock, for almost always there is not."""
    return _news(reader, target, current, settled, unknown, at) is not None


@dataclass(frozen=True)
class _News:
    raised: tuple[Notice, ...]
    resolved: tuple[str, ...]
    is_digest: bool


def _news(
    reader: Reader,
    target: NotificationTarget,
    current: Sequence[Notice],
    settled: Sequence[Notice],
    unknown: frozenset[WarningKind],
    at: datetime,
) -> _News | None:
    """What to tell a target now; None when there is nothing, or nothing that could not wait."""
    told = notifications.told(reader, target.id)
    wanted = tuple(one for one in settled if _wants(target, one))
    raised = news(wanted, told).raised
    # What is there still, though it is not told of it any more, or not yet for long enough, is not over.
    resolved = news(current, told, unknown).resolved
    if not raised and not resolved:
        return None
    last = notifications.marks(reader, target.id)[0]
    is_time = not target.digest_hours or last is None or at - last >= timedelta(hours=target.digest_hours)
    if is_time or any(_hurries(one) for one in raised) or any(_hurried(one, told[one]) for one in resolved):
        return _News(raised, resolved, is_digest=True)
    return None


def _wants(target: NotificationTarget, one: Notice) -> bool:
    # A target to which nothing gets through cannot be told so.
    is_itself = one.kind == "NOTIFICATION_TARGET" and one.thing_id == target.id
    if is_itself or one.kind == "BREAK_GLASS":
        return False  # of an emergency each step is told (`hear`)
    return one.topic in target.topics and at_least(one.severity, target.severity)


def _hurries(one: Notice) -> bool:
    urgent: Severity = "CRITICAL"
    return one.severity == urgent or one.topic in _HURRY


def _hurried(warning_id: str, rank: int) -> bool:
    """Whether that was told at once, and so its end is."""
    kind = kind_of(warning_id)
    return rank <= CRITICAL_DAYS or TOPIC_OF.get(kind) in _HURRY


def _tell(system: System, target: NotificationTarget, current: Sequence[Notice], settled: Sequence[Notice]) -> int:
    """Put what is new for a target where it is sent from, and note that it was told: both or neither."""
    unknown = _unknown(system)

    def work(facts: Facts) -> int:
        now = facts.get(NOTIFICATION_TARGET, target.id)
        found = _news(facts, now, current, settled, unknown, facts.at) if now is not None and now.enabled else None
        if now is None or found is None:
            return 0
        over = [one for one in notifications.told_as(facts, now.id, found.resolved) if one.topic in now.topics]
        bodies = _bodies(now, found.raised, over, facts.at)
        for body in bodies:
            outbox.put(facts, new_message(now, "warnings", body, facts.at))
        notifications.note_told(facts, now.id, found.raised, found.resolved)
        notifications.move_marks(facts, now.id, digest_at=facts.at)
        return len(bodies)

    return system.store.record(work)


def _bodies(target: NotificationTarget, raised: Sequence[Notice], over: Sequence[Notice], at: datetime) -> list[str]:
    """Together, or each by itself; those that are over last. People get one letter, whose end says how many more there are."""
    if target.kind == "EMAIL" and target.digest_hours and (raised or over):
        return [letters.warnings_body(raised, over, target.language, at)]
    size = letters.TOGETHER if target.digest_hours else 1
    groups: list[tuple[Sequence[Notice], Sequence[Notice]]] = [
        (raised[start : start + size], ()) for start in range(0, len(raised), size)
    ]
    overs = [over[start : start + size] for start in range(0, len(over), size)]
    if groups and overs and target.digest_hours:
        groups[-1] = (groups[-1][0], overs.pop(0))
    groups += [((), some) for some in overs]
    return [letters.warnings_body(some, gone, target.language, at) for some, gone in groups]


def _hear(facts: Facts, target: NotificationTarget) -> int:
    """Tell a target of what is on record since it last was."""
    now = facts.get(NOTIFICATION_TARGET, target.id)
    if now is None:
        return 0
    since = notifications.marks(facts, now.id)[1]
    found = notifications.emergencies_on_record(facts, since, facts.at - _EVENTS_SINCE, _EVENTS_AT_ONCE)
    for sequence, text in found:
        entry = json.loads(text)
        outbox.put(facts, new_message(now, "event", _event(now, sequence, entry, facts.at), facts.at))
    if found:
        notifications.move_marks(facts, now.id, audit_sequence=found[-1][0])
    return len(found)


def _event(target: NotificationTarget, sequence: int, entry: Mapping[str, Any], at: datetime) -> str:
    said, action = words.of(target.language), str(entry["action"])
    who = warning_words.line(str(entry.get("actor", "")))
    event = _EVENTS.get(action, _USE)
    title = said.gettext(event) % {"who": who}
    known = (
        (_("When"), entry.get("at", "")),
        (_("What"), action),
        (_("From"), entry.get("source", "")),
        (_("Number in the record"), sequence),
        (_("Reason"), (entry.get("after") or {}).get("reason", "")),
    )
    to_do = warning_words.WAYS["break-glass"]
    lines = [*(f"{said.gettext(what)}: {text}" for what, text in known if text), said.gettext(to_do)]
    told = {"action": action, "actor": who, "sequence": sequence, "at": entry.get("at")}
    return letters.event_body(title, lines, {**told, "severity": "CRITICAL", "topic": "BREAK_GLASS"}, at)


def _freshness(reader: Reader, at: datetime) -> Iterable[Freshness]:
    held = revocations.lists_without_content(reader)
    for authority in reader.all(AUTHORITY) if held else ():
        current = held.get((authority.id, "complete"))
        if current is not None and authority.revoked_at is None and authority.not_after > at:
            yield Freshness(authority.name or authority.subject, authority.id, _left(current, at))


def _left(current: RevocationList, at: datetime) -> float:
    life = (current.next_update - current.this_update).total_seconds()
    left = (current.next_update - at).total_seconds()
    return round(max(0.0, min(1.0, left / life)), 4) if life > 0 else 0.0
