"""Every page of the console in a real browser: accessible by day and by night, on a phone too, and nothing in it jumps.

The pages are those that `console.app` answers: a new one is looked at without a line here.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page

from browser.conftest import Place
from support.browsers import opened
from support.console_pages import addresses, pages
from support.served import served
from support.town import an_empty_town, first_day

pytestmark = pytest.mark.live

AXE: Final = Path(__file__).with_name("vendor").joinpath("axe.min.js").read_text()
WCAG: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
DESK: Final = {"width": 1280, "height": 900}
PHONE: Final = {"width": 390, "height": 844}
_SHIFTS: Final = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    if (!entry.hadRecentInput)
      window.shifts.push([entry.value, ...entry.sources.map((source) => source.node?.outerHTML?.slice(0, 90))]);
}).observe({ type: "layout-shift", buffered: true });
"""
_DRAWN: Final = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(window.shifts))))"
_TOO_WIDE: Final = """
() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll, .tabs, .skip"))
  .map((one) => one.outerHTML.slice(0, 90)).concat([`${document.documentElement.scrollWidth} px`])
"""


@dataclass
class Findings:
    """What is wrong, page by page."""

    said: list[str] = field(default_factory=list)

    def look(self, page: Page, where: str, *, dark: bool = True, phone: bool = True) -> None:
        """Look at a page as it stands."""
        for shift in page.evaluate(_DRAWN):
            self.said.append(f"{where}: jumps {shift}")
        self._axe(page, where, {"runOnly": WCAG})
        if dark:
            page.emulate_media(color_scheme="dark")
            self._axe(page, f"{where} (dark)", {"runOnly": {"type": "rule", "values": ["color-contrast"]}})
            page.emulate_media(color_scheme="light")
        if phone:
            page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # Playwright's own dictionary
            self.said += [f"{where} (phone): too wide {one}" for one in page.evaluate(_TOO_WIDE)]
            page.set_viewport_size(DESK)  # type: ignore[arg-type]

    def _axe(self, page: Page, where: str, options: dict[str, Any]) -> None:
        if not page.evaluate("typeof axe === 'object'"):
            page.evaluate(AXE)
        found = page.evaluate("(options) => axe.run(document, options)", {"resultTypes": ["violations"], **options})
        for violation in found["violations"]:
            for node in violation["nodes"]:
                self.said.append(f"{where}: {violation['id']}: {node['html'][:160]} {node['failureSummary']}")


def visit(page: Page, place: Place, address: str, findings: Findings) -> None:
    """Go there and look. What is a piece of a page, or a file, is no page."""
    first = page.request.get(f"{place.url}{address}", max_redirects=0)
    if first.status != 200:
        findings.said.append(f"{address}: answered {first.status}")
    elif first.text().startswith("<!doctype html>"):
        page.goto(f"{place.url}{address}")
        findings.look(page, address)


def test_every_page_is_accessible_fits_a_phone_and_stands_still(browser: Browser, place: Place) -> None:
    findings = Findings()
    with opened(browser, viewport=DESK, reduced_motion="reduce") as page:
        page.add_init_script(_SHIFTS)
        page.goto(f"{place.url}/console/sign-in")
        findings.look(page, "/console/sign-in")
        place.sign_in(page)
        for address in addresses(place.town):
            visit(page, place, address, findings)
    assert not findings.said, "\n" + "\n".join(findings.said)


def test_where_there_is_nothing_yet_pages_are_accessible_too(browser: Browser, tmp_path: Path) -> None:
    findings = Findings()
    with an_empty_town(tmp_path) as town, served(town.system) as url, opened(browser, viewport=DESK) as page:
        first_day(town)
        page.add_init_script(_SHIFTS)
        empty = Place(town, url)
        empty.sign_in(page)
        for route in pages():
            if "{" not in route.path:
                visit(page, empty, route.path, findings)
    assert not findings.said, "\n" + "\n".join(findings.said)
