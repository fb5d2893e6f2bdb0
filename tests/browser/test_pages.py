"""Every page of the console in a real browser: accessible by day and by night, on a phone too, and nothing in it jumps.

The pages are those that `console.app` answers (`support.console_pages`): a new one is looked at without a line here.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Error, Page, expect

from browser.conftest import Place
from ostiary.ops import sign_in_links
from support.browsers import opened
from support.console_pages import MAIN, addresses
from support.served import served
from support.systems import ADMIN
from support.town import an_empty_town

pytestmark = pytest.mark.live

AXE: Final = Path(__file__).with_name("vendor").joinpath("axe.min.js").read_text()
WCAG: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
DESK: Final = {"width": 1280, "height": 900}
PHONE: Final = {"width": 390, "height": 844}
# Before anything of the page runs: note what jumps, and have axe-core at hand.
_BEFORE: Final = f"""
window.shifts = [];
new PerformanceObserver((list) => {{
  for (const entry of list.getEntries())
    if (!entry.hadRecentInput)
      window.shifts.push([entry.value, ...entry.sources.map((source) => source.node?.outerHTML?.slice(0, 90))]);
}}).observe({{ type: "layout-shift", buffered: true }});
{AXE}
"""
_DRAWN: Final = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(window.shifts))))"
_TOO_WIDE: Final = """
() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll, .tabs, .skip"))
  .map((one) => one.outerHTML.slice(0, 90)).concat([`${document.documentElement.scrollWidth} px`])
"""
# All rules but that of colours, which is by far the slowest.
_RULES: Final = """
async ([tags]) => (await axe.run(document, {
  runOnly: tags, resultTypes: ["violations"], preload: false, rules: { "color-contrast": { enabled: false } },
})).violations
"""
# Colours come with the kind of an element: its tag and classes, and those of all around it. Each kind is looked at once.
_COLOURS: Final = """
async ([scheme]) => {
  const seen = new Set(JSON.parse(localStorage.getItem(scheme) ?? "[]"));
  const fresh = [], kinds = new Map([[document.body, "body"]]);
  for (const one of document.body.querySelectorAll("*")) {
    const kind = `${kinds.get(one.parentElement)}>${one.localName}.${[...one.classList].join(".")}`;
    kinds.set(one, kind);
    if (!seen.has(kind) && one.checkVisibility()) { seen.add(kind); fresh.push(one); }
  }
  if (fresh.length === 0) return [];
  localStorage.setItem(scheme, JSON.stringify([...seen]));
  const options = { runOnly: { type: "rule", values: ["color-contrast"] }, resultTypes: ["violations"], preload: false };
  return (await axe.run({ include: fresh }, options)).violations;
}
"""


@dataclass
class Findings:
    """What is wrong, page by page."""

    said: list[str] = field(default_factory=list)

    def look(self, page: Page, where: str, *, colours: bool = True) -> None:
        """Look at a page as it stands."""
        for shift in page.evaluate(_DRAWN):
            self.said.append(f"{where}: jumps {shift}")
        self.said += [f"{where}: too wide {one}" for one in page.evaluate(_TOO_WIDE)]
        self._note(where, page.evaluate(_RULES, [WCAG]))
        for scheme in ("dark", "light") if colours else ():
            page.emulate_media(color_scheme=scheme)
            self._note(f"{where} ({scheme})", page.evaluate(_COLOURS, [scheme]))

    def visit(self, page: Page, address: str, *, colours: bool = True) -> None:
        """Go there and look, unless what is there is a file."""
        try:
            answer = page.goto(address)
        except Error as error:
            if "Download is starting" not in str(error):
                raise
            return
        assert answer is not None
        if answer.status == 200:
            self.look(page, address, colours=colours)
        else:
            self.said.append(f"{address}: answered {answer.status}")

    def _note(self, where: str, violations: list[dict[str, Any]]) -> None:
        for violation in violations:
            for node in violation["nodes"]:
                self.said.append(f"{where}: {violation['id']}: {node['html'][:160]} {node['failureSummary']}")

    def __str__(self) -> str:
        return "\n".join(["", *self.said])


@pytest.mark.timeout(900)
def test_every_page_is_accessible_fits_a_phone_and_stands_still(browser: Browser, place: Place) -> None:
    findings = Findings()
    with opened(browser, viewport=PHONE) as page:
        page.add_init_script(_BEFORE)
        findings.visit(page, f"{place.url}/console/sign-in")
        link = bytes(sign_in_links.make(place.town.system, ADMIN)).decode()
        findings.visit(page, f"{place.url}/console/sign-in/{link}")
        page.get_by_role("main").get_by_role("button").first.click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        for address in addresses(place.town):
            findings.visit(page, f"{place.url}{address}")
        page.set_viewport_size(DESK)  # type: ignore[arg-type]  # Playwright's own dictionary
        for path in MAIN:
            findings.visit(page, f"{place.url}{place.town.filled(path)}")
    assert not findings.said, str(findings)


def test_where_there_is_nothing_yet_pages_are_accessible_too(browser: Browser, tmp_path: Path) -> None:
    findings = Findings()
    with an_empty_town(tmp_path) as town, served(town.system) as url, opened(browser, viewport=PHONE) as page:
        town.accept()
        page.add_init_script(_BEFORE)
        Place(town, url).sign_in(page)
        places = page.locator("header.side nav a").evaluate_all("(links) => links.map((link) => link.href)")
        for address in places:
            findings.visit(page, address, colours=False)  # they are those of a search that finds nothing
    assert len(places) > 10
    assert not findings.said, str(findings)


def test_a_form_with_errors_is_accessible_too(browser: Browser, place: Place) -> None:
    findings = Findings()
    with opened(browser, viewport=DESK, answers={422}) as page:
        page.add_init_script(_BEFORE)
        place.sign_in(page)
        page.goto(f"{place.url}{place.town.filled('/console/listeners/{listener_id}/edit')}")
        page.locator("dialog details").evaluate_all("(all) => all.forEach((one) => { one.open = true; })")
        page.fill("[name=connection_limit]", "many")
        page.fill("[name=allowed_cidrs]", "here and there")
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".problems")).to_be_focused()
        assert page.locator("[aria-invalid=true]").count() == 2
        findings.look(page, "listener edit, with errors")
    assert not findings.said, str(findings)
