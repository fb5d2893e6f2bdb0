"""From gateways' counters, which grow and begin again, to how much came through in which minute; and refusals likewise.

A keeper tells its Envoy's counters about every second; the differences are added up here, in memory, and written each minute
together with the counters they lead up to (`ops.traffic`). So what a control plane had in memory when it ended is not lost, and
nothing is counted twice: the next one goes on from the counters on record, and spreads what came meanwhile over that time.

What is lost: what an Envoy counted between the last time it was asked and its end; that is about a second, or, while no control
plane ran, all since one last ran. And of a gateway that ran for more than an hour before it was ever heard of, what was before.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ostiary.envoy import names
from ostiary.model.denial import Refusals
from ostiary.model.traffic import ALL, Counts, Refused

_NEW: Final = timedelta(hours=1)  # an Envoy that has not run for longer is counted from its beginning
# A listener that is off for a moment is the same one to Envoy while its connections drain, and its counters go on.
_MAY_COME_BACK: Final = timedelta(hours=1)
_PLACES: Final = 60  # a long time is not filled minute by minute, but evenly at so many places
_LONGEST_ID: Final = 36
_INEXACT: Final = 2**53
_NOTHING: Final = Counts()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE: Final = timedelta(minutes=1)

ByMinute = Mapping[tuple[int, str], Counts]


@dataclass(frozen=True)
class Told:
    """A gateway's counters at one moment. `run` is Envoy's process, `uptime` how many seconds it has run, where that is known.

    A keeper that finds an Envoy running knows its process only a little later.
    """

    at: datetime
    run: int | None
    uptime: float | None
    listeners: Mapping[str, Counts]


@dataclass(frozen=True)
class Pending:
    """What is written at once: what was counted, and of each gateway the first report, where it follows on none, and the last."""

    generation: int
    counts: ByMinute
    gateways: Mapping[str, tuple[Told | None, Told]]


@dataclass
class _Gateway:
    first: Told | None  # until what is on record of the time before was looked at
    last: Told
    gone: dict[str, datetime] = field(default_factory=dict)  # listeners that are not told of any more
    is_news: bool = True


class Counting:
    """The counters as last told, and what came since the last writing; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gateways: dict[str, _Gateway] = {}
        self._counts: dict[tuple[int, str], Counts] = {}
        self._generation = 0
        self._is_writing = False
        self._written: int | None = None  # the minute of the last writing

    def told(self, gateway_id: str, report: Mapping[str, Any], at: datetime) -> None:
        """A keeper told how its Envoy is; nothing of it counts where Envoy did not answer."""
        now = read(report, at)
        if now is None:
            return
        with self._lock:
            known = self._gateways.get(gateway_id)
            if known is None:
                self._gateways[gateway_id] = _Gateway(now, now)
                return
            _add(self._counts, between(known.last, now))
            known.last, known.is_news = _with_those_gone(known, now), True

    def is_due(self, at: datetime) -> bool:
        """Whether there is something to write: a minute is over, or a gateway has to be looked up."""
        with self._lock:
            if any(known.first is not None for known in self._gateways.values()):
                return True
            return self._written != minute_of(at) and any(known.is_news for known in self._gateways.values())

    def writing(self) -> Pending:
        """All that is to be written now; `wrote` has to follow, whatever happens."""
        with self._lock:
            self._is_writing = True
            gateways = {name: (known.first, known.last) for name, known in self._gateways.items() if known.is_news}
            return Pending(self._generation, dict(self._counts), gateways)

    def wrote(self, pending: Pending, at: datetime, *, done: bool) -> None:
        """It is on record, if `done`; otherwise it is to be written still."""
        with self._lock:
            self._is_writing = False
            if not done:
                return
            self._generation += 1
            self._written = minute_of(at)
            for key, written in pending.counts.items():
                left = self._counts[key].minus(written)
                if any(left):
                    self._counts[key] = left
                else:
                    del self._counts[key]
            for gateway_id, (_, last) in pending.gateways.items():
                known = self._gateways[gateway_id]
                known.first = None
                known.is_news = known.last is not last

    def unwritten(self) -> Pending | None:
        """What is on record nowhere yet; None just while it is being written. It holds as long as `is_still` says so."""
        with self._lock:
            return None if self._is_writing else Pending(self._generation, dict(self._counts), {})

    def is_still(self, pending: Pending) -> bool:
        """Whether nothing was written since."""
        with self._lock:
            return not self._is_writing and self._generation == pending.generation


def read(report: Mapping[str, Any], at: datetime) -> Told | None:
    """The counters of a report; None where it has none. What makes no sense is left out: it may be another version's keeper."""
    uptime, told = report.get("uptime"), report.get("listeners")
    # A keeper of before, which tells no uptime, does not tell these counters either: they would be taken for 0, and once it is
    # replaced, all that its Envoy ever counted for what came in a second.
    if "uptime" not in report or not isinstance(told, Mapping):
        return None
    listeners = {
        name.removeprefix(names.listener("")): counts
        for name, one in told.items()
        if isinstance(name, str) and isinstance(one, Mapping) and (counts := _counts(one)) is not None
    }
    return Told(
        at,
        _whole(report.get("pid")),
        float(uptime) if isinstance(uptime, int | float) else None,
        {listener_id: counts for listener_id, counts in listeners.items() if 0 < len(listener_id) <= _LONGEST_ID},
    )


def between(before: Told, now: Told) -> Iterator[tuple[int, str, Counts]]:
    """What was counted from one report to the other: minute, listener, counts. Never less than nothing."""
    known = before.listeners if _is_same_run(before, now) else {}
    for listener_id, counts in now.listeners.items():
        old = known.get(listener_id, _NOTHING)
        if counts != old:
            # A counter that is lower than it was has begun again; Envoy forgets those of a listener that is gone.
            more = Counts(*(new - then if new >= then else new for new, then in zip(counts, old, strict=True)))
            yield from _spread(listener_id, more, before.at, now.at)


def _is_same_run(before: Told, now: Told) -> bool:
    """Nothing speaks against it. To take one run for two would count all of it twice; two for one loses little."""
    is_other_process = None not in {before.run, now.run} and before.run != now.run
    is_younger = before.uptime is not None and now.uptime is not None and now.uptime < before.uptime
    return not is_other_process and not is_younger


def since_the_beginning(now: Told) -> Iterator[tuple[int, str, Counts]]:
    """What a gateway counted before it was heard of, if that was not long ago."""
    if now.uptime is not None and timedelta(seconds=now.uptime) <= _NEW:
        for listener_id, counts in now.listeners.items():
            yield from _spread(listener_id, counts, now.at - timedelta(seconds=now.uptime), now.at)


def added(counts: ByMinute, more: Iterable[tuple[int, str, Counts]]) -> ByMinute:
    """Both together."""
    found = dict(counts)
    _add(found, more)
    return found


def refused(refusals: Iterable[Refusals]) -> Mapping[Refused, int]:
    """When what was refused, at which listener and at all together, and why. A sum over a time is spread evenly over it."""
    found: Counter[Refused] = Counter()
    for one in refusals:
        for minute, count in spread(one.count, one.first, one.last):
            for listener_id in _counted_at(one.listener_id):
                found[Refused(minute, listener_id, one.code)] += count
    return found


def spread(count: int, first: datetime, last: datetime) -> Iterator[tuple[int, int]]:
    """So many, shared out evenly over the minutes from the first to the last, or over so many of them: (minute, how many)."""
    if count <= 0:
        return
    end = minute_of(last)
    begin = min(minute_of(first), end)
    places = min(end - begin + 1, _PLACES)
    for place in range(places):
        share = count * (place + 1) // places - count * place // places
        if share:
            yield begin + (end - begin + 1) * place // places, share


def minute_of(at: datetime) -> int:
    """Minutes since 1970."""
    return (at - _EPOCH) // _MINUTE


def moment_of(minute: int) -> datetime:
    """When a minute begins."""
    return _EPOCH + minute * _MINUTE


def _spread(listener_id: str, counts: Counts, first: datetime, last: datetime) -> Iterator[tuple[int, str, Counts]]:
    minute = minute_of(last)
    if minute_of(first) >= minute:
        yield from ((minute, one, counts) for one in _counted_at(listener_id))
        return
    for name, count in counts._asdict().items():
        for place, share in spread(count, first, last):
            yield from ((place, one, Counts(**{name: share})) for one in _counted_at(listener_id))


def _counted_at(listener_id: str) -> tuple[str, ...]:
    """What counts there counts for all together too; but doors of our own are none of the operator's listeners."""
    return (listener_id,) if listener_id in names.HOUSE else (listener_id, ALL)


def _add(counts: dict[tuple[int, str], Counts], more: Iterable[tuple[int, str, Counts]]) -> None:
    for minute, listener_id, one in more:
        counts[minute, listener_id] = counts.get((minute, listener_id), _NOTHING).plus(one)


def _with_those_gone(known: _Gateway, now: Told) -> Told:
    """This report, and listeners that were told of lately, as they were."""
    if not _is_same_run(known.last, now):
        known.gone.clear()
        return now
    for listener_id in known.last.listeners.keys() - now.listeners.keys():
        known.gone.setdefault(listener_id, now.at)
    for listener_id, at in list(known.gone.items()):
        if listener_id in now.listeners or now.at - at > _MAY_COME_BACK:
            del known.gone[listener_id]
    listeners = {**{one: known.last.listeners[one] for one in known.gone}, **now.listeners}
    return replace(now, listeners=listeners, run=now.run if now.run is not None else known.last.run)


def _counts(told: Mapping[str, Any]) -> Counts | None:
    values = [_whole(told.get(name, 0)) for name in Counts._fields]
    return None if None in values else Counts(*(value or 0 for value in values))


def _whole(told: Any) -> int | None:
    """A number of a report, on whose way all of them are floating ones; None for what is none, or would be told inexactly."""
    return int(told) if isinstance(told, int | float) and 0 <= told < _INEXACT else None
