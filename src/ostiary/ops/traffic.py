"""How much came through, and what was refused and why, over time: written each minute, shown in steps, kept for a while."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from ostiary.errors import Invalid
from ostiary.model.traffic import ALL, HOURS_KEPT, MINUTES_KEPT, Bucket, Counts, Traffic
from ostiary.ops.caller import Caller
from ostiary.ops.counting import Pending, Told, added, between, minute_of, moment_of, since_the_beginning
from ostiary.ops.denials import TLS_FAILED
from ostiary.ops.system import System
from ostiary.store import traffic as stored
from ostiary.store.store import Facts

POINTS: Final = (2, 1000)
_HOUR: Final = 60  # minutes
_DAY: Final = 24 * _HOUR
# Steps that people reckon in, in minutes; after them, twice the one before.
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, _DAY, 2 * _DAY, 7 * _DAY)
_MONDAY: Final = 4 * _DAY  # 1970-01-05, from which all steps are reckoned: weeks begin on Mondays
_MINUTES_AT_ONCE: Final = 5
_AT_ONCE: Final = 100


def series(
    system: System,
    caller: Caller,
    *,
    since: datetime,
    until: datetime,
    listener_id: str | None = None,
    points: int = 120,
) -> Traffic:
    """What came through one listener, or all, in at most so many equal steps; as fine as that, and what is kept, allow.

    Handshakes that failed for no certificate's fault (`tls_failed`) are no refusals; they are among the failed handshakes. What
    happened in the last seconds is in it, unless it is just being written down. Raises `Invalid`.
    """
    caller.must("traffic:read")
    now = system.clock()
    until = min(until, now)
    _must_make_sense(since, until, points)
    start, step, count = _steps(since, until, points, now)
    whose, end = listener_id or ALL, start + count * step
    unwritten = system.counting.unwritten()
    with system.store.read() as reader:
        counts = stored.counted(reader, whose, start, end, step)
        refused = stored.refused_by_code(reader, whose, start, end, step)
    if unwritten is not None and system.counting.is_still(unwritten):
        for (minute, one), more in unwritten.counts.items():
            if one == whose and start <= minute < end:
                number = (minute - start) // step
                counts[number] = counts.get(number, Counts()).plus(more)
    by_code: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for (number, code), many in sorted(refused.items()):
        if code != TLS_FAILED:
            by_code[number][code] = many
    buckets = (
        Bucket(
            at=(at := moment_of(start + number * step)),
            seconds=min(60.0 * step, (now - at).total_seconds()),
            refused=by_code[number],
            **counts.get(number, Counts())._asdict(),
        )
        for number in range(count)
    )
    return Traffic(since=since, until=until, step=timedelta(minutes=step), buckets=tuple(buckets))


def write(system: System) -> None:
    """Put on record what was counted since, together with the counters it leads up to: all of it, or nothing."""
    pending, done = system.counting.writing(), False
    try:
        system.store.record(lambda facts: _put(facts, pending))
        done = True
    finally:
        system.counting.wrote(pending, system.clock(), done=done)


def forget_old(system: System) -> int:
    """Minutes become hours, and hours go, each in its time; says how many rows that were.

    A few minutes in a transaction: where there are many listeners, that is many rows, and others wait for their turn to write.
    """
    now = system.clock()
    before, total = _first_minute(now), system.store.record(lambda facts: stored.forget(facts, minute_of(now - HOURS_KEPT)))
    for _ in range(_AT_ONCE):
        with system.store.read() as reader:
            oldest = stored.oldest(reader)
        if oldest is None or oldest >= before:
            break
        upto = min(before, oldest + _MINUTES_AT_ONCE)
        total += system.store.record(lambda facts, upto=upto: stored.roll_up(facts, upto))  # type: ignore[misc]
    return total


def _first_minute(now: datetime) -> int:
    """The first that is, or stays, a minute of its own: minutes become hours by the hour."""
    return minute_of(now - MINUTES_KEPT) // _HOUR * _HOUR


def _put(facts: Facts, pending: Pending) -> None:
    counts = pending.counts
    for gateway_id, (first, last) in pending.gateways.items():
        if first is not None:
            known = stored.mark(facts, gateway_id)
            counts = added(counts, since_the_beginning(first) if known is None else between(_told(*known), first))
        stored.set_mark(facts, gateway_id, last.at, _document(last))
    stored.add(facts, counts)


def _document(told: Told) -> dict[str, Any]:
    return {"run": told.run, "uptime": told.uptime, "listeners": {one: list(counts) for one, counts in told.listeners.items()}}


def _told(at: datetime, document: Mapping[str, Any]) -> Told:
    listeners = {listener_id: Counts(*counts) for listener_id, counts in document["listeners"].items()}
    return Told(at, document["run"], document["uptime"], listeners)


def _must_make_sense(since: datetime, until: datetime, points: int) -> None:
    fewest, most = POINTS
    if not fewest <= points <= most:
        raise Invalid("points", f"from {fewest} to {most}")
    if since >= until:
        raise Invalid("since", "has to be before the end, and not in the future")
    if until - since > HOURS_KEPT:
        raise Invalid("since", f"at most {HOURS_KEPT.days} days before the end: nothing is kept for longer")


def _steps(since: datetime, until: datetime, points: int, now: datetime) -> tuple[int, int, int]:
    """The first minute, the step in minutes, and how many: the smallest step with which they are few enough."""
    first, last = minute_of(since), minute_of(until - timedelta(microseconds=1))
    hours_only = first < _first_minute(now)
    position = _STEPS.index(_HOUR) if hours_only else 0
    while True:
        step = _STEPS[position] if position < len(_STEPS) else _STEPS[-1] << (position - len(_STEPS) + 1)
        start = first - (first - _MONDAY) % step
        count = (last - start) // step + 1
        if count <= points:
            return start, step, count
        position += 1
