"""What rehearsals found, on each database: added up, apart from each other, and bounded."""

from datetime import UTC, datetime, timedelta
from typing import Any

from ostiary.model.denial import Example, Refusals
from ostiary.model.rehearsal import Scene, Totals
from ostiary.store import rehearsals
from ostiary.store.store import Store

AT = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
SCENE = Scene(listener_id="l1", trust_revision=7, since=AT)
OF_RULES = Scene(listener_id="l1", trust_revision=0, since=AT)


def told(who: str = "a" * 64, **fields: Any) -> Refusals:
    example = Example(client="192.0.2.1", fingerprint_sha256=who if len(who) == 64 else "", subject="CN=x")
    usual = {"listener_id": "l1", "stage": "request", "code": "expired", "trust_revision": 7, "who": who, "count": 1}
    return Refusals(**{**usual, "first": AT, "last": AT, "addresses": ("192.0.2.1",), "example": example, **fields})


def merged(store: Store, *of: Refusals, of_a_listener: int = 500) -> None:
    store.record(lambda facts: rehearsals.merge(facts, of, of_a_listener))


def totals(store: Store, scene: Scene = SCENE, since: datetime | None = None) -> Totals:
    with store.read() as reader:
        return rehearsals.totals(reader, scene, since)


def test_who_would_be_refused_anything_is_one_client_that_would_be_refused(store: Store) -> None:
    merged(store, told(), told(code="allowed", count=5), told("b" * 64, code="exempt", rule_id="e1"), told("192.0.2.9"))
    merged(store, told(count=2, last=AT + timedelta(minutes=9)))
    found = totals(store)
    assert (found.clients, found.refused_clients, found.requests, found.refused_requests, found.unnamed) == (3, 2, 10, 4, 0)
    assert found.last_refused == AT + timedelta(minutes=9)
    with store.read() as reader:
        (first, second), more = rehearsals.refused(reader, SCENE, 2)
        assert rehearsals.refused(reader, SCENE, 1)[1]
        counted = {(one.code, one.rule_id): (one.clients, one.requests) for one in rehearsals.reasons(reader, SCENE)}
    assert (first.count, first.first, first.last, more) == (3, AT, AT + timedelta(minutes=9), False)
    assert second.example is not None
    assert second.example.fingerprint_sha256 == ""
    assert counted == {("expired", None): (2, 4), ("allowed", None): (1, 5), ("exempt", "e1"): (1, 1)}


def test_another_trust_and_rules_alone_are_rehearsals_of_their_own(store: Store) -> None:
    merged(store, told(), told(trust_revision=8), told(trust_revision=0), told(trust_revision=0, code="allowed"))
    assert totals(store).requests == 1
    assert totals(store, OF_RULES).requests == 2
    assert totals(store, OF_RULES.model_copy(update={"since": AT + timedelta(seconds=1)})) == Totals()
    assert totals(store, SCENE.model_copy(update={"listener_id": "l2"})) == Totals()


def test_who_came_lately_is_told_from_who_came_before(store: Store) -> None:
    merged(store, told(), told("b" * 64, first=AT + timedelta(days=2), last=AT + timedelta(days=2)))
    assert totals(store, since=AT + timedelta(days=1)).clients == 1
    assert totals(store).clients == 2


def test_a_flood_of_the_refused_is_a_sum_and_hides_nobody_who_would_be_let_in(store: Store) -> None:
    merged(store, *(told(f"{number:064x}") for number in range(5)), of_a_listener=3)
    merged(store, told("f" * 64), told("c" * 64, code="allowed"), told(f"{1:064x}"), of_a_listener=3)
    found = totals(store)
    assert (found.clients, found.refused_clients, found.unnamed, found.refused_requests) == (4, 3, 3, 7)
    with store.read() as reader:
        rows, _ = rehearsals.refused(reader, SCENE, 10)
    assert sum(1 for row in rows if row.example is None) == 1


def test_what_the_handshake_would_say_is_remembered_of_certificates_that_were_looked_into(store: Store) -> None:
    merged(store, told(certificate="PEM"), told("b" * 64, certificate="PEM", code="unverified"), told("c" * 64))
    with store.read() as reader:
        known = rehearsals.reasons_of(reader, "l1", 7, ["a" * 64, "b" * 64, "c" * 64], but=("unverified",))
        assert rehearsals.reasons_of(reader, "l1", 8, ["a" * 64], but=()) == {}
    assert known == {"a" * 64: "expired"}


def test_what_is_old_or_too_much_is_pruned(store: Store) -> None:
    merged(store, *(told(f"{number:064x}", last=AT + timedelta(minutes=number)) for number in range(5)))
    assert store.record(lambda facts: rehearsals.prune(facts, AT + timedelta(minutes=1), 100)) == 1
    assert store.record(lambda facts: rehearsals.prune(facts, AT, 2)) == 2
    assert totals(store).clients == 2
