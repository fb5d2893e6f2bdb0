"""/v1/explain: a question that changes nothing, and an answer with every check."""

from typing import Any

import pytest

from api.client import Client
from ostiary.api.explain import ExplanationReply
from ostiary.model.explanation import CERTIFICATE_MAX, HEADERS_MAX, Explanation
from support.certs import Authority
from support.made import a_balancer, a_certificate, a_listener, a_secret, an_authority

ROOT = Authority.root("Root")
ALICE, MALLORY = ROOT.client("alice"), Authority.root("Other").client("mallory")


@pytest.fixture
def listener_id(client: Client) -> str:
    """A listener that demands certificates of ROOT."""
    trusted = a_secret(client.system, ROOT.cert_pem)
    balancer = a_balancer(client.system)
    made = a_listener(client.system, balancer, client_authentication="MANDATORY", client_ca_tls_container_ref=trusted)
    return made.id


def explained(client: Client, **body: Any) -> Explanation:
    reply = client.post("/v1/explain", body)
    assert reply.status_code == 200, reply.text
    return ExplanationReply.model_validate_json(reply.content).explanation


def test_the_decision_comes_with_stage_reason_detail_and_checks(client: Client, listener_id: str) -> None:
    asked = {"listener_id": listener_id, "certificate": MALLORY.chain_pem, "host": "a.test", "path": "/admin", "method": "POST"}
    shown = client.post("/v1/explain", asked).json()["explanation"]
    assert {name: shown[name] for name in ("decision", "stage", "reason", "access_rule_id", "would_be", "listener_id")} == {
        "decision": "DENY",
        "stage": "handshake",
        "reason": "unknown_authority",
        "access_rule_id": None,
        "would_be": None,
        "listener_id": listener_id,
    }
    assert shown["detail"]
    assert "Client CA" in shown["fix"]
    assert {check["result"] for check in shown["checks"]} == {"passed", "failed", "not reached"}
    assert all(set(check) == {"stage", "name", "result", "detail"} for check in shown["checks"])


def test_null_is_a_client_without_a_certificate(client: Client, listener_id: str) -> None:
    assert explained(client, listener_id=listener_id, certificate=None).reason == "no_certificate"
    assert explained(client, listener_id=listener_id).reason == "no_certificate"
    assert explained(client, listener_id=listener_id, certificate=ALICE.chain_pem).decision == "ALLOW"


def test_a_certificate_that_was_issued_here_is_named_by_its_id(client: Client) -> None:
    authority = an_authority(client.system)
    made = a_listener(
        client.system,
        a_balancer(client.system),
        client_authentication="MANDATORY",
        client_ca_tls_container_ref=f"/v1/authorities/{authority.id}",
    )
    certificate = a_certificate(client.system, authority)
    assert explained(client, listener_id=made.id, certificate_id=certificate.id).decision == "ALLOW"


def test_asking_changes_nothing(client: Client, listener_id: str) -> None:
    before = client.revision()
    entries = len(client.get("/v1/audit").json()["audit"])
    explained(client, listener_id=listener_id, certificate=ALICE.chain_pem)
    assert (client.revision(), len(client.get("/v1/audit").json()["audit"])) == (before, entries)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("listener_id", ""),
        ("listener_id", "x" * 256),
        ("listener_id", None),
        ("certificate", "no PEM"),
        ("certificate", ALICE.key_pem),
        ("certificate", ALICE.cert_pem[:300]),
        ("certificate", "x" * (CERTIFICATE_MAX + 1)),
        ("host", "a.test/path"),
        ("host", "a.test\r\nX: y"),
        ("host", "a" * 271),
        ("path", "admin"),
        ("path", "/a b"),
        ("path", "/é"),
        ("path", "/" + "a" * 8192),
        ("method", ""),
        ("method", "GET /"),
        ("source", "192.0.2.0/24"),
        ("source", "here"),
        ("sni", "a test"),
        ("at", "tomorrow"),
        ("at", "2027-01-31T12:00:00"),
        ("headers", {"a b": "c"}),
        ("headers", {"origin": "a\nb"}),
        ("headers", {f"x-{number}": "" for number in range(HEADERS_MAX + 1)}),
        ("colour", "red"),
    ],
)
def test_what_cannot_be_asked_is_named(client: Client, listener_id: str, field: str, value: Any) -> None:
    reply = client.post("/v1/explain", {"listener_id": listener_id, field: value})
    assert reply.status_code == 400, reply.text
    assert str(reply.json()["field"]).startswith(field)


def test_a_listener_that_is_not_there_is_not_found(client: Client, listener_id: str) -> None:
    assert client.post("/v1/explain", {"listener_id": "nowhere"}).status_code == 404
    assert client.post("/v1/explain", {"listener_id": listener_id, "certificate_id": "nobody"}).status_code == 404
    assert client.post("/v1/explain", {}).json()["field"] == "listener_id"


def test_whoever_may_read_rules_may_ask(client: Client, listener_id: str) -> None:
    for role in ("auditor", "operator"):
        made = client.post("/v1/tokens", {"token": {"name": role, "role": role}}).json()["token"]
        reply = client.post("/v1/explain", {"listener_id": listener_id}, headers={"X-Auth-Token": made["secret"]})
        assert reply.status_code == 200
    assert client.post("/v1/explain", {"listener_id": listener_id}, headers={"X-Auth-Token": "x"}).status_code == 401
