"""Pictures in a real browser: on a phone and on a wide screen every word can be read, and none stands on another."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from markupsafe import Markup
from playwright.sync_api import Browser, Page

from ostiary.web import charts
from ostiary.web.axes import Reader
from ostiary.web.charts import About, Item, Series, Timeline
from ostiary.web.pages import STATIC, _environment
from support.browsers import opened

BEGIN: Final = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
SHEETS: Final = "".join((STATIC / name).read_text() for name in ("app.css", "console.css", "charts.css"))
# What each visible word in a picture takes up, in pixels, and how large it is written.
_WORDS: Final = """svg => [...svg.querySelectorAll("text")].filter(one => one.getClientRects().length).map(one => {
  const {left, right, top, bottom} = one.getBoundingClientRect(), scale = svg.getBoundingClientRect().width / 640;
  return {words: one.textContent, left, right, top, bottom, size: parseFloat(getComputedStyle(one).fontSize) * scale};
})"""


def figures(reader: Reader) -> Iterator[Markup]:
    macros: Any = _environment(reader.language).get_template("console/charts.html").module
    for name, (count, step) in enumerate(
        (
            (96, timedelta(minutes=15)),
            (60, timedelta(minutes=1)),
            (26, timedelta(weeks=1)),
            (30, timedelta(days=1)),
            (1, timedelta(hours=1)),
        )
    ):
        timeline = Timeline([BEGIN + number * step for number in range(count)], step)
        series = [Series("admitted", [10 ** (name * 3) * one for one in range(count)]), Series("x" * 300, [1] * count)]
        for draw in (charts.stacked_bars, charts.lines):
            about = About(f"{draw.__name__}-{name}".replace("_", "-"), "Requests", "How many there were.", "None")
            yield macros.chart(draw(about, timeline, series, reader), "Requests", *charts.table("From", timeline, series, reader))
    items = [Item("<b>a name that nobody will ever read to its end, as long as it is</b>" * 3, 12_345_678), Item("expired", 1)]
    yield macros.chart(charts.bars(About("bars", "Reasons", "", ""), items, reader), "Reasons", ("Reason", "Count"), ())
    empty = charts.lines(
        About("empty", "Requests", "", "No requests came through this listener in the last 24 hours"), timeline, [], reader
    )
    yield macros.chart(empty, "Requests", ("From",), ())


@pytest.fixture(params=["en", "vi"])
def document(request: pytest.FixtureRequest) -> str:
    reader = Reader(request.param, ZoneInfo("Asia/Ho_Chi_Minh"))
    meta = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    return f'<!doctype html>{meta}<style>{SHEETS}</style><body class="console"><main>{"".join(figures(reader))}</main>'


def words(page: Page) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    for picture in page.query_selector_all("svg.chart"):
        box = picture.bounding_box()
        assert box is not None
        yield box, picture.evaluate(_WORDS)


@pytest.mark.parametrize("wide", [320, 390, 600, 800, 1440])
def test_every_word_can_be_read_and_none_stands_on_another(browser: Browser, document: str, wide: int) -> None:
    with opened(browser, viewport={"width": wide, "height": 900}) as page:
        page.set_content(document)
        assert page.evaluate("document.documentElement.scrollWidth") <= wide
        for box, shown in words(page):
            assert shown
            for one in shown:
                assert 10 <= one["size"] <= 15, one
                assert box["x"] - 4 <= one["left"], one
                assert one["right"] <= box["x"] + box["width"] + 4, one
            for one, other in combinations(shown, 2):
                apart = one["right"] < other["left"] or other["right"] < one["left"]
                assert apart or one["bottom"] < other["top"] + 4 or other["bottom"] < one["top"] + 4, (one, other)
