"""The inventory is searched in SQL, alike on each database."""

import random  # noqa: TID251 (see below)
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final

import pytest
from sqlalchemy import event

from ostiary.ids import new_id
from ostiary.model.authority import Authority, Certificate
from ostiary.model.fields import Private
from ostiary.model.inventory import STATUSES, Wanted
from ostiary.model.query import Query
from ostiary.model.revocation import HOLD, Revocation
from ostiary.ops import certificates
from ostiary.ops.system import System
from ostiary.pki.sealing import Sealer, new_kek
from ostiary.store import inventory, revocations, words
from ostiary.store.kinds import AUTHORITY, CERTIFICATE
from ostiary.store.store import Store

NOW: Final = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY: Final = timedelta(days=1)
SECOND: Final = timedelta(seconds=1)


class Stock:
    """Certificates put straight into the store: what is searched here is rows, not signatures."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.authority = self.an_authority("first")

    def an_authority(self, name: str, series_id: str = "") -> Authority:
        authority_id = new_id()
        with self.store.write() as transaction:
            return transaction.insert(
                AUTHORITY,
                Authority(
                    id=authority_id,
                    name=name,
                    kind="root",
                    certificate="",
                    subject=f"CN={name}",
                    fingerprint_sha256=new_id().replace("-", "").ljust(64, "0"),
                    not_before=NOW,
                    not_after=NOW,
                    sealed_key=Private(b""),
                    series_id=series_id or authority_id,
                ),
            )

    def add(self, **fields: Any) -> Certificate:
        made = {
            "id": new_id(),
            "authority_id": self.authority.id,
            "serial": new_id().replace("-", ""),
            "fingerprint_sha256": (new_id() + new_id()).replace("-", ""),
            "key_sha256": "",
            "subject": "CN=somebody",
            "not_before": NOW - DAY,
            "not_after": NOW + DAY,
            "certificate": "",
            **fields,
        }
        with self.store.write() as transaction:
            added = transaction.insert(CERTIFICATE, Certificate.model_validate(made))
            if added.revoked_at is not None:
                revocations.put(transaction, _revocation(added))
            return added

    def found(self, at: datetime = NOW, query: Query | None = None, **wanted: Any) -> list[str]:
        with self.store.read() as reader:
            return [one.id for one in inventory.page(reader, Wanted(query or Query(), at, **wanted)).items]


def _revocation(one: Certificate) -> Revocation:
    assert one.revoked_at is not None
    return Revocation(
        authority_id=one.authority_id,
        serial=one.serial,
        sequence=1,
        fingerprint_sha256=one.fingerprint_sha256,
        revoked_at=one.revoked_at,
        reason=one.revocation_reason or "unspecified",
        invalidity_date=None,
        expires_at=one.not_after,
        entry=b"",
    )


@pytest.fixture
def stock(store: Store) -> Stock:
    return Stock(store)


def ids(things: Sequence[Certificate]) -> list[str]:
    return [thing.id for thing in things]


def test_a_status_is_found_by_exactly_those_that_have_it(stock: Stock) -> None:
    times = [NOW + shift for shift in (-DAY, -SECOND, timedelta(0), SECOND, DAY)]
    reasons = [None, HOLD, "keyCompromise"]
    made = [
        stock.add(not_before=begin, not_after=end, revoked_at=reason and NOW, revocation_reason=reason)
        for begin, end, reason in product(times, times, reasons)
        if begin <= end
    ]
    for at in (NOW, NOW + SECOND / 2, NOW - SECOND / 2):
        system = System(store=stock.store, sealer=Sealer(new_kek()), clock=lambda at=at: at)  # type: ignore[misc]
        for status in STATUSES:
            expected = [one.id for one in made if certificates.status(system, one) == status]
            assert expected == stock.found(at, status=status), (at, status)
            assert expected


@pytest.mark.parametrize(
    "word",
    ["alice", "ALICE", "Example", "device.example", "spiffe", "Sales", "laptop", "0a1B2c", "0a:1b:2c", "feedface", "100%", "a_b"],
)
def test_a_word_is_found_wherever_people_would_look_for_it(stock: Stock, word: str) -> None:
    there = stock.add(
        subject="CN=alice,O=Example a_b",
        sans=("DNS:device.example", "URI:spiffe://test/100%"),
        owner="Sales",
        name="the laptop",
        serial="0a1b2c3d4e",
        fingerprint_sha256="feedface".ljust(64, "0"),
    )
    stock.add(subject="CN=bob,O=Other axb", sans=("DNS:other.test", "URI:urn:100"), serial="ff0a1b2c")
    assert stock.found(search=(word,)) == [there.id]


def test_every_word_must_be_there(stock: Stock) -> None:
    both = stock.add(subject="CN=alice", owner="Sales")
    stock.add(subject="CN=alice", owner="Support")
    assert stock.found(search=("sales", "alice")) == [both.id]


@pytest.mark.parametrize("word", ['"', "'", "\\", "%", "_", '"]', "];--", "\\u0041"])
def test_what_means_something_elsewhere_is_a_character_here(stock: Stock, word: str) -> None:
    there = stock.add(sans=(f"URI:urn:{word}x",))
    named = stock.add(name=f"x{word}")
    stock.add(subject="CN=plain", sans=("DNS:plain.test",))
    assert stock.found(search=(word,)) == ids([there, named])


def test_times_are_compared_as_times(stock: Stock) -> None:
    soon = stock.add(not_after=NOW + DAY, last_seen=NOW - 2 * DAY)
    later = stock.add(not_after=NOW + 10 * DAY, last_seen=NOW)
    unseen = stock.add(not_after=NOW + 20 * DAY)
    assert stock.found(expires_before=NOW + 2 * DAY) == [soon.id]
    assert stock.found(expires_after=NOW + 2 * DAY) == ids([later, unseen])
    assert stock.found(expires_after=NOW + 10 * DAY, expires_before=NOW + 20 * DAY) == [later.id]
    assert stock.found(seen_before=NOW - DAY) == ids([soon, unseen])
    assert stock.found(seen_after=NOW - DAY) == [later.id]


def test_an_authority_stands_for_all_that_issue_under_its_name(stock: Stock) -> None:
    first = stock.add()
    stock.authority = stock.an_authority("second", series_id=stock.authority.id)
    second = stock.add()
    stock.authority = stock.an_authority("another")
    stock.add()
    assert stock.found(authority_id=first.authority_id) == ids([first, second])
    assert stock.found(authority_id=second.authority_id) == ids([first, second])
    assert stock.found(authority_id="none") == []


def test_a_fingerprint_is_found_by_its_beginning_and_a_serial_only_whole(stock: Stock) -> None:
    one = stock.add(serial="abcd", fingerprint_sha256="ab" * 32)
    stock.add(serial="abcdef", fingerprint_sha256="ac" * 32)
    assert stock.found(fingerprint_sha256="abab") == [one.id]
    assert stock.found(serial="abcd") == [one.id]


def test_pages_follow_each_other_in_any_order_both_ways(stock: Stock) -> None:
    made = [stock.add(owner=f"{number % 4}") for number in range(10)]
    expected = [one.id for one in sorted(made, key=lambda one: (one.owner, one.id))]
    query = Query(limit=3, sort=(("owner", False),))
    seen: list[str] = []
    while page := stock.found(query=replace(query, marker=seen[-1] if seen else None), status="VALID"):
        seen += page
    assert seen == expected
    back = stock.found(query=replace(query, marker=expected[5], reverse=True), status="VALID")
    assert back == expected[2:5]


def test_what_is_in_force_is_counted_by_when_it_ends(stock: Stock) -> None:
    ends = [NOW + number * 7 * DAY for number in range(4)]
    for not_after, fields in (
        (NOW - SECOND, {}),
        (NOW, {}),
        (NOW + 7 * DAY - SECOND, {}),
        (NOW + 7 * DAY, {"profile": "server"}),
        (NOW + 8 * DAY, {"revoked_at": NOW, "revocation_reason": HOLD}),
        (NOW + 20 * DAY, {}),
        (NOW + 21 * DAY, {}),
    ):
        stock.add(not_after=not_after, **fields)
    with stock.store.read() as reader:
        assert inventory.expiring(reader, "client", ends) == (2, 0, 1)
        assert inventory.expiring(reader, "server", ends) == (0, 1, 0)
        assert inventory.authorities_expiring(reader, ends) == (1, 0, 0)
        assert inventory.authorities_expiring(reader, ends[1:]) == (0, 0)


def test_which_are_in_the_inventory(stock: Stock) -> None:
    made = [stock.add() for _ in range(3)]
    with stock.store.read() as reader:
        fingerprints = [one.fingerprint_sha256 for one in made]
        assert inventory.known(reader, ["0" * 64, *fingerprints[1:]]) == set(fingerprints[1:])
        assert inventory.known(reader, ()) == frozenset()


def test_what_ends_when_is_counted_in_an_index_however_many_there_are(store: Store) -> None:
    with store.read() as reader:
        if reader.connection.dialect.name != "sqlite":
            return  # PostgreSQL decides by how many there are
        asked: list[tuple[str, tuple[Any, ...]]] = []
        event.listen(reader.connection, "before_cursor_execute", lambda *told: asked.append((told[2], told[3])))
        inventory.expiring(reader, "client", [NOW, NOW + DAY])
        plans = [
            str(row[-1])
            for statement, parameters in list(asked)
            for row in reader.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        ]
    within = "SEARCH certificates USING INDEX ix_certificates_live (profile=? AND not_after>? AND not_after<?)"
    late = "SEARCH certificates USING INTEGER PRIMARY KEY (rowid>?)"
    assert {plan for plan in plans if " certificates " in plan} == {within, late}
    assert "SEARCH certificate_ends USING PRIMARY KEY (profile=? AND day>? AND day<?)" in plans


def test_what_is_kept_of_ends_is_what_counting_finds(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(7)  # noqa: S311 (the same certificates each time)
    stock = Stock(store)
    times = [
        NOW + chance.choice([DAY, timedelta(hours=1), SECOND, 12 * timedelta(hours=1)]) * chance.randint(-3, 9) for _ in range(40)
    ]
    asked = [sorted(chance.sample([*times, *(NOW + number * DAY / 2 for number in range(-4, 9))], 6)) for _ in range(30)]
    made: list[Certificate] = []
    for number, at in enumerate(times):
        revoked_at = chance.choice([None, None, NOW])
        made.append(stock.add(not_after=at, profile=chance.choice(["client", "server"]), revoked_at=revoked_at))
        one = chance.choice(made)
        with store.write() as transaction:
            before = transaction.require(CERTIFICATE, one.id)
            changed = {"revoked_at": chance.choice([None, NOW]), "profile": chance.choice(["client", "server"])}
            transaction.replace(CERTIFICATE, before, before.model_copy(update=changed))
            if number % 7 == 0:
                words.settle(transaction.connection)
    for profile, ends in product(["client", "server", "none"], asked):
        with store.read() as reader:
            kept = inventory.expiring(reader, profile, ends)
        with store.read() as reader, monkeypatch.context() as without:
            without.setattr(words, "is_kept", lambda _connection: False)
            assert inventory.expiring(reader, profile, ends) == kept, (profile, ends)
        assert all(count >= 0 for count in kept)
