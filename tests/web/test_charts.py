"""Pictures: whatever the numbers and the names are, they are well-formed, true to the numbers, and nothing gets out of them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from ostiary.web import axes, charts
from ostiary.web.axes import LETTER, SMALL_LETTER, Reader
from ostiary.web.charts import HEIGHT, WIDTH, About, Item, Series, Table, Timeline
from ostiary.web.pages import STATIC, _environment
from ostiary.web.svg import width

SVG = "{http://www.w3.org/2000/svg}"
BEGIN = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
ABOUT = About("picture", "Requests", "How many there were.", "No requests in this time")
ENGLISH = Reader()
HANOI = Reader("vi", ZoneInfo("Asia/Ho_Chi_Minh"))
TAGS = {"svg", "title", "desc", "defs", "pattern", "rect", "path", "line", "text", "g", "ul", "li", "span"}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onload='alert(1)",
    "</svg></figure><h1>&amp;&lt;",
    "]]><!--",
    "\x00\x1b\ud800\uffff\u202e",
    "宽" * 300,
    "x" * 100_000,
)
STEPS = [timedelta(minutes=1), timedelta(minutes=15), timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)]

names = st.one_of(st.text(), st.sampled_from(HOSTILE), st.sampled_from(HOSTILE).map(Markup))
values = st.one_of(st.none(), st.floats(), st.integers(-(10**30), 10**30))
counts = st.integers(0, 10**6)
drawings = st.sampled_from((charts.stacked_bars, charts.lines))


def steps(count: int, step: timedelta = STEPS[1]) -> Timeline:
    return Timeline([BEGIN + number * step for number in range(count)], step)


def read(markup: str) -> ET.Element:
    return ET.fromstring(f"<div>{markup}</div>")  # noqa: S314 (we wrote it)


def texts(element: ET.Element) -> list[str]:
    return ["".join(one.itertext()) for one in element.iter(f"{SVG}text")]


def is_harmless(markup: str) -> bool:
    for element in read(markup).iter():
        if element.tag != "div":
            assert element.tag.removeprefix(SVG) in TAGS
        assert "style" not in element.attrib
        assert not any(name.lower().startswith("on") or "href" in name for name in element.attrib)
        assert all(one.startswith("url(#") for one in re.findall(r"url\([^)]*", " ".join(element.attrib.values())))
    return True


def heights(d: str) -> dict[str, float]:
    """Of a series' shares in the bars: how high each is, by where it begins."""
    found = re.findall(r"M(-?[\d.]+) (-?[\d.]+)V(-?[\d.]+)h(-?[\d.]+)V(-?[\d.]+)z", d)
    assert "".join(f"M{x} {low}V{high}h{wide}V{again}z" for x, low, high, wide, again in found) == d
    assert all(low == again for _, low, _, _, again in found)
    return {x: float(low) - float(high) for x, low, high, _, _ in found}


@given(
    drawings,
    st.lists(st.tuples(names, st.lists(values, max_size=40)), max_size=12),
    st.integers(0, 40),
    st.sampled_from(STEPS),
    names,
)
def test_any_numbers_and_any_names_make_a_picture_in_which_nothing_runs(
    draw: Callable[..., Markup], series: list[tuple[str, list[float | None]]], count: int, step: timedelta, name: str
) -> None:
    given_series = [Series(label, numbers) for label, numbers in series]
    about = About(name, name, name, name)
    for reader in (ENGLISH, HANOI):
        markup = draw(about, steps(count, step), given_series, reader)
        assert isinstance(markup, Markup)
        assert is_harmless(markup)
        assert not re.search(r"nan|inf\b|None", " ".join(one.attrib.get("d", "") for one in read(markup).iter()))
        table = charts.table(name, steps(count, step), given_series, reader)
        assert {len(row) for row in table.rows} <= {len(table.columns)} == {len(series) + 1}
        assert len(table.rows) == count


@given(st.lists(st.tuples(names, st.floats()), max_size=12))
def test_bars_that_lie_take_any_names_and_numbers(items: list[tuple[str, float]]) -> None:
    given_items = [Item(label, number, tone) for tone, (label, number) in enumerate(items)]
    assert is_harmless(charts.bars(ABOUT, given_items, ENGLISH))
    assert len(charts.table_of("Reason", "Count", given_items, ENGLISH).rows) == len(items)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_as_it_is_and_nothing_of_it_is_markup(name: str) -> None:
    shown = "".join(letter if letter not in "\x00\x1b\ud800\uffff\u202e" else "�" for letter in name)
    shown = shown if len(name) <= 200 else f"{shown[:200]}…"
    for given_name in (name, Markup("{}").format(name) if "\ud800" not in name else name):
        legend = read(charts.stacked_bars(ABOUT, steps(2), [Series(given_name, [1, 2])], ENGLISH)).find("ul/li/span")
        assert legend is not None
        assert legend.text == shown


@given(st.lists(st.lists(counts, min_size=20, max_size=20), min_size=1, max_size=8))
def test_a_bar_is_as_high_as_its_sum_and_stands_on_nothing(columns: list[list[int]]) -> None:
    picture = read(
        charts.stacked_bars(ABOUT, steps(20), [Series(str(one), numbers) for one, numbers in enumerate(columns)], ENGLISH)
    )
    sums = [sum(step) for step in zip(*columns, strict=True)]
    marks = [one.attrib["d"] for one in picture.iter(f"{SVG}path") if one.attrib.get("class") == "mark"]
    if not any(sums):
        assert (marks, texts(picture)) == ([], ["No requests in this time"])
        return
    total: dict[str, float] = {}
    for d in marks:
        for x, height in heights(d).items():
            total[x] = total.get(x, 0) + height
    unit = (HEIGHT - charts._TOP - charts._BOTTOM) / axes.numbers(max(sums), whole=True)[-1]
    drawn = [total[x] for x in sorted(total, key=float)]
    assert drawn == pytest.approx([one * unit for one in sums if one], abs=0.11 * len(columns))
    lowest = {float(low) for d in marks[:1] for low in re.findall(r"M[\d.]+ ([\d.]+)", d)}
    assert lowest <= {HEIGHT - charts._BOTTOM}


@given(st.floats(1e-9, 1e18), st.booleans())
def test_numbers_at_an_axis_are_round_begin_at_nothing_and_reach_the_highest(highest: float, whole: bool) -> None:  # noqa: FBT001
    ticks = axes.numbers(highest, whole=whole)
    assert ticks[0] == 0
    assert ticks[-2] < highest <= ticks[-1]
    assert 2 <= len(ticks) <= 6
    assert f"{ticks[1]:e}"[0] in "125"
    assert all(after - before == pytest.approx(ticks[1]) for before, after in pairwise(ticks))
    assert not whole or all(one == int(one) for one in ticks)


def places(begin: datetime, end: datetime, step: timedelta, reader: Reader) -> list[axes.Tick]:
    return axes.times(begin, end, step, reader, lambda at: 60 + (WIDTH - 68) * ((at - begin) / (end - begin)))


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 (the zone is beside it)
    st.sampled_from(STEPS),
    st.integers(1, 200),
    st.sampled_from(["en", "vi"]),
    st.sampled_from(["UTC", "Asia/Ho_Chi_Minh", "Europe/Berlin", "America/St_Johns", "Pacific/Chatham", "Asia/Kathmandu"]),
)
def test_labels_of_times_never_touch_on_a_phone_or_on_a_wide_screen(
    begin: datetime, step: timedelta, count: int, language: str, zone: str
) -> None:
    ticks = places(begin, begin + count * step, step, Reader(language, ZoneInfo(zone)))
    assert ticks
    assert ticks[0].is_major
    for letter, shown in ((SMALL_LETTER, ticks), (LETTER, [one for one in ticks if one.is_major])):
        begins = [max(0.0, one.x - width(one.label, letter) / 2) for one in shown]
        for (begin_here, one), begin_there in zip(zip(begins, shown, strict=True), begins[1:], strict=False):
            assert begin_here + width(one.label, letter) < begin_there


@pytest.mark.parametrize(
    ("last", "step", "labels"),
    [
        (timedelta(hours=1), timedelta(minutes=1), ["25 thg 11", "0:10", "0:20"]),
        (timedelta(hours=24), timedelta(minutes=15), ["25 thg 11", "3:00", "6:00"]),
        (timedelta(days=7), timedelta(hours=2), ["25 thg 11", "26 thg 11"]),
        (timedelta(weeks=26), timedelta(weeks=1), ["thg 12", "2027", "thg 2"]),
    ],
)
def test_times_are_those_of_the_readers_clock(last: timedelta, step: timedelta, labels: list[str]) -> None:
    shown = [one.label for one in places(BEGIN, BEGIN + last, step, HANOI)]
    assert shown[: len(labels)] == labels


def test_a_clock_that_is_put_back_or_forward_shows_each_time_once() -> None:
    berlin = Reader("en", ZoneInfo("Europe/Berlin"))
    for day in (datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 3, 28, 23, tzinfo=UTC)):
        shown = [one.label for one in places(day, day + timedelta(hours=24), timedelta(minutes=15), berlin)]
        assert len(shown) == len(set(shown)) >= 5
        assert shown[0].startswith(("Oct 25", "Mar 29"))


def test_what_there_is_no_number_for_is_a_gap_and_what_stands_alone_can_be_seen() -> None:
    lines = charts.lines(ABOUT, steps(7), [Series("a", [1, 2, None, 3, float("nan"), 4, 5])], ENGLISH)
    (d,) = [one.attrib["d"] for one in read(lines).iter(f"{SVG}path") if one.attrib.get("class") == "line tone-0"][:1]
    assert re.sub(r"[-\d. ]+", "", d) == "MLMhML"
    assert charts.table("From", steps(3), [Series("a", [1, None])], ENGLISH).rows[1:] == (
        ("Nov 24 17:15", "\N{EN DASH}"),
        ("Nov 24 17:30", "\N{EN DASH}"),
    )


def test_what_is_empty_says_so_and_is_as_large_as_what_is_not() -> None:
    full = charts.stacked_bars(ABOUT, steps(2), [Series("a", [1, 2])], ENGLISH)
    nothing: list[Markup] = [
        charts.stacked_bars(ABOUT, steps(0), [], ENGLISH),
        charts.stacked_bars(ABOUT, steps(2), [Series("a", [0, -5])], ENGLISH),
        charts.lines(ABOUT, steps(2), [Series("a", [None, float("inf")])], ENGLISH),
        charts.bars(ABOUT, [], ENGLISH),
    ]
    for one in nothing:
        assert texts(read(one)) == ["No requests in this time"]
        assert re.findall('viewBox="[^"]*"', one) == re.findall('viewBox="0[^"]*256"', full)[:1]


def test_a_picture_says_what_it_is_of_and_what_each_step_holds() -> None:
    picture = read(charts.stacked_bars(ABOUT, steps(2), [Series("Admitted", [1200, 0]), Series("expired", [3, 0])], ENGLISH))
    (svg, *_) = picture.iter(f"{SVG}svg")
    assert svg.attrib["role"] == "img"
    by_id = {one.attrib["id"]: one.text for one in svg.iter() if "id" in one.attrib}
    assert (by_id[svg.attrib["aria-labelledby"]], by_id[svg.attrib["aria-describedby"]]) == (ABOUT.title, ABOUT.description)
    hints = [one.text for one in svg.iterfind(f"{SVG}g/{SVG}path/{SVG}title")]
    assert hints == ["Nov 24 17:00: Admitted 1,200, expired 3"]
    legend = [["".join(one.itertext()) for one in entry.iterfind("span")] for entry in picture.iterfind("ul/li")]
    assert legend == [["Admitted", "1,200"], ["expired", "3"]]


def test_every_colour_is_also_told_by_a_pattern_or_by_dashes() -> None:
    many = [Series(str(one), [1]) for one in range(charts.MOST_SERIES)]
    patterns = [
        ET.tostring(one[1]) if len(one) > 1 else b""
        for one in read(charts.stacked_bars(ABOUT, steps(1), many, ENGLISH)).iter(f"{SVG}pattern")
    ]
    dashes = {one.attrib.get("stroke-dasharray") for one in read(charts.lines(ABOUT, steps(1), many, ENGLISH)).iter(f"{SVG}path")}
    assert len(set(patterns)) == len(patterns) == charts.MOST_SERIES
    assert len(dashes) == charts.MOST_SERIES


def test_more_than_can_be_told_apart_is_one_sum() -> None:
    many = [Series(str(one), [one, 1]) for one in range(12)]
    few = charts.few(many, "Other")
    assert (len(few), few[-1].label, few[-1].values) == (charts.MOST_SERIES, "Other", (7 + 8 + 9 + 10 + 11, 5))
    assert charts.few(many[:8], "Other") == tuple(many[:8])


def test_a_table_leaves_out_what_holds_nothing_where_it_may() -> None:
    series = [Series("a", [1, 0, 2.5]), Series("b", [0, 0, 1234])]
    assert charts.table("Từ", steps(3), series, HANOI, whole=False) == Table(
        ("Từ", "a", "b"), (("25 thg 11 0:00", "1", "0"), ("25 thg 11 0:30", "2,5", "1.234"))
    )


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return sum(share * one for share, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def colours(sheet: str) -> list[dict[str, str]]:
    """Custom properties by day and by night."""
    parts = (STATIC / sheet).read_text().split("@media (prefers-color-scheme: dark)")
    roots = (re.findall(r":root \{(.*?)\}", part, re.DOTALL)[0] for part in parts)
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", root)) for root in roots]


def test_every_colour_stands_out_from_the_paper_by_day_and_by_night() -> None:
    for tones, site in zip(colours("charts.css"), colours("app.css"), strict=True):
        found = {name: colour for name, colour in tones.items() if name.startswith("tone-")}
        assert len(found) == charts.MOST_SERIES == len(set(found.values()))
        for name, colour in found.items():
            dark, light = sorted((luminance(colour), luminance(site["paper"])))
            assert (light + 0.05) / (dark + 0.05) >= 3, name


@pytest.mark.parametrize("language", ["en", "vi"])
def test_a_figure_holds_the_picture_and_the_same_numbers(language: str) -> None:
    series = [Series('<b>"a"</b>', [1, 2])]
    picture = charts.stacked_bars(ABOUT, steps(2), series, ENGLISH)
    macros = _environment(language).get_template("console/charts.html").module
    columns, rows = charts.table("From", steps(2), series, ENGLISH)
    figure = str(macros.chart(picture, "<i>Requests</i>", columns, rows))  # type: ignore[attr-defined]
    assert is_figure(figure)
    assert "&lt;i&gt;Requests" in figure
    cells = [["".join(cell.itertext()) for cell in row] for row in ET.fromstring(figure).iter("tr")]  # noqa: S314 (we wrote it)
    assert cells == [["From", '<b>"a"</b>'], ["Nov 24 17:00", "1"], ["Nov 24 17:15", "2"]]


def is_figure(figure: str) -> bool:
    tags = {one.tag.removeprefix(SVG) for one in ET.fromstring(figure).iter()}  # noqa: S314 (we wrote it)
    assert tags >= {"figure", "figcaption", "details", "summary", "table", "svg"}
    return not re.search(r"\sstyle=|<script|<style", figure)


def test_a_busy_day_leaves_room_on_its_page() -> None:
    """A page may weigh 100 kB; this is as much as there can be in one picture of a day, quarter by quarter."""
    series = [Series("source_not_allowed", [12_345] * 96) for _ in range(charts.MOST_SERIES)]
    macros = _environment("en").get_template("console/charts.html").module
    table = charts.table("From", steps(96), series, ENGLISH)
    figure = str(macros.chart(charts.stacked_bars(ABOUT, steps(96), series, ENGLISH), "x", *table))  # type: ignore[attr-defined]
    assert len(figure) < 80_000
