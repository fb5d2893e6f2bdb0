"""What stands at the axes of a picture: round numbers, and round times by the reader's clock; as many as there is room for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from math import ceil, floor, log10
from typing import Final, NamedTuple

from babel.dates import format_date, format_skeleton
from babel.numbers import format_compact_decimal, format_decimal

from ostiary.web.svg import width

# What a letter takes up at most, in units of the picture, where that is smallest and so the text largest; and on a wide screen
# (charts.css).
LETTER: Final = 14.5
SMALL_LETTER: Final = 7.5
_BETWEEN: Final = 14.0  # labels
_MOST: Final = 64  # labels that are tried
_COMPACT: Final = 100_000  # numbers from here on are written as 100K
# Steps of time, in minutes, and then in months.
_MINUTES: Final = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2 * 1440, 7 * 1440, 14 * 1440)
_MONTHS: Final = (1, 2, 3, 6, 12, 24, 60, 120, 600)
_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)
_LAST_YEAR: Final = 9998


@dataclass(frozen=True)
class Reader:
    """Who looks: how they write numbers, and in which zone their clock is."""

    language: str = "en"
    zone: tzinfo = UTC

    def number(self, value: float) -> str:
        """`1,234.5`."""
        return _decimal(value, "#,##0.###", self.language)

    def short(self, value: float) -> str:
        """`1,200`, `120K`: for an axis."""
        if value >= _COMPACT:
            return format_compact_decimal(value, fraction_digits=1, locale=self.language)
        return _decimal(value, "#,##0.##########", self.language)

    def clock(self, at: datetime) -> str:
        """`14:05`."""
        return self._as("Hm", at)

    def day(self, at: datetime) -> str:
        """`Nov 25`."""
        return self._as("MMMd", at)

    def month(self, at: datetime) -> str:
        """`Nov`, and in January the year."""
        local = at.astimezone(self.zone)
        return str(local.year) if local.month == 1 else format_date(local, "MMM", locale=self.language)

    def moment(self, at: datetime, step: timedelta) -> str:
        """When a step begins: the day with its year, or the day and the time where steps are shorter than a day."""
        return self._as("yMMMd", at) if step >= _DAY else f"{self.day(at)} {self.clock(at)}"

    def _as(self, skeleton: str, at: datetime) -> str:
        return _time(skeleton, at, self.zone, self.language)


# A number, and a time even more so, comes again and again: in a hint, in the table, in the next picture of the same hours.


@lru_cache(maxsize=8192)
def _decimal(value: float, pattern: str, language: str) -> str:
    return format_decimal(value, format=pattern, locale=language)


@lru_cache(maxsize=4096)
def _time(skeleton: str, at: datetime, zone: tzinfo, language: str) -> str:
    return format_skeleton(skeleton, at.astimezone(zone), locale=language)


class Tick(NamedTuple):
    """A label and where it stands; `is_major` where there is room for it on a phone too."""

    x: float
    label: str
    is_major: bool


def numbers(highest: float, *, whole: bool) -> tuple[float, ...]:
    """0 and up, by a step of 1, 2 or 5 times a power of ten, at most five of them, until nothing is higher."""
    most = Decimal(repr(float(highest)))
    raw = most / 4
    power = floor(log10(raw))
    steps = (Decimal(one).scaleb(power) for one in (1, 2, 5, 10))
    step = next(one for one in steps if one >= raw)
    if whole:
        step = max(step, Decimal(1))
    return tuple(float(number * step) for number in range(ceil(most / step) + 1))


def times(begin: datetime, end: datetime, step: timedelta, reader: Reader, place: Callable[[datetime], float]) -> list[Tick]:
    """As many as there is room for on a wide screen; on a phone, every second of them or fewer. `place` says where a time is."""
    for found in _candidates(begin, end, step, reader):
        places = [(place(at), label) for at, label in found]
        if _fit(places, SMALL_LETTER):
            every = next((one for one in range(1, len(places)) if _fit(places[::one], LETTER)), len(places))
            return [Tick(x, label, number % every == 0) for number, (x, label) in enumerate(places)]
    return []


def _candidates(begin: datetime, end: datetime, step: timedelta, reader: Reader) -> Iterator[list[tuple[datetime, str]]]:
    """Times for an axis, from many to few: whole ones by the reader's clock, of which none is between two steps."""
    for minutes in _MINUTES:
        if minutes * _MINUTE >= step and (end - begin) / (minutes * _MINUTE) <= _MOST:
            is_day = minutes >= _DAY / _MINUTE
            found = list(_every(begin, end, minutes, reader.zone))
            if found:
                yield [(at, reader.day(at) if is_day or _is_midnight(at, reader.zone) else reader.clock(at)) for at in found]
    for months in _MONTHS:
        found = list(_months(begin, end, months, reader.zone))
        if found and len(found) <= _MOST:
            yield [(at, reader.month(at)) for at in found]
    yield [(begin, reader.day(begin))]


def _every(begin: datetime, end: datetime, minutes: int, zone: tzinfo) -> Iterator[datetime]:
    """Each so many minutes of the clock on the wall, reckoned from a Monday; where it is put back, no time comes twice."""
    here = begin.astimezone(zone).replace(tzinfo=None)
    monday = here.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=here.weekday())
    step, before = minutes * _MINUTE, None
    wall = monday + (here - monday) // step * step
    while True:
        at = wall.replace(tzinfo=zone).astimezone(UTC)
        if at >= end:
            return
        if at >= begin and (before is None or at > before):
            before = at
            yield at
        wall += step


def _months(begin: datetime, end: datetime, months: int, zone: tzinfo) -> Iterator[datetime]:
    year, month = begin.astimezone(zone).year, 0
    while year < _LAST_YEAR:
        at = datetime(year, month + 1, 1, tzinfo=zone).astimezone(UTC)
        if at >= end:
            return
        if at >= begin:
            yield at
        year, month = year + (month + months) // 12, (month + months) % 12


def _is_midnight(at: datetime, zone: tzinfo) -> bool:
    local = at.astimezone(zone)
    return (local.hour, local.minute) == (0, 0)


def _fit(places: Sequence[tuple[float, str]], letter: float) -> bool:
    """Whether none of these labels comes near the next. One that would begin before the picture does begins with it."""
    begins = [max(0.0, x - width(label, letter) / 2) for x, label in places]
    ends = [begin + width(label, letter) for begin, (_, label) in zip(begins, places, strict=True)]
    return all(end + _BETWEEN <= begin for end, begin in zip(ends, begins[1:], strict=False))
