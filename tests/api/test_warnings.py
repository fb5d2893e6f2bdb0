"""/v1/warnings and /v1/notification-targets: what should be seen to, and who is told; nothing secret comes out."""

from typing import Any

import pytest

from api.client import Client
from ostiary.ops import outbox, watching
from support.systems import FakeClock
from support.webhook_sink import WebhookSink, webhook_sink

PATH = "/v1/notification-targets"
LOOPBACK = ["127.0.0.0/8", "::1/128"]


def clock_of(client: Client) -> FakeClock:
    assert isinstance(client.system.clock, FakeClock)
    return client.system.clock


def a_token(client: Client, name: str = "ci", days: int = 32) -> None:
    made = client.post("/v1/tokens", {"token": {"name": name, "role": "auditor", "expires_in": f"P{days}D"}})
    assert made.status_code == 201, made.text


def test_warnings_are_listed_the_most_urgent_first_and_by_what_is_asked(client: Client) -> None:
    a_token(client, "soon", 2)
    a_token(client, "later", 50)
    clock_of(client).advance(days=1.5)
    found = client.get("/v1/warnings").json()["warnings"]
    tokens = [one for one in found if one["kind"] == "ACCESS_TOKEN"]
    assert [(one["name"], one["severity"], one["within_days"]) for one in tokens] == [("soon", "CRITICAL", 1)]
    (one,) = tokens
    first = client.get("/v1/warnings?limit=1").json()
    assert (len(first["warnings"]), first["total"]) == (1, len(found))
    assert one["title"] == "Access token soon ends within a day"
    assert one["what_to_do"].startswith("Make another")
    assert one["command"] == "ostiary token create --role auditor --name soon"
    assert one["ends_at"].endswith("Z")
    clock_of(client).advance(days=20)
    for query, names in (
        ("kind=ACCESS_TOKEN", ["later"]),
        ("kind=ACCESS_TOKEN&severity=CRITICAL", []),
        ("topic=EXPIRY&within_days=29", ["later"]),
        ("topic=EXPIRY&within_days=20", []),
    ):
        listed = client.get(f"/v1/warnings?{query}").json()["warnings"]
        assert [one["name"] for one in listed if one["kind"] == "ACCESS_TOKEN"] == names, query


@pytest.mark.parametrize("query", ["kind=x", "topic=x", "severity=x", "within_days=-1", "within_days=x", "other=1"])
def test_a_question_that_makes_no_sense_is_refused_by_name(client: Client, query: str) -> None:
    reply = client.get(f"/v1/warnings?{query}")
    assert reply.status_code == 400
    assert query.partition("=")[0] in reply.text


def hook(client: Client, sink: WebhookSink, **fields: Any) -> dict[str, Any]:
    wanted = {"name": "hook", "kind": "WEBHOOK", "url": sink.url, "private_networks": LOOPBACK, **fields}
    reply = client.post(PATH, {"notification_target": wanted})
    assert reply.status_code == 201, reply.text
    return dict(reply.json()["notification_target"])


def test_a_target_is_added_tried_changed_and_removed_and_its_secrets_are_shown_once(client: Client) -> None:
    with webhook_sink() as sink:
        made = hook(client, sink)
        assert made["secret"].startswith("whsec_")
        assert made["url_shown"] == f"http://localhost:{sink.port}/…"
        one = f"{PATH}/{made['id']}"
        for reply in (client.get(one), client.get(PATH), client.put(one, {"notification_target": {"severity": "CRITICAL"}})):
            assert reply.status_code == 200
            assert "a-secret-path" not in reply.text
            assert "whsec_" not in reply.text
            assert "sealed" not in reply.text
        assert client.post(f"{one}/test").json() == {"test": {"delivered": True, "problem": ""}}
        assert sink.calls[-1].headers["webhook-signature"].startswith("v1,")
        shown = client.get(one).json()["notification_target"]
        assert (shown["severity"], shown["has_secret"]) == ("CRITICAL", True)
        # What was shown may be sent back: the address stays.
        again = {name: shown[name] for name in ("name", "severity", "topics")}
        assert client.put(one, {"notification_target": {**again, "url": shown["url_shown"]}}).status_code == 200
        assert client.post(f"{one}/test").json()["test"]["delivered"] is True
        assert client.delete(one).status_code == 204
        assert client.get(one).status_code == 404
    said = client.get("/v1/audit").text
    assert "notification-target:test" in said
    assert "a-secret-path" not in said
    assert "whsec_" not in said


def test_what_waits_is_shown_with_the_reason(client: Client) -> None:
    with webhook_sink(answers=lambda _call: 503) as sink:
        made = hook(client, sink, topics=["EXPIRY"])
        a_token(client)
        clock_of(client).advance(days=3)
        assert watching.look(client.system) == 1
        outbox.send_due(client.system)
        shown = client.get(f"{PATH}/{made['id']}").json()["notification_target"]
        assert (shown["waiting"], shown["given_up"]) == (1, 0)
        assert shown["last_error"] == f"http://localhost:{sink.port} answered with status 503."
        (message,) = shown["messages"]
        assert (message["state"], message["attempts"], message["type"]) == ("WAITING", 1, "warnings")
        assert message["next_at"] is not None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "EMAIL", "host": "a.test", "sender": "a@b.test\r\nBcc: c@d.test", "recipients": ["a@b.test"]}, "sender"),
        ({"kind": "EMAIL", "host": "a.test\r\nx", "sender": "a@b.test", "recipients": ["a@b.test"]}, "host"),
        ({"kind": "EMAIL", "host": "a.test", "sender": "a@b.test", "recipients": ["a@b.test"], "url": "https://x"}, "url"),
        ({"kind": "WEBHOOK", "url": "http://a.test/"}, "url"),
        ({"kind": "WEBHOOK", "url": "https://a.test/", "secret": "x"}, "secret"),
        ({"kind": "WEBHOOK", "url": "https://a.test/", "topics": []}, "topics"),
        ({"kind": "WEBHOOK", "url": "https://a.test/", "sealed": "x"}, "sealed"),
        ({"kind": "PIGEON"}, "kind"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(client: Client, fields: dict[str, Any], field: str) -> None:
    reply = client.post(PATH, {"notification_target": {"name": "x", **fields}})
    assert reply.status_code == 400
    assert field in reply.json()["detail"]


def test_numbers_for_a_monitoring_system(client: Client) -> None:
    with webhook_sink() as sink:
        hook(client, sink)
    a_token(client, "soon", 40)
    clock_of(client).advance(days=15)
    told = client.get("/metrics").text
    assert 'ostiary_expiring{kind="access_token",within_days="30"} 1.0' in told
    assert 'ostiary_notifications_failed_total{target="hook"} 0.0' in told
