"""A real browser, and a town to look at in it: one of each for the tests of a file, which leave it as it was."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from support.browsers import PATIENCE, Home, chromium
from support.served import TOKEN, served
from support.town import Town, a_town

expect.set_options(timeout=PATIENCE)


@dataclass(frozen=True)
class Place:
    """A town, and where its console is."""

    town: Town
    url: str

    def sign_in(self, page: Page) -> None:
        """With the token in the data directory."""
        page.goto(f"{self.url}/console/sign-in")
        page.fill("#token", TOKEN)
        page.press("#token", "Enter")
        page.wait_for_url(f"{self.url}/console/balancers")


@pytest.fixture(scope="module")
def browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser of somebody who holds no certificate."""
    with chromium(playwright, Home(tmp_path_factory.mktemp("home"))) as running:
        yield running


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with a_town(tmp_path_factory.mktemp("town")) as town, served(town.system) as url:
        yield Place(town, url)
