"""What gateways tell of refusals is on record once, whatever they tell twice, with what to do about it."""

from datetime import timedelta
from typing import Any

import pytest

from ostiary.access.words import FIXES, HANDSHAKE_CODES, REQUEST_CODES
from ostiary.errors import Denied, Invalid, NotFound
from ostiary.model.denial import LONGEST_KEPT, DenialQuery
from ostiary.ops import denials
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from support.made import a_certificate, an_authority
from support.systems import ADMIN, FakeClock

ALICE = "a" * 64


def refused(clock: FakeClock, who: str = ALICE, ago: float = 0, **fields: Any) -> dict[str, Any]:
    at = (clock.at - timedelta(seconds=ago)).isoformat()
    example = {"client": "192.0.2.1", "fingerprint_sha256": who, "subject": "CN=x", "sans": ["DNS:a.test"], "host": "a.test"}
    usual = {"listener_id": "l1", "stage": "request", "code": "revoked", "rule_id": "", "who": who, "count": 1}
    return {**usual, "first": at, "last": at, "addresses": ["192.0.2.1"], "references": [], "example": example, **fields}


def told(sequence: int, *entries: Any) -> dict[str, Any]:
    return {"sequence": sequence, "denials": list(entries)}


def test_what_several_gateways_refused_is_added_up_and_what_is_told_again_is_not(system: System, clock: FakeClock) -> None:
    for gateway, sequence in (("g1", 7), ("g2", 3), ("g1", 7), ("g1", 6)):
        assert denials.denied(system, gateway, told(sequence, refused(clock, count=2))) == 0
    (row,) = denials.find(system, ADMIN, DenialQuery()).items
    assert (row.count, row.code, row.listener_name, row.certificate_id) == (4, "revoked", None, None)
    assert row.example is not None
    assert (row.example.subject, row.example.sans, row.example.host) == ("CN=x", ("DNS:a.test",), "a.test")
    assert denials.get(system, ADMIN, row.id) == row
    with pytest.raises(NotFound):
        denials.get(system, ADMIN, "none")


def test_one_of_ours_is_known_as_that(system: System, clock: FakeClock) -> None:
    certificate = a_certificate(system, an_authority(system))
    denials.denied(system, "g1", told(1, refused(clock, certificate.fingerprint_sha256)))
    (row,) = denials.find(system, ADMIN, DenialQuery()).items
    assert row.certificate_id == certificate.id


def test_each_code_comes_with_what_to_do() -> None:
    for code in (*HANDSHAKE_CODES, *REQUEST_CODES):
        assert denials.fix(code) == FIXES[code]
    assert "No certificate is to blame" in denials.fix("tls_failed")
    assert "newer gateway" in denials.fix("whatever")


def test_failures_that_are_no_refusal_are_listed_only_when_asked_for(system: System, clock: FakeClock) -> None:
    denials.denied(system, "g1", told(1, refused(clock, code="tls_failed", stage="handshake"), refused(clock)))
    assert [row.code for row in denials.find(system, ADMIN, DenialQuery()).items] == ["revoked"]
    assert [row.code for row in denials.find(system, ADMIN, DenialQuery(code="tls_failed")).items] == ["tls_failed"]


def test_a_reference_leads_to_the_very_request_or_else_to_what_it_may_have_been(system: System, clock: FakeClock) -> None:
    at = int(clock.at.timestamp() * 1000)
    denials.denied(system, "g1", told(1, refused(clock, references=[at]), refused(clock, "b" * 64), refused(clock, "c" * 64, 5)))
    assert [row.references for row in denials.find(system, ADMIN, DenialQuery(reference=at)).items] == [(at,)]
    (perhaps,) = denials.find(system, ADMIN, DenialQuery(reference=at - 5000)).items
    assert perhaps.references == ()


def test_the_summary_counts_by_code_and_says_what_was_forgotten(system: System, clock: FakeClock) -> None:
    denials.denied(system, "g1", told(1, refused(clock, count=5), refused(clock, "", code="expired", count=7)))
    summary = denials.summary(system, ADMIN, DenialQuery())
    assert [(one.code, one.count, one.unnamed) for one in summary.counts] == [("expired", 7, 7), ("revoked", 5, 0)]
    assert (summary.total, summary.forgotten) == (12, 0)
    clock.at += LONGEST_KEPT + timedelta(seconds=1)
    assert denials.forget_old(system) == 2
    summary = denials.summary(system, ADMIN, DenialQuery())
    assert (summary.counts, summary.total, summary.forgotten) == ((), 12, 12)
    assert sum(one.count for one in denials.totals(system, ADMIN)) == 12


def test_nobody_was_refused_later_than_now(system: System, clock: FakeClock) -> None:
    denials.denied(system, "g1", told(1, refused(clock, ago=-9999)))
    (row,) = denials.find(system, ADMIN, DenialQuery()).items
    assert row.last <= clock.at


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        7,
        {"listener_id": "x" * 37},
        {"stage": "later"},
        {"code": "Revoked!"},
        {"count": -1},
        {"last": "never"},
        {"example": {"fingerprint_sha256": "zz"}},
        {"certificate": "x" * 9000},
        {"references": [-1]},
        {"surplus": 1},
    ],
)
def test_an_entry_that_makes_no_sense_does_not_take_the_others_with_it(system: System, clock: FakeClock, nonsense: Any) -> None:
    entry = {**refused(clock, "b" * 64), **nonsense} if isinstance(nonsense, dict) else nonsense
    assert denials.denied(system, "g1", told(1, refused(clock), entry)) == 1
    assert len(denials.find(system, ADMIN, DenialQuery()).items) == 1


@pytest.mark.parametrize(
    "batch",
    [
        {},
        *({"sequence": number} for number in ("7", 0, 2**63)),
        {"sequence": 1, "denials": {}},
        {"sequence": 1, "denials": [1] * 1001},
    ],
)
def test_what_is_no_batch_is_refused(system: System, batch: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        denials.denied(system, "g1", batch)


def test_a_batch_changes_neither_the_configuration_nor_the_record_of_changes(system: System, clock: FakeClock) -> None:
    with system.store.read() as reader:
        before = reader.revision(), reader.audit_head(), reader.status_sequence()
    denials.denied(system, "g1", told(1, refused(clock)))
    with system.store.read() as reader:
        assert (reader.revision(), reader.audit_head(), reader.status_sequence()) == before


def test_only_who_may_asks(system: System) -> None:
    for role in ("admin", "operator", "auditor"):
        assert denials.find(system, Caller("someone", role), DenialQuery()).items == ()
    for ask in (lambda who: denials.find(system, who, DenialQuery()), lambda who: denials.summary(system, who, DenialQuery())):
        with pytest.raises(Denied):
            ask(Caller("someone", "holder"))


def test_words_are_looked_for_in_what_was_shown(system: System, clock: FakeClock) -> None:
    alice = {"client": "192.0.2.1", "fingerprint_sha256": ALICE, "serial": "0a1b", "subject": "CN=Alice"}
    nobody = {"client": "192.0.2.2"}
    denials.denied(system, "g1", told(1, refused(clock, example=alice), refused(clock, "192.0.2.2", example=nobody)))

    def found(*words: str) -> list[str]:
        rows = denials.find(system, ADMIN, DenialQuery(search=words)).items
        assert sum(one.count for one in denials.summary(system, ADMIN, DenialQuery(search=words)).counts) == len(rows)
        return [row.example.subject for row in rows if row.example]

    assert (found("alice"), found("0A:1b"), found("aaaa"), found("bob")) == (["CN=Alice"], ["CN=Alice"], ["CN=Alice"], [])
    assert len(found()) == 2
