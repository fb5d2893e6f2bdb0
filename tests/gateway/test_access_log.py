"""What Envoy tells, whatever clients made it hold, is written down; who was let in is seen, who was refused is not."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ostiary.envoy.records import BETWEEN, Kind
from ostiary.gateway.access_log import AccessLog
from ostiary.gateway.denied import Denied
from ostiary.gateway.journal import Journal
from ostiary.gateway.seen import Seen
from ostiary.gateway.shelf import Shelf
from ostiary.gateway.streams import Streams
from ostiary.gateway.written import Written
from support.feed import chunk, line

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
NANOSECONDS = int(AT.timestamp()) * 1_000_000_000


def record(kind: Kind = "request", began: int = NANOSECONDS, **fields: str | bytes) -> bytes:
    """One line as Envoy writes it."""
    usual: dict[str, str | bytes] = {"client": "192.0.2.1", "duration": "1500", "method": "GET"}
    return line(kind, usual | fields, began)


class Heard:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "access.jsonl"
        self.written = folder / "written"
        self.seen = Seen()
        self.streams = Streams()
        self.denied = Denied()
        self.rehearsed = Denied()
        self.begin()

    def begin(self) -> None:
        journal = Journal(Shelf(self.file), "g1", Written(self.written))
        self.log = AccessLog(journal, self.seen, self.denied, self.streams, self.rehearsed, lambda: AT)

    def take(self, *lines: bytes, lost: int = 0) -> list[dict[str, Any]]:
        self.log.take(chunk(*lines, offset=self.log.place.offset, lost=lost))
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def told_of_refusals(self) -> list[list[dict[str, Any]]]:
        self.denied.seal(AT.timestamp())
        return [batch.body["denials"] for batch in [next(self.denied.batches())]]

    def told_of_rehearsals(self) -> list[dict[str, Any]]:
        self.rehearsed.seal(AT.timestamp())
        return [one for batch in [next(self.rehearsed.batches())] for one in batch.body["denials"]]

    def told(self) -> list[dict[str, Any]]:
        self.seen.seal(AT.timestamp())
        bodies = []
        for batch in self.seen.batches():
            bodies.append(batch.body)
            self.seen.taken(batch.sequence)
        return bodies


@pytest.fixture
def heard(tmp_path: Path) -> Heard:
    return Heard(tmp_path)


def test_a_request_is_written_down_and_its_certificate_seen_when_it_ended(heard: Heard) -> None:
    line = record(fingerprint="aa", subject="CN=alice", path="/a", status="200", details="via_upstream")
    assert heard.take(line) == [
        {
            "timestamp": "2026-11-23T10:00:00.000+00:00",
            "event_name": "ostiary.request",
            "ostiary.verdict": "admitted",
            "ostiary.gateway.id": "g1",
            "ostiary.listener.id": "l1",
            "client.address": "192.0.2.1",
            "ostiary.duration": 1.5,
            "tls.client.hash.sha256": "AA",
            "http.request.method": "GET",
            "http.response.status_code": 200,
            "ostiary.envoy.response_code_details": "via_upstream",
            "url.path": "/a",
            "tls.client.subject": "CN=alice",
        }
    ]
    ((sighting,),) = (body["sightings"] for body in heard.told())
    assert (sighting["fingerprint_sha256"], sighting["listener_id"], sighting["requests"]) == ("aa", "l1", 1)
    assert sighting["last_seen"] == "2026-11-23T10:00:01.500000+00:00"


def test_who_is_refused_is_written_down_with_the_reason_and_is_not_seen(heard: Heard) -> None:
    (entry,) = heard.take(record(fingerprint="aa", status="403", details="rbac_access_denied_matched_policy[revoked]"))
    assert (entry["ostiary.verdict"], entry["ostiary.reason"]) == ("refused", "revoked")
    assert "ostiary.rule.id" not in entry
    assert heard.told() == []
    ((denial,),) = heard.told_of_refusals()
    assert (denial["stage"], denial["code"], denial["who"], denial["count"]) == ("request", "revoked", "aa", 1)
    assert denial["references"] == [NANOSECONDS // 1_000_000]


def test_who_is_refused_by_a_rule_is_written_down_with_it(heard: Heard) -> None:
    (entry,) = heard.take(record(fingerprint="aa", details="rbac_access_denied_matched_policy[denied_by_rule:r1]"))
    assert (entry["ostiary.reason"], entry["ostiary.rule.id"]) == ("denied_by_rule", "r1")
    ((denial,),) = heard.told_of_refusals()
    assert (denial["code"], denial["rule_id"]) == ("denied_by_rule", "r1")


def test_a_failed_handshake_is_written_down_with_the_certificate_that_was_shown(heard: Heard) -> None:
    pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    failure = "CERTIFICATE_VERIFY_FAILED:_certificate_has_expired"
    (entry,) = heard.take(record("connection", fingerprint="aa", failure=failure, certificate=quote(pem)))
    assert (entry["ostiary.verdict"], entry["ostiary.reason"]) == ("refused", "expired")
    assert (entry["ostiary.tls.failure"], entry["tls.client.certificate"]) == (failure, pem)
    assert heard.told() == []
    ((denial,),) = heard.told_of_refusals()
    assert (denial["stage"], denial["code"], denial["certificate"], denial["references"]) == ("handshake", "expired", pem, [])


def test_a_certificate_beyond_all_measure_is_not_written_down(heard: Heard) -> None:
    failure = "CERTIFICATE_VERIFY_FAILED:_certificate_has_expired"
    (entry,) = heard.take(record("connection", fingerprint="aa", failure=failure, certificate="A" * 16385))
    assert entry["ostiary.reason"] == "expired"
    assert "tls.client.certificate" not in entry


def test_the_certificate_of_who_was_let_in_goes_to_the_control_plane_and_not_into_the_log(heard: Heard) -> None:
    (entry,) = heard.take(record("connection", fingerprint="aa", certificate="A%0AB"))
    assert "tls.client.certificate" not in entry
    assert [body["certificates"] for body in heard.told()] == [{"aa": "A\nB"}]


def test_what_envoy_could_not_read_as_a_request_was_let_in_by_nobody(heard: Heard) -> None:
    (entry,) = heard.take(record(method="-", status="400", details="http1.codec_error"))
    assert (entry["ostiary.verdict"], entry["ostiary.reason"]) == ("refused", "bad_request")
    assert not heard.denied.seal(AT.timestamp())  # it is about nobody's permission


def test_who_shows_no_certificate_is_written_down_only(heard: Heard) -> None:
    assert len(heard.take(record(status="200"))) == 1
    assert heard.told() == []


@pytest.mark.parametrize("name", [b"\xff\xfe", b"caf\xe9", BETWEEN.encode() * 9, b"", b"\xed\xa0\x80"])
def test_a_name_that_is_no_text_hides_nothing(heard: Heard, name: bytes) -> None:
    entries = heard.take(record(fingerprint="aa", path="/1"), record(fingerprint="bb", san_uri=name), record(fingerprint="cc"))
    assert [entry["tls.client.hash.sha256"] for entry in entries] == ["AA", "BB", "CC"]
    ((*sightings,),) = (body["sightings"] for body in heard.told())
    assert [one["fingerprint_sha256"] for one in sightings] == ["aa", "bb", "cc"]


def test_a_field_without_end_is_cut(heard: Heard) -> None:
    (entry,) = heard.take(record(san_dns="a" * 9999))
    assert len(entry["ostiary.certificate.san.dns"]) == 1024


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\xff",
        b"{",
        b"[]",
        b'{"connection 2":[]}',
        b'{"connection 1":["l1","-"]}',
        record()[:40] + record("request", NANOSECONDS + 1)[40:],  # two halves that became one line
        record(connection="7")[:-10] + b'8"]}',
        record(path="a\x1fb"),
        record().replace(b"request 1", b"request 2"),
    ],
)
def test_what_is_no_record_is_left_out_and_counted(heard: Heard, damaged: bytes) -> None:
    *_, lost, good = (
        heard.take(damaged, record(path="/good"))[-2:] if damaged else [{}, *heard.take(record(path="/good"), lost=1)[::-1]]
    )
    if "url.path" in lost:
        lost, good = good, lost
    assert (lost["event_name"], lost["ostiary.lost.count"]) == ("ostiary.lost", 1)
    assert good["url.path"] == "/good"


def test_what_envoy_could_not_write_is_said(heard: Heard) -> None:
    for total in (0, 7, 7, 9, 2):  # the last by another Envoy
        heard.log.dropped(total)
    lost = [entry["ostiary.lost.count"] for entry in heard.take() if entry["event_name"] == "ostiary.lost"]
    assert lost == [7, 2, 2]


def test_in_a_rehearsal_everybody_is_summed_up_and_who_is_not_verified_is_not_seen(heard: Heard) -> None:
    usual: dict[str, Any] = {"trust_revision": "7", "certificate": "A%0AB"}
    heard.take(
        record(fingerprint="aa", rehearsed="-|-|unverified", **usual),
        record(fingerprint="aa", rehearsed="-|-|unverified", **usual),
        record(fingerprint="bb", rehearsed="-|-|allowed", issuer_fingerprint="cc", **usual),
        record(rehearsed="-|-|no_certificate", trust_revision="7"),
    )
    told = {one["code"]: one for one in heard.told_of_rehearsals()}
    assert {code: (one["who"], one["count"], one["certificate"]) for code, one in told.items()} == {
        "unverified": ("aa", 2, "A\nB"),
        "allowed": ("bb", 1, ""),
        "no_certificate": ("192.0.2.1", 1, ""),
    }
    assert {one["trust_revision"] for one in told.values()} == {7}
    ((sighting,),) = (body["sightings"] for body in heard.told())
    assert sighting["fingerprint_sha256"] == "bb"
    assert not heard.denied.seal(AT.timestamp())


def test_in_a_rehearsal_what_goes_on_is_there_at_once_and_counts_when_it_ends(heard: Heard) -> None:
    on: dict[str, Any] = {"fingerprint": "aa", "rehearsed": "-|-|unverified", "trust_revision": "7", "connection": "1"}
    on |= {"client_port": "4711", "local": "127.0.0.1:8443"}
    heard.take(record(duration="-", moment="DownstreamTunnelSuccessfullyEstablished", **on))
    (begun,) = heard.told_of_rehearsals()
    assert begun["count"] == 0
    heard.rehearsed.taken(next(heard.rehearsed.batches()).sequence)
    heard.take(record(**on))
    (ended,) = heard.told_of_rehearsals()
    assert ended["count"] == 1


def test_where_rules_alone_are_rehearsed_who_is_refused_in_earnest_is_no_part_of_it(heard: Heard) -> None:
    heard.take(
        record(fingerprint="aa", rehearsed="denied_by_rule:r1", trust_revision="7", issuer_fingerprint="cc"),
        record(fingerprint="bb", rehearsed="denied_by_rule:r1", details="rbac_access_denied_matched_policy[revoked]"),
    )
    (one,) = heard.told_of_rehearsals()
    assert (one["who"], one["code"], one["rule_id"], one.get("trust_revision")) == ("aa", "denied_by_rule", "r1", None)
    assert [sighting["fingerprint_sha256"] for body in heard.told() for sighting in body["sightings"]] == ["aa"]
