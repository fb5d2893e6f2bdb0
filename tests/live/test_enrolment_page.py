"""The page where a browser makes the key: Debian's chromium enrols, and what it saves opens everywhere and lets its holder in."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from playwright.sync_api import Browser, Page, Playwright

from support.backend import Backend
from support.browsers import Home, chromium, opened
from support.grants import WithDoor
from support.stack import Door
from support.tls_clients import Refused, TLSClient

pytestmark = pytest.mark.live

PASSWORD: Final = 'pa$$ "word" ~\\'


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WithDoor]:
    with WithDoor(tmp_path_factory.mktemp("house")) as running:
        yield running


@pytest.fixture(scope="module")
def people(house: WithDoor) -> str:
    return house.authority("People", kind="intermediate", parent_id=house.authority("Root"), lifetime_days=1000)


@pytest.fixture(scope="module")
def inner(house: WithDoor, inside: Backend, people: str) -> Door:
    return house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=f"/v1/authorities/{people}")


@pytest.fixture(scope="module")
def home(house: WithDoor, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A user's home whose browser trusts the door's authority, as a person would have installed it."""
    made = Home(tmp_path_factory.mktemp("home"))
    made.trust(house.server_ca)
    return made


@pytest.fixture(scope="module")
def browser(playwright: Playwright, home: Home) -> Iterator[Browser]:
    with chromium(playwright, home) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that must have nothing to complain of: no error, nothing that its policy forbids."""
    with opened(browser) as page:
        yield page


def fill(page: Page, password: str, again: str | None = None) -> None:
    page.fill("#password", password)
    page.fill("#again", password if again is None else again)
    page.click("button[type=submit]")


def test_a_person_enrols_in_a_browser_and_is_let_in(
    house: WithDoor, people: str, inner: Door, page: Page, tmp_path: Path
) -> None:
    grant = house.grant(people, profile="user", names={"common_name": "Ann Nguyễn", "email": ["ann@example.test"]})
    page.goto(grant["url"])
    assert "Ann Nguyễn" in page.inner_text("main")
    fill(page, "pässwörd")  # Java opens no file with such a password.
    assert not page.evaluate("document.getElementById('password').validity.valid")
    fill(page, PASSWORD, "something else")
    page.wait_for_function("document.getElementById('status').textContent.includes('differ')")
    assert house.call("GET", f"/v1/tokens/{grant['id']}")["token"]["status"] == "VALID"
    fill(page, PASSWORD)
    page.wait_for_selector("#save", state="visible")
    with page.expect_download() as download:
        page.click("#save")
    file = tmp_path / "certificate.p12"
    download.value.save_as(file)
    assert download.value.suggested_filename == "certificate.p12"

    key, certificate, chain = pkcs12.load_key_and_certificates(file.read_bytes(), PASSWORD.encode())
    assert key is not None
    assert certificate is not None
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == "CN=Ann Nguyễn"
    assert len(chain) == 1
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (tmp_path / "chain.pem").write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (certificate, *chain)))
    with pytest.raises(Refused):
        TLSClient(inner.port, ca=house.server_ca).get("/")
    answer = TLSClient(inner.port, ca=house.server_ca, cert=tmp_path / "chain.pem", key=tmp_path / "key.pem").get("/")
    assert answer.status == 200

    saved = str(file)
    for command in (
        ["openssl", "pkcs12", "-in", saved, "-passin", f"pass:{PASSWORD}", "-nodes"],
        ["certtool", "--p12-info", "--inder", "--infile", saved, "--password", PASSWORD],
        ["pk12util", "-l", saved, "-W", PASSWORD],
        ["keytool", "-list", "-storetype", "PKCS12", "-keystore", saved, "-storepass:env", "P12_PASSWORD"],
    ):
        env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "P12_PASSWORD": PASSWORD}
        done = subprocess.run(command, capture_output=True, check=False, timeout=120, env=env)
        assert done.returncode == 0, (command[0], done.stdout, done.stderr)
    wrong = subprocess.run(
        ["openssl", "pkcs12", "-in", saved, "-passin", "pass:wrong", "-nodes"], capture_output=True, check=False, timeout=60
    )
    assert wrong.returncode != 0


def test_the_page_uses_nothing_up_and_says_so_when_the_grant_is_spent(house: WithDoor, people: str, page: Page) -> None:
    grant = house.grant(people)
    for _ in range(2):
        page.goto(grant["url"])
        page.wait_for_selector("#enroll", state="visible")
    fill(page, "a good password")
    page.wait_for_selector("#save", state="visible")
    assert house.call("GET", f"/v1/tokens/{grant['id']}")["token"]["status"] == "USED"


def test_without_scripts_the_page_shows_the_commands(house: WithDoor, people: str, browser: Browser) -> None:
    grant = house.grant(people)
    with opened(browser, java_script_enabled=False) as page:
        page.goto(grant["url"])
        shown = page.inner_text("main")
    assert grant["command"] in shown
    assert "Password" not in shown
