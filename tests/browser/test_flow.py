"""The mission in a real browser, from an empty data directory: a CA, a door, a certificate, the switch, and who is let in."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Error, Locator, Page, Playwright, expect

from ostiary.gateway import lock
from ostiary.paths import Paths
from ostiary.web import words
from support.backend import Backend
from support.browsers import Home, chromium, opened
from support.ports import free_port
from support.stack import Ostiary
from support.wait import eventually

pytestmark = pytest.mark.live

PASSPHRASE: Final = "a horse, a battery, a staple"
# How Chromium tells that a door stayed shut.
_SHUT: Final = re.compile(r"net::ERR_(BAD_SSL_CLIENT_AUTH_CERT|SOCKET_NOT_CONNECTED|CONNECTION_CLOSED|CONNECTION_RESET|SSL_\w+)")


@dataclass
class Person:
    """Somebody at the console, who reads it in a language."""

    page: Page
    language: str
    url: str
    scripts: bool

    def say(self, sentence: str, **values: object) -> str:
        """What stands there for a sentence."""
        said = words.of(self.language).gettext(sentence)
        return said % values if values else said

    def link(self, text: str, within: Locator | None = None) -> Locator:
        return (within or self.page.locator("main")).get_by_role("link", name=self.say(text), exact=True)

    def button(self, text: str, within: Locator | None = None) -> Locator:
        return (within or self.page.locator("main")).get_by_role("button", name=self.say(text), exact=True)

    def goes_to(self, text: str) -> None:
        """By the navigation at the side."""
        self.link(text, self.page.get_by_role("navigation").first).click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(self.say(text))

    def signs_in(self, link: str) -> None:
        """With a link that works once."""
        self.page.goto(link)
        self.button("Sign in").click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(self.say("Load Balancers"))

    def creates_a_ca(self, name: str) -> None:
        self.goes_to("CA certificates")
        self.link("Create a CA").first.click()
        self.page.fill("#field-name", name)
        self.button("Create").click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(name)

    def creates_a_load_balancer(self, name: str, port: int, backend_port: int) -> None:
        """Step by step; what the steps propose is good."""
        self.goes_to("Load Balancers")
        self.link("Create a Load Balancer").first.click()
        self.page.locator("[name='balancer.name']").fill(name)
        self.button("Next").click()
        assert self.page.locator("[name='listener.protocol'][value=TERMINATED_HTTPS]").is_checked()
        self.page.locator("[name='listener.protocol_port']").fill(str(port))
        self.page.locator("[name='listener.name']").fill("door")
        self.button("Next").click()
        self.page.locator("[name='monitor.type'][value='']").check()
        self.button("Next").click()
        self.page.locator("[name='members.0.address']").fill("127.0.0.1")
        self.page.locator("[name='members.0.protocol_port']").fill(str(backend_port))
        section = self.page.locator("section").filter(has=self.page.locator("#step-title"))
        self.button("Create Load Balancer", section).click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(name)

    def issues_a_certificate(self, authority: str, name: str, file: Path) -> None:
        """As a file with its key, which is downloaded."""
        self.goes_to("Client certificates")
        self.link("Issue a certificate").first.click()
        self.page.locator("[name=authority_id]").select_option(label=authority)
        self.page.locator("[name='names.common_name']").fill(name)
        self.page.locator("[name=passphrase]").fill(PASSPHRASE)
        self.page.locator("[name=noted]").check()
        with self.page.expect_download() as download:
            self.button("Make and download").click()
        download.value.save_as(file)

    def opens_the_pop_up(self, balancer: str) -> Locator:
        """Steps 1 to 4 of the mission: homepage, load balancer, Listener tab, Edit icon."""
        self.page.goto(f"{self.url}/vserver/load-balancer/vlb")
        expect(self.page.get_by_role("heading", level=1)).to_have_text(self.say("Load Balancers"))
        self.link(balancer).click()
        tabs = self.page.get_by_role("navigation", name=self.say("Parts of this load balancer"))
        self.link("Listener", tabs).click()
        row = self.row()
        row.get_by_role("link", name=self.say("Edit") + " door").click()
        popup = self.page.get_by_role("dialog")
        expect(popup.get_by_role("heading", level=2).first).to_have_text(f"{self.say('Edit Listener')}: door")
        return popup

    def switches(self, balancer: str, *, on: str | None) -> None:
        """All seven steps: Client CA on, with this authority, or off."""
        popup = self.opens_the_pop_up(balancer)
        advanced = popup.locator("details").filter(has=self.page.get_by_text(self.say("Advanced Settings"), exact=True)).first
        switch = advanced.get_by_role("checkbox", name=self.say("Enable Client CA"))
        assert switch.is_checked() == (on is None)
        if on is None:
            switch.uncheck()
        else:
            switch.check()
            advanced.get_by_role("radio", name=on, exact=True).check()
        save = self.button("Save", popup)
        assert_at_the_bottom_right(save, popup)
        save.click()
        said = self.say("%(name)s was saved.", name="door")
        expect(self.page.get_by_role("main").get_by_text(said, exact=True)).to_be_visible()

    def waits(self) -> None:
        """Until the row shows that the change is in force: by itself, or where no script runs, when the page is loaded again."""
        if self.scripts:
            expect(self.status()).to_have_text(self.say("Applied"))
            return

        def is_applied() -> bool:
            self.page.reload()
            return self.status().inner_text() == self.say("Applied")

        eventually(is_applied)

    def row(self) -> Locator:
        return self.page.get_by_role("row").filter(has=self.page.get_by_role("rowheader", name="door", exact=True))

    def status(self) -> Locator:
        """How far the change of the listener has come."""
        return self.row().locator("[id^=state-]")


def assert_at_the_bottom_right(one: Locator, of: Locator) -> None:
    """Nothing in it is further to the right or further down but its edge."""
    inner, outer = one.bounding_box(), of.bounding_box()
    assert inner is not None
    assert outer is not None
    right = outer["x"] + outer["width"] - inner["x"] - inner["width"]
    below = outer["y"] + outer["height"] - inner["y"] - inner["height"]
    assert 0 <= right <= 32, (inner, outer)
    assert 0 <= below <= 32, (inner, outer)


@contextmanager
def held_up(house: Ostiary) -> Iterator[None]:
    """As if its gateway were far away: what is changed meanwhile is acknowledged only when the block ends."""
    keeper = lock.holder(Paths(house.data_dir))
    assert keeper is not None
    keeper.close()
    os.kill(keeper.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(keeper.pid, signal.SIGCONT)


@dataclass
class Visitor:
    """Whoever comes to the door with a browser."""

    page: Page
    site: str
    backend: Backend

    def is_let_in(self) -> bool:
        """Whether the backend's page is what they see. What is refused never reaches it."""
        before = self._asked()
        try:
            answer = self.page.goto(self.site)
        except Error as error:
            if not _SHUT.search(str(error)):
                raise
            answer = None
        if answer is None or answer.status == 403:
            assert self._asked() == before
            return False
        assert (answer.status, answer.json()["name"]) == (200, "backend")
        assert self._asked() > before  # a browser loads its error page again by itself, and the stranger has one open
        return True

    def _asked(self) -> int:
        return sum(path == "/" for _method, path in self.backend.asked)


@dataclass
class House:
    """An ostiary that began with an empty directory; what lives there, and who comes: Ann will hold certificates, Bob never."""

    ostiary: Ostiary
    browser: Browser
    home: Home
    holder: Page
    stranger: Page
    ports: Iterator[int]
    links: Iterator[str]


def links(ostiary: Ostiary) -> Iterator[str]:
    """Ways to sign in: the link that was printed at the start works once; whoever comes later has another made."""
    assert ostiary.process is not None
    printed = re.search(r"http://\S+/console/sign-in/\S+", ostiary.process.output())
    assert printed
    yield printed[0]
    while True:
        yield ostiary.call("POST", "/v1/sign-in-links")["sign_in_link"]["url"]


@pytest.fixture(scope="module")
def house(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    ann, bob = Home(folder / "ann"), Home(folder / "bob")
    ports = [free_port() for _ in VARIANTS]
    for home in (ann, bob):
        home.shows(*(f"https://127.0.0.1:{port}" for port in ports))
    with Ostiary(folder) as ostiary, chromium(playwright, ann) as hers, chromium(playwright, bob) as his:
        # Who the server is, is another test's business.
        holder, stranger = (browser.new_page(ignore_https_errors=True) for browser in (hers, his))
        yield House(ostiary, hers, ann, holder, stranger, iter(ports), links(ostiary))


VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "English": {"locale": "en"},
    "Vietnamese": {"locale": "vi"},
    "without scripts": {"locale": "en", "java_script_enabled": False},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_from_an_empty_directory_to_a_refused_and_an_admitted_request(
    house: House, backend: Backend, tmp_path: Path, variant: str
) -> None:
    options, ca, balancer, port = VARIANTS[variant], f"Partners, {variant}", f"shop, {variant}", next(house.ports)
    holder, stranger = (Visitor(page, f"https://127.0.0.1:{port}/", backend) for page in (house.holder, house.stranger))
    with opened(house.browser, **options) as page:
        person = Person(page, options["locale"], f"http://{house.ostiary.listen}", options.get("java_script_enabled", True))
        person.signs_in(next(house.links))
        person.creates_a_ca(ca)
        person.creates_a_load_balancer(balancer, port, backend.port)
        person.issues_a_certificate(ca, "Ann Nguyễn", tmp_path / "ann.p12")
        house.home.hold(tmp_path / "ann.p12", PASSPHRASE)

        with held_up(house.ostiary):
            person.switches(balancer, on=ca)
            expect(person.row()).to_contain_text(ca)
            expect(person.status()).to_have_text(person.say("Being applied …"))
        person.waits()
        assert holder.is_let_in()
        assert not stranger.is_let_in()

        person.switches(balancer, on=None)
        person.waits()
        assert holder.is_let_in()
        assert stranger.is_let_in()

        person.switches(balancer, on=ca)
        person.waits()
        assert not stranger.is_let_in()
        assert not stranger.is_let_in()
        # On the connection from before, without a certificate, they are told to connect anew; and then they are let in.
        assert holder.is_let_in() or holder.is_let_in()
