"""What gateways count, added up so that it never goes down: not when an Envoy, a keeper or a control plane is another one.

A keeper tells the counters of its Envoy, which begin at 0 with each process; what came since is added to what is known. That is
written down (`ops.gateway_numbers`), and a control plane that starts goes on from there: where the same Envoy still runs, and
where the one before stopped in good order. Where it was killed and it is another Envoy by then, nobody can say what was told
last, and all of it begins at 0, as a monitoring system expects of what was started anew.
"""

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from ostiary.errors import Invalid
from ostiary.model.numbers import COUNTERS, GAUGES, MOST_LISTENERS

# A gateway that is silent for so long may be connected to another control plane, which adds up meanwhile.
SILENT: Final = timedelta(minutes=2)
_MAY_COME_BACK: Final = timedelta(hours=1)  # a listener that is off for a while; to Envoy it is the same one
_LONGEST_ID: Final = 36
_INEXACT: Final = 2.0**53
_REASON: Final = re.compile(r"[a-z_]{1,32}")
_MOST_REASONS: Final = 20

Vector = tuple[float, ...]


@dataclass
class Growing:
    """Counters that are told as they are and added up as they grow. `raw` is what was told last."""

    totals: list[float]
    raw: list[float]

    @classmethod
    def of(cls, size: int) -> "Growing":
        """So many, at 0."""
        return cls([0.0] * size, [0.0] * size)

    def told(self, values: Iterable[float]) -> None:
        """These are the counters now. One that is lower than it was has begun again."""
        for place, value in enumerate(values):
            old = self.raw[place]
            self.totals[place] += value - old if value >= old else value
            self.raw[place] = value

    def begin_again(self) -> None:
        """Whoever counts from now on begins at 0."""
        self.raw = [0.0] * len(self.raw)


@dataclass(frozen=True)
class Told:
    """One message of a keeper. `run` is its Envoy's process, `keeper` its own."""

    run: int
    uptime: float
    counters: Mapping[str, Vector]
    gauges: Mapping[str, Mapping[str, float]]
    gone: tuple[str, ...]
    records_dropped: float
    listeners_draining: float
    shed: Mapping[str, float]
    keeper: int
    restarts: float
    streams_ended: Mapping[str, float]


@dataclass
class Gateway:
    """What one gateway has counted, by listener in the order of `model.numbers.COUNTERS`, and as a whole."""

    run: int
    uptime: float
    keeper: int
    at: datetime  # when it was last heard
    listeners: dict[str, Growing] = field(default_factory=dict)
    gauges: dict[str, Mapping[str, float]] = field(default_factory=dict)
    gone: dict[str, datetime] = field(default_factory=dict)
    listeners_draining: float = 0.0
    records_dropped: Growing = field(default_factory=lambda: Growing.of(1))
    shed: dict[str, Growing] = field(default_factory=dict)  # ended or refused for want of memory or room, by what it was
    restarts: Growing = field(default_factory=lambda: Growing.of(1))
    streams_ended: dict[str, Growing] = field(default_factory=dict)
    is_news: bool = True
    is_final: bool = False  # as it was read: the last that was told before a control plane stopped

    def take(self, told: Told, at: datetime) -> bool:
        """Add what came since; says whether what is on record would mislead from now on, should we be killed."""
        another = self.is_final or not is_same_run(self.run, self.uptime, told) or self.keeper != told.keeper
        self.is_final = False
        if not is_same_run(self.run, self.uptime, told):
            for one in (*self.listeners.values(), self.records_dropped, *self.shed.values()):
                one.begin_again()
            self.gauges.clear()
        if self.keeper != told.keeper:
            for one in (self.restarts, *self.streams_ended.values()):
                one.begin_again()
        self.run, self.uptime, self.keeper, self.at, self.is_news = told.run, told.uptime, told.keeper, at, True
        for listener_id, counters in told.counters.items():
            self.listeners.setdefault(listener_id, Growing.of(len(COUNTERS))).told(counters)
            self.gone.pop(listener_id, None)
        self.gauges |= told.gauges
        self._forget_those_gone(told.gone, at)
        self.records_dropped.told([told.records_dropped])
        self.listeners_draining = told.listeners_draining
        self.restarts.told([told.restarts])
        for known, counts in ((self.streams_ended, told.streams_ended), (self.shed, told.shed)):
            for reason, count in counts.items():
                if reason in known or len(known) < _MOST_REASONS:
                    known.setdefault(reason, Growing.of(1)).told([count])
        return another

    def _forget_those_gone(self, gone: Iterable[str], at: datetime) -> None:
        for listener_id in gone:
            self.gone.setdefault(listener_id, at)
            self.gauges.pop(listener_id, None)
        for listener_id, since in list(self.gone.items()):
            if at - since > _MAY_COME_BACK:
                del self.gone[listener_id]
                self.listeners.pop(listener_id, None)

    def is_silent(self, at: datetime) -> bool:
        """Whether nothing was heard of it for a while."""
        return at - self.at > SILENT

    def document(self, *, is_final: bool) -> dict[str, Any]:
        """To be kept. `is_final`: nobody was or will be told more than this before it is read again."""
        return {
            "is_final": is_final,
            "run": self.run,
            "uptime": self.uptime,
            "keeper": self.keeper,
            "counters": list(COUNTERS),
            "listeners": {one: [growing.totals, growing.raw] for one, growing in self.listeners.items()},
            "records_dropped": [self.records_dropped.totals, self.records_dropped.raw],
            "shed": {what: [one.totals, one.raw] for what, one in self.shed.items()},
            "restarts": [self.restarts.totals, self.restarts.raw],
            "streams_ended": {reason: [one.totals, one.raw] for reason, one in self.streams_ended.items()},
        }


class GatewayNumbers:
    """All gateways that told something; whoever looks at them, or changes them, holds the lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.known: dict[str, Gateway] = {}  # those heard of last at the end


def is_same_run(run: int, uptime: float, told: Told) -> bool:
    """Whether it is the same process: numbers of processes are used again, but time goes on."""
    return run == told.run and told.uptime >= uptime


def read(message: Mapping[str, Any]) -> Told:
    """What a message says, within its limits. Counters that we do not know are left out. Raises `Invalid`."""
    listeners, gone = message.get("listeners"), message.get("gone", [])
    whole, keeper = message.get("whole"), message.get("keeper")
    if not (isinstance(listeners, dict) and isinstance(gone, list) and isinstance(whole, dict) and isinstance(keeper, dict)):
        raise Invalid("numbers", "listeners, gone, whole and keeper are needed")
    if len(listeners) > MOST_LISTENERS:
        raise Invalid("listeners", f"at most {MOST_LISTENERS} in one message")
    counters, gauges = _places(message.get("counters"), COUNTERS), _places(message.get("gauges"), GAUGES)
    return Told(
        run=int(_number(message.get("run"), "run")),
        uptime=_number(message.get("uptime") or 0, "uptime"),
        counters={_id(one): tuple(_picked(numbers, 0, counters)) for one, numbers in listeners.items()},
        gauges={_id(one): dict(zip(GAUGES, _picked(numbers, 1, gauges), strict=True)) for one, numbers in listeners.items()},
        gone=tuple(_id(one) for one in gone),
        records_dropped=_number(whole.get("records_dropped", 0), "whole"),
        listeners_draining=_number(whole.get("listeners_draining", 0), "whole"),
        keeper=int(_number(keeper.get("pid"), "keeper")),
        restarts=_number(keeper.get("restarts", 0), "keeper"),
        shed=_by_reason(whole.get("shed"), "whole"),
        streams_ended=_by_reason(keeper.get("streams_ended"), "keeper"),
    )


def _by_reason(told: Any, name: str) -> dict[str, float]:
    return {
        reason: _number(count, name)
        for reason, count in (told.items() if isinstance(told, dict) else ())
        if isinstance(reason, str) and _REASON.fullmatch(reason)
    }


def continued(document: dict[str, Any] | None, news: Told, at: datetime) -> Gateway:
    """The gateway as it was written down, as far as that was the last of what its processes told; else one that begins."""
    if document is None:
        return Gateway(news.run, 0.0, news.keeper, at)
    goes_on = document["is_final"] or is_same_run(document["run"], document["uptime"], news)
    is_kept = document["is_final"] or document["keeper"] == news.keeper
    found = Gateway(
        document["run"] if goes_on else news.run,
        document["uptime"] if goes_on else 0.0,
        document["keeper"] if is_kept else news.keeper,
        at,
        is_final=document["is_final"],
    )
    if goes_on:
        places = _places(document["counters"], COUNTERS)
        found.listeners = {
            one: Growing(list(_picked(kept, 0, places)), list(_picked(kept, 1, places)))
            for one, kept in document["listeners"].items()
        }
        found.records_dropped = Growing(*document["records_dropped"])
        found.shed = {what: Growing(*kept) for what, kept in document.get("shed", {}).items()}  # an older one wrote none
    if is_kept:
        found.restarts = Growing(*document["restarts"])
        found.streams_ended = {reason: Growing(*kept) for reason, kept in document["streams_ended"].items()}
    return found


def _places(told: Any, ours: tuple[str, ...]) -> tuple[int | None, ...]:
    """Where each of our names is among those that are told; None where it is not."""
    if not isinstance(told, list):
        raise Invalid("counters", "a list of names is needed")
    return tuple(told.index(name) if name in told else None for name in ours)


def _picked(numbers: Any, which: int, places: tuple[int | None, ...]) -> Iterable[float]:
    if not (isinstance(numbers, list) and len(numbers) == 2 and isinstance(numbers[which], list)):
        raise Invalid("listeners", "each has a list of counters and one of gauges")
    values = numbers[which]
    for place in places:
        yield 0.0 if place is None or place >= len(values) else _number(values[place], "listeners")


def _number(value: Any, name: str) -> float:
    # bool is an int, and NaN is no number that compares.
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < _INEXACT:
        raise Invalid(name, "a number from 0 is needed")
    return float(value)


def _id(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID:
        raise Invalid("listeners", "each is named by its id")
    return value
