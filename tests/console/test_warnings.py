"""Warnings, and who is told of them, in the console."""

from datetime import timedelta
from typing import Any

import pytest

from console.visitor import Page, Visitor
from ostiary.envoy.resources import Snapshot
from ostiary.model.desired import Desired
from ostiary.model.query import Query
from ostiary.model.token import NewToken
from ostiary.ops import notification_targets, outbox, tokens, watching
from support.mail_sink import mail_sink
from support.systems import ADMIN, FakeClock
from support.webhook_sink import webhook_sink

HOME, TOLD = "/console/warnings", "/console/notifications"
LOOPBACK = "127.0.0.0/8\n::1/128"


def clock_of(visitor: Visitor) -> FakeClock:
    assert isinstance(visitor.system.clock, FakeClock)
    return visitor.system.clock


@pytest.fixture
def quiet(visitor: Visitor) -> Visitor:
    """Somebody at a system with a gateway, where nothing is wrong."""
    visitor.system.fleet.want(Desired(), Snapshot())
    visitor.system.fleet.heard("gateway-1", visitor.system.clock(), connected=True)
    return visitor


def a_token(visitor: Visitor, name: str, days: float) -> None:
    tokens.create(visitor.system, ADMIN, NewToken(name=name, role="auditor", expires_in=timedelta(days=days)))


def names(page: Page) -> list[str]:
    return [row.every("th")[0].text.split(" ")[0] for row in page.root.one("main").one("tbody").every("tr")]


def the_target(visitor: Visitor) -> Any:
    (found,) = notification_targets.find(visitor.system, ADMIN, Query()).items
    return found


def test_where_nothing_is_wrong_it_says_so_and_that_nobody_is_told(quiet: Visitor) -> None:
    page = quiet.get(HOME)
    assert "Nothing ends soon, and nothing is wrong" in page.text
    assert "Nobody is told of these" in page.text
    assert "Add a mailbox or a webhook" in quiet.get(TOLD).text
    tile = [one.text for one in quiet.get("/console/overview").root.every("div") if one.text.startswith("Critical warnings")]
    assert tile == ["Critical warnings 0 of 0"]


def test_the_most_urgent_come_first_with_the_way_out_and_by_urgency_and_kind(quiet: Visitor) -> None:
    for name, days in (("late", 58), ("soon", 30.5), ("now", 30)):
        a_token(quiet, name, days)
    clock_of(quiet).advance(days=29.2)
    with quiet.another("eve", "auditor") as eve:
        page = eve.get(HOME)
        assert names(page) == ["now", "soon", "late"]
        assert "ostiary token create --role auditor --name now" in page.text
        assert names(eve.get(f"{HOME}?severity=CRITICAL")) == ["now"]
        assert names(eve.get(f"{HOME}?kind=ACCESS_TOKEN")) == ["now", "soon", "late"]
        assert "There is no such warning" in eve.get(f"{HOME}?kind=GATEWAY").text
        assert eve.get(f"{HOME}?severity=<b>&kind=x&from=99999").status == 200
        assert "Most urgent" in eve.get("/console/expiring").text


def test_no_gateway_is_a_warning_in_the_readers_language(visitor: Visitor) -> None:
    visitor.cookies.set("ostiary-language", "vi")
    page = visitor.get(HOME)
    assert "Không có gateway nào kết nối" in page.text
    assert "Nghiêm trọng" in page.text


def test_a_mailbox_is_added_tried_changed_and_deleted(quiet: Visitor) -> None:
    with mail_sink(users={"ostiary": "marker-Pa55"}) as box:
        form = quiet.get(f"{TOLD}/create/email").form(f"{TOLD}/create/email")
        fields: dict[str, Any] = {
            "name": "Operations",
            "host": "localhost",
            "port": str(box.port),
            "security": "PLAIN",
            "sender": "ostiary@a.test",
            "recipients": "ops@a.test, lan@a.test",
            "private_networks": LOOPBACK,
            "username": "ostiary",
            "password": "marker-Pa55",
        }
        wrong = form.send(**{**fields, "recipients": "ops@a.test\r\nBcc: x", "topics": []})
        assert wrong.status == 422
        assert "one e-mail address" in wrong.text
        assert "marker-Pa55" not in wrong.reply.text
        made = form.send(**fields)
        assert "Operations was added" in made.text
        target = the_target(quiet)
        assert target.recipients == ("ops@a.test", "lan@a.test")
        tried = quiet.get(f"{TOLD}/{target.id}").form(f"{TOLD}/{target.id}/test").send()
        assert "The test was taken" in tried.text
        (letter,) = box.letters
        assert (letter.user, letter.recipients) == ("ostiary", ("ops@a.test", "lan@a.test"))
        edit = quiet.get(f"{TOLD}/{target.id}/edit")
        assert "marker-Pa55" not in edit.reply.text
        form = edit.form(f"{TOLD}/{target.id}/edit")
        moved = form.send(host="127.0.0.1")
        assert moved.status == 422
        assert "give it again" in moved.text
        saved = form.send(severity="CRITICAL", topics=["EXPIRY", "GATEWAYS"], language="vi")
        assert "Operations was saved" in saved.text
        after = the_target(quiet)
        assert (after.severity, after.topics, after.language) == ("CRITICAL", ("EXPIRY", "GATEWAYS"), "vi")
        gone = quiet.get(f"{TOLD}/{target.id}/delete").form(f"{TOLD}/{target.id}/delete").send()
        assert "Operations was deleted" in gone.text
        assert "marker-Pa55" not in quiet.get("/console/audit").reply.text


def test_the_key_of_a_webhook_is_shown_once_and_what_is_not_taken_is_shown_with_the_reason(quiet: Visitor) -> None:
    with webhook_sink(answers=lambda _call: 503) as hook:
        form = quiet.get(f"{TOLD}/create/webhook").form(f"{TOLD}/create/webhook")
        assert "use https" in form.send(name="On-call", url=hook.url).text
        made = form.send(name="On-call", url=hook.url, private_networks=LOOPBACK)
        assert made.root.one("pre", id="secret").text.startswith("whsec_")
        target = the_target(quiet)
        page = quiet.get(f"{TOLD}/{target.id}")
        assert "whsec_" not in page.reply.text
        assert "a-secret-path" not in page.reply.text
        a_token(quiet, "ci", 3)
        clock_of(quiet).advance(days=2.5)
        watching.look(quiet.system)
        outbox.send_due(quiet.system)
        with quiet.another("ann", "admin") as ann:
            page = ann.get(f"{TOLD}/{target.id}")
            assert "Nothing gets through" in page.text
            assert f"http://localhost:{hook.port} answered with status 503." in page.text
            tried = page.form(f"{TOLD}/{target.id}/test").send()
            assert "The test was not taken" in tried.text


def test_a_page_that_there_is_not_is_not_found(quiet: Visitor) -> None:
    assert quiet.raw("GET", f"{TOLD}/create/pigeon").status_code == 404
    assert quiet.raw("GET", f"{TOLD}/nowhere").status_code == 404
