"""Two people edit one listener, each in a browser: the second is told what changed meanwhile, and nothing is lost."""

from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.conftest import Place
from ostiary.model.listener import Listener
from ostiary.ops import listeners
from support.browsers import opened
from support.systems import ADMIN

pytestmark = pytest.mark.live

WAITING: Final = "[name=timeout_client_data]"


def test_the_second_is_told_what_the_first_changed_and_decides(browser: Browser, place: Place) -> None:
    def now() -> Listener:
        return listeners.get(place.town.system, ADMIN, place.town.listeners["partners"].id)

    def editing(page: Page) -> Page:
        place.sign_in(page)
        page.goto(f"{place.url}/console/listeners/{now().id}/edit")
        page.locator("dialog details").evaluate_all("(all) => all.forEach((one) => { one.open = true; })")
        return page

    def save(page: Page) -> None:
        page.get_by_role("dialog").get_by_role("button", name="Save").click()

    with opened(browser) as first_page, opened(browser, answers={409}) as second_page:
        first, second = editing(first_page), editing(second_page)
        first.fill("[name=description]", "Banks, treasuries, brokers")
        second.fill(WAITING, "45000")

        save(first)
        expect(first.get_by_role("status")).to_have_text("partner-api was saved.")
        assert now().description == "Banks, treasuries, brokers"

        save(second)
        told = second.get_by_role("alert")
        expect(told).to_be_focused()
        row = told.get_by_role("row").filter(has_text="Description")
        expect(row.get_by_role("cell").first).to_have_text("Banks and treasuries")
        expect(row.get_by_role("cell").last).to_have_text("Banks, treasuries, brokers")
        expect(second.locator(WAITING)).to_have_value("45000")
        assert (now().description, now().timeout_client_data) == ("Banks, treasuries, brokers", 50_000)

        second.fill("[name=description]", "Banks, treasuries, brokers")
        save(second)
        expect(second.get_by_role("status")).to_have_text("partner-api was saved.")
        assert (now().description, now().timeout_client_data) == ("Banks, treasuries, brokers", 45_000)
