"""Pictures of numbers over time, as SVG: what is behind them stands in a table beside them (`table`).

Pure: numbers go in, markup comes out. Sentences come translated from the caller, and names, which may hold anything. Colours are
classes of `static/charts.css`, by day and by night; without colour, patterns and dashes tell one from the other. Text grows as
pictures shrink, so that it can be read on a phone; a label that would have no room there is left out there.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Final, NamedTuple

from markupsafe import Markup

from ostiary.web import axes
from ostiary.web.axes import LETTER, SMALL_LETTER, Reader
from ostiary.web.svg import cut, element, label, path, width

MOST_SERIES: Final = 8  # that can be told apart
# All of these are units of the picture's own; it is scaled to the room there is.
WIDTH: Final = 640.0
HEIGHT: Final = 256.0
_TOP: Final = 16.0
_BOTTOM: Final = 42.0
_RIGHT: Final = 8.0
_BETWEEN: Final = 14.0  # a name and its number
_GAP: Final = 0.14  # between bars, of a step
_ROW: Final = 46.0  # of a bar that lies
_BIGGEST: Final = 1e18
_SMALLEST: Final = 1e-9
_DASHES: Final = ("", "7 4", "2 3", "10 3 2 3", "1 4", "12 5", "5 2 2 2", "3 6")
# Drawn on a tile of 8 by 8, over the colour, in the colour of the paper. The first is plain.
_PATTERNS: Final = (
    "",
    "M-2 2 2-2M0 8 8 0M6 10 10 6",
    "M1 1h2v2h-2zM5 5h2v2h-2z",
    "M0 2h8M0 6h8",
    "M-2 6 2 10M0 0 8 8M6-2 10 2",
    "M2 0v8M6 0v8",
    "M0 4h8M4 0v8",
    "M0 4 2 2 6 6 8 4",
)


@dataclass(frozen=True)
class About:
    """What a picture is of, in the reader's words. `name` is unlike any other on its page: letters, digits, hyphens.

    `empty` is what stands there when there is nothing to see.
    """

    name: str
    title: str
    description: str
    empty: str


@dataclass(frozen=True)
class Timeline:
    """When equal steps begin."""

    begins: Sequence[datetime]
    step: timedelta


@dataclass(frozen=True)
class Series:
    """A number for each step; None where there is none. `tone` is its colour and pattern, from 0; by its place unless given."""

    label: str
    values: Sequence[float | None]
    tone: int | None = None


@dataclass(frozen=True)
class Item:
    """One bar that lies."""

    label: str
    value: float
    tone: int = 0


class Table(NamedTuple):
    """The numbers of a picture. The first of each row says when, or what."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def stacked_bars(about: About, timeline: Timeline, series: Sequence[Series], reader: Reader) -> Markup:
    """A bar for each step, made of what each series has there, the first at the bottom; and a legend with the sums."""
    shown = _shown(timeline, series)
    sums = [sum(one.values[step] for one in shown) for step in range(len(timeline.begins))]
    if not any(sums):
        return _nothing(about)
    plot = _Plot(timeline, axes.numbers(max(sums), whole=_is_whole(shown)), reader)
    below, stacks = [0.0] * len(sums), []
    for one in shown:
        stacks.append(element("path", class_="mark", fill=_paint(about, one.tone), d=plot.bars(below, one.values)))
        below = [low + value for low, value in zip(below, one.values, strict=True)]
    picture = _svg(about, HEIGHT, _paints(about, shown), *plot.grid(), *stacks, *plot.axis(), plot.hints(shown))
    legend = (
        (
            _swatch(14, element("rect", width=14, height=14, fill=_paint(about, one.tone))),
            one.label,
            reader.number(sum(one.values)),
        )
        for one in shown
    )
    return picture + _legend(legend)


def lines(about: About, timeline: Timeline, series: Sequence[Series], reader: Reader) -> Markup:
    """A line for each series, broken where there is no number; and a legend."""
    shown = _shown(timeline, series)
    highest = max((max(one.values, default=0.0) for one in shown), default=0.0)
    if not highest:
        return _nothing(about)
    plot = _Plot(timeline, axes.numbers(highest, whole=_is_whole(shown)), reader)
    marks = [_line(one.tone, plot.line(_gaps(given.values, len(one.values)))) for one, given in zip(shown, series, strict=True)]
    legend = ((_swatch(28, _line(one.tone, "M0 7h28")), one.label, "") for one in shown)
    return _svg(about, HEIGHT, *plot.grid(), *marks, *plot.axis(), plot.hints(shown)) + _legend(legend)


def bars(about: About, items: Sequence[Item], reader: Reader) -> Markup:
    """A bar that lies for each item, with its name above and its number beside that: for names of any length."""
    shown = [_Shown(label(item.label), _clean([item.value], 1), item.tone % MOST_SERIES) for item in items]
    highest = max((one.values[0] for one in shown), default=0.0)
    if not highest:
        return _nothing(about)
    marks: list[Markup] = []
    for row, one in enumerate(shown):
        top, number = row * _ROW, reader.number(one.values[0])
        name = cut(one.label, WIDTH - width(number, LETTER) - _BETWEEN, LETTER)
        length = WIDTH * (one.values[0] / highest)
        hint = element("title", f"{one.label}: {number}")
        marks += [
            element("text", name, x=0, y=top + 20),
            element("text", number, class_="value", x=WIDTH, y=top + 20, text_anchor="end"),
            element("rect", class_="track", x=0, y=top + 27, width=WIDTH, height=12),
            element("rect", hint, class_="mark", x=0, y=top + 27, width=length, height=12, fill=_paint(about, one.tone)),
        ]
    return _svg(about, len(shown) * _ROW, _paints(about, shown), *marks)


def few(series: Sequence[Series], other: str) -> tuple[Series, ...]:
    """As many as can be told apart: the last of too many are one, which is called `other`."""
    if len(series) <= MOST_SERIES:
        return tuple(series)
    kept, rest = series[: MOST_SERIES - 1], series[MOST_SERIES - 1 :]
    length = max(len(one.values) for one in rest)
    columns = zip(*(_clean(one.values, length) for one in rest), strict=True)
    return (*kept, Series(other, tuple(map(sum, columns))))


def table(when: str, timeline: Timeline, series: Sequence[Series], reader: Reader, *, whole: bool = True) -> Table:
    """The same numbers, a row for each step, under a column headed `when`; unless `whole`, without rows of nothing."""
    columns = [_gaps(one.values, len(timeline.begins)) for one in series]
    rows = (
        (reader.moment(at, timeline.step), *(_none(one[step]) or reader.number(one[step] or 0.0) for one in columns))
        for step, at in enumerate(timeline.begins)
        if whole or any(one[step] for one in columns)
    )
    return Table((when, *(label(one.label) for one in series)), tuple(rows))


def table_of(what: str, count: str, items: Sequence[Item], reader: Reader) -> Table:
    """The numbers of bars that lie."""
    return Table((what, count), tuple((label(item.label), reader.number(_clean([item.value], 1)[0])) for item in items))


class _Shown(NamedTuple):
    label: str
    values: tuple[float, ...]
    tone: int


class _Plot:
    """Where things are: time runs to the right, numbers run up from nothing."""

    def __init__(self, timeline: Timeline, ticks: tuple[float, ...], reader: Reader) -> None:
        self._timeline = timeline
        self._reader = reader
        self._ticks = [(tick, reader.short(tick)) for tick in ticks]
        self._left = max(width(text, LETTER) for _, text in self._ticks) + 8
        self._begin, self._end = timeline.begins[0], timeline.begins[-1] + timeline.step

    def grid(self) -> Iterator[Markup]:
        for tick, text in self._ticks:
            y = self._y(tick)
            if tick:
                yield element("line", class_="grid", x1=self._left, x2=WIDTH, y1=y, y2=y)
            yield element("text", text, x=self._left - 6, y=y, text_anchor="end", dominant_baseline="central")

    def axis(self) -> Iterator[Markup]:
        yield _base(self._left, self._y(0))
        for tick in axes.times(self._begin, self._end, self._timeline.step, self._reader, self._x):
            if tick.x + width(tick.label, SMALL_LETTER) / 2 <= WIDTH:
                half = width(tick.label, LETTER) / 2
                kind = None if tick.is_major and tick.x + half <= WIDTH else "minor"
                x, anchor = (tick.x, "middle") if tick.x >= half else (0.0, "start")
                yield element("path", class_="base", d=path("M", tick.x, self._y(0), "v5"))
                yield element("text", tick.label, class_=kind, x=x, y=HEIGHT - 8, text_anchor=anchor)

    def bars(self, below: Sequence[float], values: Sequence[float]) -> str:
        """The outline of one series' share in all bars."""
        parts = []
        for step, (low, value) in enumerate(zip(below, values, strict=True)):
            if value > 0:
                x, wide = self._step(step)
                bottom, top = self._y(low), self._y(low + value)
                parts.append(path("M", x + wide * _GAP / 2, bottom, "V", top, "h", wide * (1 - _GAP), "V", bottom, "z"))
        return "".join(parts)

    def line(self, values: Sequence[float | None]) -> str:
        parts, is_drawing = [], False
        for step, (value, following) in enumerate(zip(values, (*values[1:], None), strict=True)):
            if value is not None:
                x, wide = self._step(step)
                if not is_drawing and following is None:
                    parts.append(path("M", x, self._y(value), "h", wide))  # alone, nobody would see a point
                else:
                    parts.append(path("L" if is_drawing else "M", x + wide / 2, self._y(value)))
            is_drawing = value is not None
        return "".join(parts)

    def hints(self, shown: Sequence[_Shown]) -> Markup:
        """What each step says when it is pointed at."""
        found = []
        for step, at in enumerate(self._timeline.begins):
            there = [f"{one.label} {self._reader.number(one.values[step])}" for one in shown if one.values[step]]
            if there:
                (x, wide), high = self._step(step), self._y(0) - _TOP
                hint = element("title", f"{self._reader.moment(at, self._timeline.step)}: {', '.join(there)}")
                found.append(element("path", hint, d=path("M", x, _TOP, "h", wide, "v", high, "h", -wide, "z")))
        return element("g", *found, fill="none", pointer_events="all")

    def _y(self, value: float) -> float:
        highest, _ = self._ticks[-1]
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - value / highest)

    def _x(self, at: datetime) -> float:
        return self._left + (WIDTH - _RIGHT - self._left) * ((at - self._begin) / (self._end - self._begin))

    def _step(self, number: int) -> tuple[float, float]:
        at = self._timeline.begins[number]
        return self._x(at), self._x(at + self._timeline.step) - self._x(at)


def _shown(timeline: Timeline, series: Sequence[Series]) -> list[_Shown]:
    tones = (place if one.tone is None else one.tone for place, one in enumerate(series))
    return [
        _Shown(label(one.label), _clean(one.values, len(timeline.begins)), tone % MOST_SERIES)
        for one, tone in zip(series, tones, strict=True)
    ]


def _is_whole(shown: Sequence[_Shown]) -> bool:
    return all(value == int(value) for one in shown for value in one.values)


def _clean(values: Sequence[float | None], count: int) -> tuple[float, ...]:
    """As many as there are steps, each of which can be drawn: what is no number, or less than nothing, is nothing."""
    return tuple(value or 0.0 for value in _gaps(values, count))


def _gaps(values: Sequence[float | None], count: int) -> tuple[float | None, ...]:
    found = [_bounded(value) if value is not None and isfinite(value) else None for value in values[:count]]
    return (*found, *[None] * (count - len(found)))


def _bounded(value: float) -> float:
    return 0.0 if value < _SMALLEST else min(float(value), _BIGGEST)


def _none(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else ""


def _svg(about: About, height: float, *children: Markup) -> Markup:
    name = _name(about)
    return element(
        "svg",
        element("title", label(about.title), id=f"{name}-title"),
        element("desc", label(about.description), id=f"{name}-description"),
        *children,
        xmlns="http://www.w3.org/2000/svg",
        class_="chart",
        role="img",
        viewBox=f"0 0 {WIDTH:g} {height:g}",
        aria_labelledby=f"{name}-title",
        aria_describedby=f"{name}-description",
    )


def _nothing(about: About) -> Markup:
    """As large as it would be with numbers, so that nothing moves when there are some."""
    words = cut(label(about.empty), WIDTH, LETTER)
    text = element("text", words, class_="empty", x=WIDTH / 2, y=HEIGHT / 2, text_anchor="middle")
    return _svg(about, HEIGHT, _base(0, HEIGHT - _BOTTOM), text)


def _base(left: float, y: float) -> Markup:
    return element("line", class_="base", x1=left, x2=WIDTH, y1=y, y2=y)


def _line(tone: int, d: str) -> Markup:
    return element("path", class_=f"line tone-{tone}", stroke_dasharray=_DASHES[tone] or None, d=d)


def _legend(entries: Iterable[tuple[Markup, str, str]]) -> Markup:
    """Beside the picture and not within it, where words of any length find their place."""
    rows = (
        element("li", swatch, element("span", name), *([element("span", number, class_="value")] if number else []))
        for swatch, name, number in entries
    )
    return element("ul", *rows, class_="legend")


def _swatch(wide: int, mark: Markup) -> Markup:
    where = {"viewBox": f"0 0 {wide} 14", "width": str(wide), "height": "14"}
    return element("svg", mark, xmlns="http://www.w3.org/2000/svg", class_="swatch", aria_hidden="true", **where)


def _paints(about: About, shown: Sequence[_Shown]) -> Markup:
    return element("defs", *(_pattern(about, tone) for tone in sorted({one.tone for one in shown})))


def _pattern(about: About, tone: int) -> Markup:
    ground = element("rect", class_=f"tone-{tone}", width=8, height=8)
    over = [element("path", class_="hatch", d=_PATTERNS[tone])] if _PATTERNS[tone] else []
    return element("pattern", ground, *over, id=_paint_name(about, tone), width=8, height=8, patternUnits="userSpaceOnUse")


def _paint(about: About, tone: int) -> str:
    return f"url(#{_paint_name(about, tone)})"


def _paint_name(about: About, tone: int) -> str:
    return f"{_name(about)}-paint-{tone}"


def _name(about: About) -> str:
    return "".join(letter for letter in about.name if letter.isascii() and (letter.isalnum() or letter == "-")) or "chart"
