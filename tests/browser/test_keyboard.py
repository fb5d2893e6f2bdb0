"""By the keyboard alone: through the whole flow, the focus seen at every step, never lost, and kept within what is open."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from browser.conftest import Place
from ostiary.model.listener import Listener
from ostiary.ops import listeners
from support.browsers import opened
from support.systems import ADMIN

pytestmark = pytest.mark.live

STOPS: Final = 200  # more than any page has
_FOCUS: Final = """
() => {
  const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
  return {
    what: one.outerHTML.slice(0, 120),
    lost: one === document.body,
    inside: one.closest("dialog") !== null,
    seen: box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight,
    marked: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
  };
}
"""


class Hands:
    """Somebody who has no mouse. Wherever the focus is, it has to be seen."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, wanted: Locator, key: str = "Tab", *, inside: bool = False) -> None:
        """On from stop to stop, until it is reached."""
        target = wanted.element_handle()
        for _ in range(STOPS):
            self.press(key)
            focus = self.focus()
            assert focus["seen"], focus
            assert focus["marked"], focus
            assert focus["inside"] or not inside, focus
            if self.page.evaluate("(one) => one === document.activeElement", target):
                return
        raise AssertionError(f"{wanted} is not reached by {key}")

    def focus(self) -> dict[str, Any]:
        found: dict[str, Any] = self.page.evaluate(_FOCUS)
        assert not found["lost"], "the focus is nowhere"
        return found


@pytest.fixture
def hands(browser: Browser, place: Place) -> Iterator[Hands]:
    with opened(browser, viewport={"width": 1280, "height": 900}, answers={422}) as page:
        place.sign_in(page)
        yield Hands(page)


def its(place: Place, name: str) -> Listener:
    return listeners.get(place.town.system, ADMIN, place.town.listeners[name].id)


def test_from_the_homepage_to_a_saved_switch(hands: Hands, place: Place) -> None:
    page = hands.page
    main = page.get_by_role("main")
    hands.press("Tab")
    skip = page.locator("a.skip")
    expect(skip).to_be_focused()
    assert hands.focus()["seen"]
    hands.press("Enter")
    expect(main).to_be_focused()
    hands.tab_to(page.get_by_role("link", name="payments", exact=True))
    hands.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("payments")
    hands.press("Tab", "Enter")
    hands.tab_to(page.get_by_role("navigation", name="Parts of this load balancer").get_by_role("link", name="Listener"))
    hands.press("Enter")
    expect(page.get_by_role("link", name="Listener", exact=True)).to_have_attribute("aria-current", "page")
    hands.press("Tab", "Enter")
    hands.tab_to(page.get_by_role("link", name="Edit shop"))
    hands.press("Enter")

    popup = page.get_by_role("dialog")
    expect(popup).to_be_visible()
    assert hands.focus()["inside"]
    switch = popup.get_by_role("checkbox", name="Enable Client CA")
    hands.tab_to(switch, inside=True)
    hands.press("Space")
    expect(switch).to_be_checked()
    partners = popup.get_by_role("radio", name="Partners", exact=True)
    hands.tab_to(popup.locator("[name=client_ca_tls_container_ref]").first, inside=True)
    for _ in range(STOPS):
        if partners.is_checked():
            break
        hands.press("ArrowDown")
    assert hands.focus()["inside"]
    hands.tab_to(popup.get_by_role("button", name="Save"), inside=True)
    hands.press("Enter")

    expect(page.get_by_role("status")).to_have_text("shop was saved.")
    now = its(place, "shop")
    assert now.client_authentication == "MANDATORY"
    assert now.client_ca_tls_container_ref == f"/v1/authorities/{place.town.authorities['Partners'].id}"


def test_the_focus_stays_in_a_pop_up_and_escape_leads_back(hands: Hands, place: Place) -> None:
    page, before = hands.page, its(place, "terminals")
    page.goto(f"{place.url}/console/listeners/{before.id}/edit")
    popup = page.get_by_role("dialog")
    first = hands.focus()
    assert first["inside"]
    page.get_by_label("Description").first.fill("not to be kept")
    cancel = popup.get_by_role("link", name="Cancel")
    hands.tab_to(cancel, inside=True)
    hands.tab_to(page.get_by_label("Description").first, "Shift+Tab", inside=True)
    hands.press("Escape")
    expect(popup).to_have_count(0)
    expect(page.get_by_role("link", name="Edit terminals")).to_be_visible()
    assert its(place, "terminals") == before


def test_what_is_wrong_takes_the_focus_and_leads_to_its_field(hands: Hands, place: Place) -> None:
    page, before = hands.page, its(place, "terminals")
    page.goto(f"{place.url}/console/listeners/{before.id}/edit")
    popup = page.get_by_role("dialog")
    hands.tab_to(popup.locator("summary").filter(has_text="Timeouts and limits"), inside=True)
    hands.press("Enter")
    limit = popup.get_by_label("Connection limit")
    hands.tab_to(limit, inside=True)
    page.keyboard.type("many")
    hands.tab_to(popup.get_by_role("button", name="Save"), inside=True)
    hands.press("Enter")

    expect(popup.locator(".problems")).to_be_focused()
    hands.press("Tab")
    assert hands.focus()["what"].startswith('<a href="#field-connection_limit"')
    hands.press("Enter")
    expect(limit).to_be_focused()
    assert limit.input_value().endswith("many")
    expect(limit).to_have_attribute("aria-invalid", "true")
    described = str(limit.get_attribute("aria-describedby")).split()
    assert any("whole number" in page.locator(f"#{one}").inner_text() for one in described)
    assert its(place, "terminals") == before


def test_without_scripts_the_focus_is_in_the_pop_up_too(browser: Browser, place: Place) -> None:
    with opened(browser, java_script_enabled=False) as page:
        place.sign_in(page)
        page.goto(f"{place.url}/console/listeners/{its(place, 'terminals').id}/edit")
        hands = Hands(page)
        hands.tab_to(page.get_by_role("dialog").get_by_role("button", name="Save"), inside=True)
