"""The installation pages as the API serves them: to anybody, as a page to browsers and as text to terminals."""

import plistlib
import re
import ssl

import pytest

from api.client import Client
from ostiary.web.guides import GUIDES
from ostiary.web.pages import POLICY, static_url
from support.made import an_authority

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
NO_TOKEN = {"x-auth-token": ""}


@pytest.mark.parametrize("path", ["/install", *(f"/install/{name}" for name in GUIDES)])
def test_anybody_may_read_them(client: Client, path: str) -> None:
    page = client.get(path, headers={**BROWSER, **NO_TOKEN})
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers.get_list("content-security-policy") == [POLICY]
    assert page.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(("accept", "query"), [("*/*", ""), ("text/plain", ""), (BROWSER["accept"], "?format=text")])
def test_terminals_get_text(client: Client, accept: str, query: str) -> None:
    text = client.get(f"/install/curl{query}", headers={"accept": accept, **NO_TOKEN})
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.text.startswith("Certificates for curl")


def test_a_terminal_can_ask_for_the_page(client: Client) -> None:
    assert client.get("/install/curl?format=html", headers={"accept": "*/*"}).text.startswith("<!doctype html>")


def test_the_pages_of_an_authority_lead_to_the_root_above_it(client: Client) -> None:
    root = an_authority(client.system, "Root <of> trust")
    issuing = an_authority(client.system, "Issuing", kind="intermediate", parent_id=root.id)
    page = client.get(f"/install/ios?authority={issuing.id}", headers={**BROWSER, **NO_TOKEN}).text
    assert "Root &lt;of&gt; trust" in page
    assert ":".join(re.findall("..", root.fingerprint_sha256.upper())) in page
    links = re.findall(r'href="(http://ostiary\.test:9876/pki/[^"]+)"', page)
    assert {link.rpartition(".")[2] for link in links} == {"crt", "pem", "mobileconfig"}
    for link in links:
        file = client.get(link.removeprefix("http://ostiary.test:9876"), headers=NO_TOKEN)
        assert file.status_code == 200, link
        if link.endswith(".pem"):
            assert file.text == root.certificate
            assert file.headers["content-disposition"] == 'attachment; filename="Root-of-trust.pem"'


def test_an_apple_profile_of_an_intermediate_holds_the_root_above_it(client: Client) -> None:
    root = an_authority(client.system, "Root")
    issuing = an_authority(client.system, "Issuing", kind="intermediate", parent_id=root.id)
    reply = client.get(f"/pki/{issuing.id}.mobileconfig", headers=NO_TOKEN)
    assert reply.headers["content-type"] == "application/x-apple-aspen-config"
    payloads = plistlib.loads(reply.content)["PayloadContent"]
    found = [(payload["PayloadType"].rpartition(".")[2], payload["PayloadContent"]) for payload in payloads]
    der = ssl.PEM_cert_to_DER_cert
    assert found == [("pkcs1", der(issuing.certificate)), ("root", der(root.certificate))]


def test_static_files_may_be_kept_for_ever(client: Client) -> None:
    css = client.get(static_url("app.css"), headers=NO_TOKEN)
    assert css.headers["content-type"] == "text/css; charset=utf-8"
    assert css.headers.get_list("cache-control") == ["public, max-age=31536000, immutable"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/install/amiga", 404),
        ("/install/curl?format=pdf", 400),
        ("/install/curl?authority=none", 404),
        ("/install?other=1", 400),
        ("/static/none.css", 404),
        ("/static/..%2fpages.py", 404),
        ("/pki/none.mobileconfig", 404),
    ],
)
def test_what_is_not_there_is_said_so(client: Client, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_every_other_reply_still_may_not_be_kept(client: Client) -> None:
    assert client.get("/v1/authorities").headers.get_list("cache-control") == ["no-store"]


def test_steps_are_in_the_language_that_the_browser_asks_for(client: Client) -> None:
    english = client.get("/install/curl", headers={"accept": "text/html"})
    vietnamese = client.get("/install/curl", headers={"accept": "text/html", "accept-language": "vi-VN,vi;q=0.9"})
    assert 'lang="en"' in english.text
    assert 'lang="vi"' in vietnamese.text
    assert "Nêu tên cả ba." in vietnamese.text
    assert "curl --cert client.pem" in vietnamese.text
