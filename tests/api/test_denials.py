"""/v1/denials: who was refused and why, a page at a time."""

from typing import Any

import pytest

from api.client import Client
from ostiary.access.words import FIXES
from ostiary.api.denials import DenialList, DenialReply, DenialSummaryReply
from ostiary.ops import denials

PATH = "/v1/denials"


def refused(client: Client, *entries: dict[str, Any]) -> None:
    at = client.system.clock().isoformat()
    usual = {"listener_id": "l1", "stage": "request", "code": "revoked", "rule_id": "", "first": at, "last": at, "count": 1}
    told = [
        {
            **usual,
            "who": f"{number:064x}",
            "addresses": ["192.0.2.1"],
            "references": [1_795_465_432_123],
            "example": {"client": "192.0.2.1", "fingerprint_sha256": f"{number:064x}", "subject": "CN=x", "path": "/a"},
            **entry,
        }
        for number, entry in enumerate(entries)
    ]
    assert denials.denied(client.system, "g1", {"sequence": 1, "denials": told}) == 0


def test_a_denial_is_shown_with_all_that_is_known_and_what_to_do(client: Client) -> None:
    refused(client, {"code": "denied_by_rule", "rule_id": "r1", "certificate": "PEM"})
    (one,) = DenialList.model_validate_json(client.get(PATH).content).denials
    assert one.last.endswith("Z")
    assert one.model_dump(exclude={"id", "first", "last"}) == {
        "listener_id": "l1",
        "listener_name": None,
        "stage": "request",
        "code": "denied_by_rule",
        "fix": FIXES["denied_by_rule"],
        "access_rule_id": "r1",
        "count": 1,
        "client": "192.0.2.1",
        "addresses": ("192.0.2.1",),
        "certificate": {
            "subject": "CN=x",
            "sans": (),
            "serial": "",
            "fingerprint_sha256": "0" * 64,
            "certificate_id": None,
        },
        "example": {"host": "", "method": "", "path": "/a", "reference": "1795465432123"},
        "summed": False,
    }
    reply = DenialReply.model_validate_json(client.get(f"{PATH}/{one.id}").content)
    assert (reply.denial.id, reply.denial.pem) == (one.id, "PEM")
    assert client.get(f"{PATH}/none").status_code == 404


def test_who_showed_nothing_and_who_was_too_many_are_told_apart(client: Client) -> None:
    nothing = {"who": "192.0.2.7", "code": "no_certificate", "stage": "handshake", "example": {"client": "192.0.2.7"}}
    refused(client, {**nothing, "references": []}, {"who": "", "count": 9, "code": "expired"})
    found = DenialList.model_validate_json(client.get(PATH).content).denials
    by_code = {one.code: one for one in found}
    assert (by_code["no_certificate"].certificate, by_code["no_certificate"].client) == (None, "192.0.2.7")
    assert (by_code["expired"].summed, by_code["expired"].client, by_code["expired"].count) == (True, None, 9)


def test_pages_follow_each_other_by_their_links(client: Client) -> None:
    refused(client, *({} for _ in range(7)))
    path, found = f"{PATH}?limit=3", []
    while path:
        reply = DenialList.model_validate_json(client.get(path).content)
        found += [one.id for one in reply.denials]
        path = next((link.href for link in reply.denials_links if link.rel == "next"), "")
    assert len(found) == len(set(found)) == 7


def test_filters(client: Client) -> None:
    refused(client, {}, {"listener_id": "l2", "code": "expired"}, {"code": "tls_failed", "stage": "handshake"})

    def found(**query: str) -> set[str]:
        reply = client.get(PATH, params=query)
        return {one.code for one in DenialList.model_validate_json(reply.content).denials}

    assert found() == {"revoked", "expired"}
    assert found(listener_id="l2") == found(fingerprint_sha256=f"{1:064x}") == {"expired"}
    assert found(code="tls_failed") == {"tls_failed"}
    assert found(client="192.0.2.1", stage="request") == {"revoked", "expired"}
    assert found(since="2999-01-01") == found(until="1999-01-01") == found(rule_id="r") == found(serial="1") == set()


def test_the_summary_counts_by_code(client: Client) -> None:
    refused(client, {"count": 3}, {"count": 4}, {"code": "expired"})
    summary = DenialSummaryReply.model_validate_json(client.get(f"{PATH}/summary?listener_id=l1").content).summary
    assert [(one.code, one.count) for one in summary.counts] == [("revoked", 7), ("expired", 1)]
    assert (summary.total, summary.forgotten) == (8, 0)


@pytest.mark.parametrize(
    "query", ["since=never", "until=", "marker=x", "limit=x", "reference=abc", "reference=-1", "subject=CN", "code=a&code=b"]
)
def test_what_cannot_be_asked_for_is_named(client: Client, query: str) -> None:
    reply = client.get(f"{PATH}?{query}")
    assert reply.status_code == 400
    assert query.partition("=")[0] in reply.text


@pytest.mark.parametrize("query", ["reference=999999999999999999", "marker=1999-01-01", "client=%25"])
def test_whatever_else_is_asked_for_is_answered(client: Client, query: str) -> None:
    refused(client, {})
    assert client.get(f"{PATH}?{query}").json()["denials"] == []
