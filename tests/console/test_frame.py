"""What holds for every page: who gets in, what is believed of a form, what is said when something cannot be shown."""

from pathlib import Path
from typing import Any

import pytest

from console.visitor import TOKEN, Page, Visitor, a_visitor
from ostiary.console import app
from ostiary.console.visit import Secrets
from ostiary.model.balancer import LoadBalancer
from ostiary.model.token import NewToken
from ostiary.ops import balancers, sessions, sign_in_links, tokens
from support.systems import ADMIN, FakeClock

HOME = "/console/balancers"


@pytest.fixture
def stranger(tmp_path: Path) -> Any:
    with a_visitor(tmp_path, caller=None) as nobody:
        yield nobody


def signed_in_as(page: Page) -> str:
    return page.root.one("div", class_="you").one("strong").text


def test_a_stranger_is_sent_to_sign_in_and_then_to_where_they_wanted(stranger: Visitor) -> None:
    page = stranger.get("/console/balancers?q=shop")
    assert page.root.one("h1").text == "Sign in"
    page = page.form("/console/sign-in").send(token=TOKEN)
    assert page.status == 200
    assert page.reply.url.path == HOME
    assert page.reply.url.query == b"q=shop"
    assert signed_in_as(page) == "admin"


def test_an_access_token_signs_in_under_its_own_name_and_role(stranger: Visitor) -> None:
    _token, secret = tokens.create(stranger.system, ADMIN, NewToken(name="Ann", role="auditor"))
    page = stranger.get(HOME).form("/console/sign-in").send(token=bytes(secret).decode())
    assert signed_in_as(page) == "Ann"
    assert "Create a Load Balancer" not in page.text


@pytest.mark.parametrize("token", ["guessed-it", "oa_" + "x" * 32, "", "ä" * 100, "os_guess"])
def test_what_is_no_token_does_not_sign_in_and_is_not_said_back(stranger: Visitor, token: str) -> None:
    page = stranger.get(HOME).form("/console/sign-in").send(token=token)
    assert page.status == 403
    assert not stranger.cookies.get("ostiary-session")
    assert not token or token not in page.reply.text


def test_whoever_guesses_has_to_wait(stranger: Visitor) -> None:
    form = stranger.get(HOME).form("/console/sign-in")
    statuses = [form.send(token="wrong").status for _ in range(12)]
    assert statuses == [403] * 10 + [429] * 2
    assert form.send(token=TOKEN).status == 429


def test_a_link_is_shown_any_number_of_times_and_used_once(stranger: Visitor) -> None:
    link = bytes(sign_in_links.make(stranger.system, ADMIN)).decode()
    for _ in range(3):
        page = stranger.get(f"/console/sign-in/{link}")
        assert "admin" in page.text
    page = page.form(f"/console/sign-in/{link}").send()
    assert signed_in_as(page) == "admin"
    stranger.cookies.clear()
    again = stranger.get(f"/console/sign-in/{link}")
    assert again.status == 403
    assert "was used" in again.text


@pytest.mark.parametrize(
    "place",
    [
        "//evil.test/",
        "https://evil.test/",
        "/\\evil.test",
        "/console//evil.test",
        "/console/sign-in/x",
        "/v1/tokens",
        "/console/\r\nX: y",
    ],
)
def test_signing_in_leads_to_no_place_but_pages_of_the_console(stranger: Visitor, place: str) -> None:
    reply = stranger.raw("POST", "/console/sign-in", data={"token": TOKEN, "next": place})
    assert reply.status_code == 303
    assert reply.headers["location"] == HOME


def test_the_session_is_a_cookie_that_scripts_and_other_sites_do_not_get(stranger: Visitor) -> None:
    reply = stranger.raw("POST", "/console/sign-in", data={"token": TOKEN})
    (cookie,) = reply.headers.get_list("set-cookie")
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/console"} <= attributes
    assert TOKEN not in cookie


def test_over_tls_the_cookie_is_secure(stranger: Visitor) -> None:
    reply = stranger.raw("POST", "https://ostiary.test:9876/console/sign-in", data={"token": TOKEN})
    cookie = reply.headers["set-cookie"]
    assert cookie.startswith("__Secure-ostiary-session=")
    assert "secure" in cookie.lower().split("; ")


def test_signing_out_ends_the_session_itself(visitor: Visitor) -> None:
    kept = visitor.cookies.get("ostiary-session")
    page = visitor.get(HOME).form("/console/sign-out").send()
    assert page.root.one("h1").text == "Sign in"
    visitor.cookies.set("ostiary-session", str(kept), domain="ostiary.test", path="/console")
    assert visitor.get(HOME).root.one("h1").text == "Sign in"


def test_signing_in_again_ends_the_session_that_the_browser_had(visitor: Visitor) -> None:
    (before,) = sessions.find(visitor.system, ADMIN)
    assert visitor.raw("POST", "/console/sign-in", data={"token": TOKEN}).status_code == 303
    (now,) = sessions.find(visitor.system, ADMIN)
    assert now.id != before.id


def test_a_session_ends_by_itself(tmp_path: Path) -> None:
    clock = FakeClock()
    with a_visitor(tmp_path, clock=clock) as visitor:
        clock.advance(minutes=59)
        assert signed_in_as(visitor.get(HOME)) == "admin"
        clock.advance(minutes=61)
        assert visitor.get(HOME).root.one("h1").text == "Sign in"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"origin": "http://ostiary.test:9877"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_of_another_site_is_not_believed(visitor: Visitor, headers: dict[str, str]) -> None:
    form = visitor.get(HOME).form("/console/sign-out")
    reply = visitor.raw("POST", form.action, data=dict(form.fields), headers=headers)
    assert reply.status_code == 403
    assert signed_in_as(visitor.get(HOME)) == "admin"


@pytest.mark.parametrize("csrf", [None, "", "0" * 64, "ä"])
def test_a_form_without_what_our_page_puts_into_it_is_not_believed(visitor: Visitor, csrf: str | None) -> None:
    page = visitor.get(HOME).form("/console/sign-out").send(csrf=csrf)
    assert page.status == 403
    assert signed_in_as(visitor.get(HOME)) == "admin"


def test_another_session_s_form_is_not_believed(visitor: Visitor) -> None:
    mine = visitor.get(HOME).form("/console/sign-out")
    visitor.sign_in(ADMIN)
    theirs = visitor.get(HOME).form("/console/sign-out").values("csrf")[0]
    assert [theirs] != mine.values("csrf")
    assert mine.send().status == 403


@pytest.mark.parametrize("place", [HOME, "/console/nothing", "/console/sign-in"])
def test_pages_run_nothing_foreign_and_cannot_be_framed(visitor: Visitor, place: str) -> None:
    policy = visitor.get(place).reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert visitor.get(place).reply.headers["x-content-type-options"] == "nosniff"
    assert visitor.get(place).reply.headers["cache-control"] == "no-store"


def test_there_is_a_page_for_what_is_not_there(visitor: Visitor) -> None:
    for place in (
        "/console/nothing",
        "/console/balancers/none",
        "/console/listeners/x%00y/edit",
        "/console/balancers/" + "x" * 300,
    ):
        page = visitor.get(place)
        assert page.status in {400, 404}
        assert page.root.every("h1")


def test_an_error_of_ours_shows_a_number_and_nothing_else(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the secret is 12345")

    monkeypatch.setattr(balancers, "find", fail)
    page = visitor.get(HOME)
    assert page.status == 500
    assert "12345" not in page.reply.text
    assert page.reply.headers["x-openstack-request-id"] in page.text


def test_what_is_too_large_is_not_read(visitor: Visitor) -> None:
    reply = visitor.raw("POST", "/console/preferences", content=b"language=en&x=" + b"x" * app.BODY_MAX, headers=URLENCODED)
    assert reply.status_code == 413
    assert (
        visitor.raw("POST", "/console/preferences", content=b"{}", headers={"content-type": "application/json"}).status_code
        == 400
    )
    many = "&".join(f"a{number}=1" for number in range(app.FIELDS_MAX + 5))
    assert visitor.raw("POST", "/console/preferences", content=many.encode(), headers=URLENCODED).status_code == 400


URLENCODED = {"content-type": "application/x-www-form-urlencoded"}


def test_a_link_from_another_site_comes_in_by_a_page_of_ours(stranger: Visitor) -> None:
    reply = stranger.raw("GET", HOME, headers={"sec-fetch-site": "cross-site"})
    assert 'http-equiv="refresh"' in reply.text
    assert stranger.raw("GET", HOME, headers={"sec-fetch-site": "none"}).status_code == 303


def test_names_are_shown_as_they_are_written(visitor: Visitor) -> None:
    name = "<script>alert(1)</script> \"quoted\" & 'so'"
    balancers.create(visitor.system, ADMIN, LoadBalancer(name=name, vip_address="127.0.0.1"))
    page = visitor.get(HOME)
    assert page.rows()[0][0] == name
    assert "<script>alert" not in page.reply.text


def test_the_language_is_chosen_and_kept(visitor: Visitor) -> None:
    page = visitor.get(HOME)
    assert page.root.one("html").attrs["lang"] == "en"
    form = page.form("/console/preferences")
    page = form.send(language="vi")
    assert page.root.one("html").attrs["lang"] == "vi"
    assert page.reply.url.path == HOME
    assert visitor.get(HOME, headers={"accept-language": "en"}).root.one("html").attrs["lang"] == "vi"
    assert form.send(language="xx").status == 400


def test_times_are_those_of_the_reader_s_zone(visitor: Visitor) -> None:
    made = balancers.create(visitor.system, ADMIN, LoadBalancer(name="shop", vip_address="127.0.0.1"))
    assert made.created_at is not None
    visitor.cookies.set("ostiary-zone", "Asia%2FHo_Chi_Minh", domain="ostiary.test", path="/")
    time = visitor.get(f"/console/balancers/{made.id}?tab=settings").root.every("time")[0]
    assert time.attrs["datetime"] == made.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert time.attrs["title"].endswith("+07")


@pytest.mark.parametrize("zone", ["../../etc/passwd", "Nowhere", "x" * 1000, "%00", "UTC"])
def test_a_zone_that_nobody_knows_is_utc(visitor: Visitor, zone: str) -> None:
    visitor.cookies.set("ostiary-zone", zone, domain="ostiary.test", path="/")
    assert visitor.get(HOME).status == 200


def test_only_notes_of_this_session_are_said(visitor: Visitor) -> None:
    visitor.cookies.set(
        "ostiary-said", Secrets(b"another session").sealed_note("You won a prize"), domain="ostiary.test", path="/console"
    )
    assert visitor.get(HOME).said == ""
    for nonsense in ("x", ".", "a.b", "%", "%C3%A9.%00"):
        visitor.cookies.set("ostiary-said", nonsense, domain="ostiary.test", path="/console")
        assert visitor.get(HOME).said == ""


def test_lists_are_shown_page_by_page(visitor: Visitor) -> None:
    for number in range(120):
        balancers.create(visitor.system, ADMIN, LoadBalancer(name=f"lb-{number:03}", vip_address="127.0.0.1"))
    seen, place = [], HOME
    while place:
        page = visitor.get(place)
        seen += [row[0] for row in page.rows()]
        following = page.root.every("a", rel="next")
        place = following[0].attrs["href"] if following else ""
    assert seen == [f"lb-{number:03}" for number in range(120)]
    back = visitor.get(page.root.one("a", rel="prev").attrs["href"])
    assert [row[0] for row in back.rows()] == seen[50:100]
    found = visitor.get(f"{HOME}?q=LB-11")
    assert [row[0] for row in found.rows()] == [f"lb-{number:03}" for number in range(110, 120)]
    assert "No load balancer is called like this" in visitor.get(f"{HOME}?q=%25").text
