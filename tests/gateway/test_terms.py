"""What Envoy tells, in the words of OpenTelemetry; and docs/access-record.md has each of them."""

import re
from pathlib import Path
from typing import Any, Final

import pytest

from ostiary.envoy.records import FIELDS, HOLDER, Kind
from ostiary.gateway import terms

ROOT: Final = Path(__file__).parents[2]
# Of the attribute registry of OpenTelemetry's semantic conventions 1.38, those that we use. The rest must be ours.
REGISTRY: Final = {
    "client.address",
    "client.port",
    "http.request.method",
    "http.request.method_original",
    "http.response.status_code",
    "log.record.uid",
    "network.local.address",
    "network.local.port",
    "network.protocol.name",
    "network.protocol.version",
    "server.address",
    "server.port",
    "tls.client.certificate",
    "tls.client.hash.sha256",
    "tls.client.issuer",
    "tls.client.not_after",
    "tls.client.not_before",
    "tls.client.subject",
    "tls.established",
    "tls.protocol.name",
    "tls.protocol.version",
    "url.path",
    "user_agent.original",
}


def told(kind: str = "request", **fields: Any) -> dict[str, Any]:
    """Without what every entry has."""
    said = terms.told({"at": "T", "kind": kind, "listener": "l1", **fields}, "g1")
    usual = {"timestamp", "event_name", "ostiary.gateway.id", "ostiary.listener.id"}
    return {name: value for name, value in said.items() if name not in usual}


def test_a_name_is_one_of_the_conventions_or_ours() -> None:
    assert {name for name in terms.TYPES if not name.startswith("ostiary.")} == REGISTRY | {"timestamp", "event_name"}


def test_each_name_is_in_the_documentation_with_its_type_and_no_other_is() -> None:
    page = (ROOT / "docs" / "access-record.md").read_text()
    listed = re.findall(r"^\| `([a-z0-9_.]+)` \| ([a-z ]+) \|", page, re.MULTILINE)
    assert dict(listed) == dict(terms.TYPES)
    assert len(listed) == len(terms.TYPES)


def test_whatever_envoy_tells_has_a_name() -> None:
    ours = {"moment"}  # says whether it goes on; then there is no duration
    for kind, fields in FIELDS.items():
        for field in (fields | HOLDER).keys() - ours:
            value = {"protocol": "HTTP/2", "tls": "TLSv1.3", "rehearsed": "allowed"}.get(field, "7")
            assert told(kind, **{field: value}).keys() - {"ostiary.verdict", "tls.established"}, field


def test_names_are_only_those_that_there_are() -> None:
    for kind, fields in FIELDS.items():
        whole = dict.fromkeys((fields | HOLDER).keys(), "7") | {"refused": "revoked", "rule": "r1", "count": 2, "until": "U"}
        assert terms.told({"at": "T", "kind": kind, "listener": "l1", **whole}, "g1").keys() <= terms.TYPES.keys()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"duration": "1500"}, {"ostiary.duration": 1.5}),
        ({"status": "403"}, {"http.response.status_code": 403}),
        ({"client_port": "4711"}, {"client.port": 4711}),
        ({"client_port": "x"}, {}),
        ({"trust_revision": "12"}, {"ostiary.trust.revision": 12}),
        ({"fingerprint": "ab01"}, {"tls.client.hash.sha256": "AB01"}),
        ({"protocol": "HTTP/1.1"}, {"network.protocol.name": "http", "network.protocol.version": "1.1"}),
        ({"tls": "TLSv1.3"}, {"tls.protocol.name": "tls", "tls.protocol.version": "1.3"}),
        ({"method": "GET"}, {"http.request.method": "GET"}),
        ({"method": "get"}, {"http.request.method": "_OTHER", "http.request.method_original": "get"}),
        ({"authority": "a.example"}, {"server.address": "a.example"}),
        ({"authority": "a.example:8443"}, {"server.address": "a.example", "server.port": 8443}),
        ({"authority": "[::1]:8443"}, {"server.address": "::1", "server.port": 8443}),
        ({"authority": "::1:8443"}, {"server.address": "::1:8443"}),
        ({"authority": "a:999999"}, {"server.address": "a:999999"}),
        ({"authority": "a:٣"}, {"server.address": "a:٣"}),
        ({"authority": ":"}, {"server.address": ":"}),
        ({"local": "[::1]:8443"}, {"network.local.address": "::1", "network.local.port": 8443}),
        ({"subject": "x" * 5000}, {"tls.client.subject": "x" * 1024}),
        ({"certificate": "x" * 5000}, {"tls.client.certificate": "x" * 5000}),
        ({"rehearsed": "-|-|allowed"}, {"ostiary.rehearsal.verdict": "admitted"}),
        (
            {"rehearsed": "denied_by_rule:r1"},
            {
                "ostiary.rehearsal.verdict": "refused",
                "ostiary.rehearsal.reason": "denied_by_rule",
                "ostiary.rehearsal.rule.id": "r1",
            },
        ),
    ],
)
def test_a_value_is_of_the_type_that_the_conventions_have(fields: dict[str, Any], said: dict[str, Any]) -> None:
    assert told(**fields) == {"ostiary.verdict": "admitted", **said}


def test_a_handshake_that_failed_did_not_establish_anything() -> None:
    assert told("connection", tls="TLSv1.3")["tls.established"] is True
    assert told("connection", tls="TLSv1.3", failure="no", refused="revoked")["tls.established"] is False
    assert told("connection", refused="tls_failed")["tls.established"] is False
    assert "tls.established" not in told("connection")


def test_what_was_lost_has_no_verdict() -> None:
    assert told("lost", why="w", lost=3) == {"ostiary.lost.reason": "w", "ostiary.lost.count": 3}


@pytest.mark.parametrize(
    ("kind", "record", "reason"),
    [
        ("request", {"method": "GET", "details": "via_upstream"}, None),
        ("request", {"method": "GET", "details": "no_healthy_upstream"}, None),
        ("request", {"details": "http1.codec_error"}, "bad_request"),
        ("request", {"method": "GET", "details": "path_normalization_failed"}, "bad_request"),
        ("request", {"method": "GET", "details": "overload", "status": "503"}, "overloaded"),
        ("request", {"method": "GET", "details": "overload", "status": "503", "flags": "OM"}, None),  # the member's 503, cut off
        ("request", {"method": "GET", "details": "overload", "status": "200", "flags": "OM"}, None),
        ("connection", {"tls": "TLSv1.3"}, None),
        ("connection", {"failure": "no"}, None),  # that has a reason of its own
        ("connection", {}, "tls_failed"),
    ],
)
def test_what_envoy_ends_before_anything_is_decided_is_let_in_by_nobody(
    kind: Kind, record: dict[str, str], reason: str | None
) -> None:
    assert terms.turned_away(kind, record, is_tls=True) == reason


def test_a_request_that_was_ended_for_what_it_held_was_let_in_and_has_the_reason() -> None:
    record = {"method": "GET", "details": "overload", "status": "200", "flags": "OM"}
    assert terms.ended_early("request", record) == "overloaded"
    assert terms.ended_early("request", record | {"status": "503", "flags": "UF,OM"}) == "overloaded"
    assert terms.ended_early("request", {"details": "overload", "status": "503"}) is None
    assert terms.ended_early("request", {"details": "via_upstream", "status": "200"}) is None
    said = told(ended="overloaded", **record)
    assert (said["ostiary.verdict"], said["ostiary.reason"]) == ("admitted", "overloaded")


def test_a_connection_without_tls_is_none_that_failed() -> None:
    assert terms.turned_away("connection", {}, is_tls=False) is None
