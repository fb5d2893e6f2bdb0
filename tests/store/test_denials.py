"""Refusals on each database: added up, bounded, and never uncounted."""

from datetime import UTC, datetime, timedelta
from typing import Any

from ostiary.model.denial import DenialQuery, Example, Refusals
from ostiary.store import denials
from ostiary.store.store import Store

AT = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
ALICE = "a" * 64


def refusals(who: str = ALICE, **fields: Any) -> Refusals:
    example = Example(client="192.0.2.1", fingerprint_sha256=who if len(who) == 64 else "", serial="0a", subject="CN=x")
    usual = {"listener_id": "l1", "stage": "request", "code": "revoked", "who": who, "first": AT, "last": AT, "count": 1}
    return Refusals(**{**usual, "addresses": ("192.0.2.1",), "example": example, **fields})


def merged(store: Store, *of: Refusals, of_a_kind: int = 500) -> None:
    store.record(lambda facts: denials.merge(facts, of, of_a_kind))


def found(store: Store, **query: Any) -> list[Any]:
    with store.read() as reader:
        return list(denials.find(reader, DenialQuery(**query), apart=("tls_failed",))[0])


def test_what_is_alike_within_an_hour_is_one_row(store: Store) -> None:
    merged(store, refusals(references=(1, 2)), refusals("192.0.2.9"), refusals(count=2))
    merged(store, refusals(count=4, first=AT - timedelta(minutes=9), last=AT + timedelta(minutes=9), references=(2, 3)))
    merged(store, refusals(first=AT + timedelta(hours=1), last=AT + timedelta(hours=1)), refusals(code="expired"))
    rows = found(store, fingerprint_sha256=ALICE, code="revoked")
    assert [row.count for row in rows] == [1, 7]
    assert (rows[1].first, rows[1].last) == (AT - timedelta(minutes=9), AT + timedelta(minutes=9))
    assert rows[1].references == (1, 2, 3)
    assert len(found(store)) == 4


def test_what_was_shown_at_the_handshake_stays_with_the_row(store: Store) -> None:
    merged(store, refusals(stage="handshake", certificate="PEM"))
    merged(store, refusals(stage="handshake"))
    (row,) = found(store)
    assert (row.count, row.certificate) == (2, "PEM")
    with store.read() as reader:
        assert denials.one_denial(reader, row.id) == row
        assert denials.one_denial(reader, "none") is None


def test_more_clients_of_a_kind_than_there_is_room_for_are_one_sum(store: Store) -> None:
    for _ in range(2):
        merged(store, *(refusals(f"{number:064x}") for number in range(20)), refusals(code="expired"), of_a_kind=5)
    rows = found(store, code="revoked")
    assert sorted(row.count for row in rows) == [2, 2, 2, 2, 2, 30]
    (crowd,) = (row for row in rows if row.example is None)
    assert (crowd.count, crowd.addresses, crowd.certificate_id) == (30, (), None)
    assert [row.count for row in found(store, code="expired")] == [2]


def test_filters(store: Store) -> None:
    merged(store, refusals(rule_id="r1"), refusals("192.0.2.77", code="tls_failed", stage="handshake", addresses=("192.0.2.77",)))
    for query in ({"rule_id": "r1"}, {"serial": "0a"}, {"client": "192.0.2.1"}, {"stage": "request"}, {"listener_id": "l1"}):
        assert [row.code for row in found(store, **query)] == ["revoked"], query
    assert [row.code for row in found(store, code="tls_failed", client="192.0.2.77")] == ["tls_failed"]
    for query in ({"rule_id": "r"}, {"serial": "0"}, {"client": "192.0.2."}, {"client": "%"}):
        assert found(store, **query) == [], query
    assert len(found(store, since=AT)) == 1
    assert found(store, since=AT + timedelta(1)) == found(store, until=AT) == []


def test_a_reference_leads_to_what_was_refused_at_that_moment(store: Store) -> None:
    milliseconds = int(AT.timestamp() * 1000)
    merged(store, refusals(last=AT + timedelta(seconds=1), references=(milliseconds,)), refusals(stage="handshake"))
    assert [row.stage for row in found(store, reference=milliseconds)] == ["request"]
    assert found(store, reference=milliseconds + 5000) == []


def test_pages_follow_each_other(store: Store) -> None:
    merged(store, *(refusals(f"{number:064x}", last=AT + timedelta(seconds=number // 2)) for number in range(9)))
    seen: list[str] = []
    marker = None
    while True:
        with store.read() as reader:
            page, more = denials.find(reader, DenialQuery(limit=2, marker=marker), apart=())
        seen += [row.id for row in page]
        if not more:
            break
        marker = (page[-1].last, page[-1].id)
    assert len(seen) == len(set(seen)) == 9


def test_what_is_pruned_stays_counted(store: Store) -> None:
    for day in range(10):
        at = AT + timedelta(days=day)
        merged(store, refusals(first=at, last=at, count=3))
    before = AT + timedelta(days=2)
    assert store.record(lambda facts: denials.prune(facts, before, 100)) == 2
    assert store.record(lambda facts: denials.prune(facts, before, 5)) == 3
    assert store.record(lambda facts: denials.prune(facts, before, 5)) == 0
    with store.read() as reader:
        (total,) = denials.totals(reader)
        assert (total.count, denials.kept(reader)) == (30, 15)
        ((stage, code, count, unnamed, last),) = denials.by_code(reader, DenialQuery(since=AT + timedelta(days=8)))
    assert (stage, code, count, unnamed, last) == ("request", "revoked", 6, 0, AT + timedelta(days=9))
