"""Long lists are handed out seldom, and whoever was revoked meanwhile is denied; short ones, others' and new ones at once."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from ostiary.model.authority import Authority
from ostiary.model.desired import Desired
from ostiary.model.revocation import RevocationList, Revoke
from ostiary.ops import list_upkeep, revocation, series
from ostiary.ops.system import System
from ostiary.pki.list_ends import NOBODYS_LIST
from ostiary.store import lists as book_of_lists
from ostiary.store.desired import desired
from ostiary.store.lists import LONGEST_REST, ListBook, Lists, Unread
from ostiary.store.store import Reader
from support.made import a_balancer, a_certificate, a_listener, an_authority
from support.systems import ADMIN, FakeClock

KIB = 1024


@pytest.fixture
def authority(system: System) -> Authority:
    root = an_authority(system)
    made = an_authority(system, "Issuing", kind="intermediate", parent_id=root.id)
    on = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": f"/v1/authorities/{made.id}"}
    a_listener(system, a_balancer(system), **on)
    return made


@pytest.fixture
def tiring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines are tired by the shortest list: for a quarter of an hour by one of some hundred octets."""
    monkeypatch.setattr(book_of_lists, "REST_PER_MIB", timedelta(days=20))
    monkeypatch.setattr(book_of_lists, "LONGEST_REST", timedelta(minutes=15))


def handed_out(system: System, book: Lists) -> Desired:
    if isinstance(book, ListBook):
        book.begin(system.clock())
    with system.store.read() as reader:
        return desired(reader, system.sealer, system.clock(), lists=book)


def crls(system: System, book: Lists) -> str:
    (door,) = handed_out(system, book).listeners
    assert door.trust is not None
    return door.trust.crls


def revoke_one(system: System, authority: Authority) -> str:
    certificate = a_certificate(system, authority)
    revocation.revoke(system, ADMIN, certificate.id, Revoke(reason="superseded"))
    assert list_upkeep.sign_due(system) == 1
    return certificate.fingerprint_sha256


def test_short_lists_are_handed_out_at_once(system: System, authority: Authority) -> None:
    book = ListBook()
    before = crls(system, book)
    revoke_one(system, authority)
    assert crls(system, book) not in {before, ""}
    assert not book.is_due(system.clock() + timedelta(days=1))


@pytest.mark.usefixtures("tiring")
def test_long_ones_rest_and_whoever_is_revoked_meanwhile_is_denied(
    system: System, authority: Authority, clock: FakeClock
) -> None:
    book = ListBook()
    before = crls(system, book)
    denied = revoke_one(system, authority)
    assert crls(system, book) is before
    assert handed_out(system, book).denied == {denied}
    assert not book.is_due(system.clock())
    clock.advance(minutes=16)
    assert book.is_due(system.clock())
    after = crls(system, book)
    assert after == crls(system, Lists()) != before
    assert not book.is_due(system.clock())
    clock.advance(minutes=16)
    assert not book.is_due(system.clock())


@pytest.mark.usefixtures("tiring")
def test_a_new_authority_is_handed_out_at_once_with_all_that_is_newest(system: System, authority: Authority) -> None:
    book = ListBook()
    before = crls(system, book)
    revoke_one(system, authority)
    series.roll(system, ADMIN, authority.id)
    assert crls(system, book) == crls(system, Lists()) != before


def test_what_can_be_carried_out_does_not_hang_on_the_lists(system: System, authority: Authority) -> None:
    assert authority.id
    assert crls(system, Unread()) == NOBODYS_LIST


class Held:
    """A reader is asked for the content of lists only, and all of these are known."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, size: int, mebibyte: int = KIB) -> None:
        monkeypatch.setattr(book_of_lists, "_MIB", mebibyte)  # so that tests need not hold lists as long as they speak of
        monkeypatch.setattr(book_of_lists, "_pem", lambda _reader, one: f"{one.authority_id}/{one.number}".ljust(size))
        self.reader: Reader = None  # type: ignore[assignment]  # never asked


def a_list(at: datetime, number: int = 1, **fields: object) -> RevocationList:
    made = RevocationList("a", "complete", number, at, at + timedelta(days=7), number, 1, "signed", b"")
    return replace(made, **fields)  # type: ignore[arg-type]  # fields of it


@pytest.mark.parametrize(
    ("mebibytes", "minutes"), [(70, 24), (1000, 30), (5, 2)], ids=["a million revoked", "more than that", "eighty thousand"]
)
def test_the_longer_the_longer_but_never_longer_than_denials_guard(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock, mebibytes: int, minutes: int
) -> None:
    held, book = Held(monkeypatch, mebibytes * KIB), ListBook()
    at = clock()
    book.begin(at)
    first = book.joined(held.reader, "trust", [a_list(at)])
    book.begin(at + timedelta(minutes=minutes - 1))
    assert book.joined(held.reader, "trust", [a_list(at, 2)]) is first
    book.begin(at + timedelta(minutes=minutes))
    assert book.joined(held.reader, "trust", [a_list(at, 2)]) is not first
    assert timedelta(minutes=minutes) <= LONGEST_REST


def test_the_more_listeners_use_them_the_longer_short_ones_rest_too(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    held, at = Held(monkeypatch, 1, KIB * KIB), clock()
    for listeners, seconds in ((1, 0), (5, 0), (100, 13), (1000, 130)):
        book = ListBook()
        shared = book.shared_by(listeners)
        book.begin(at)
        first = shared.joined(held.reader, "trust", [a_list(at)])
        for number in range(seconds):
            book.begin(at + timedelta(seconds=number))
            assert shared.joined(held.reader, "trust", [a_list(at, 2)]) is first
            assert not book.is_due(at + timedelta(seconds=number))
        book.begin(at + timedelta(seconds=seconds + 1))
        assert shared.joined(held.reader, "trust", [a_list(at, 2)]) is not first


def test_those_that_rested_wait_until_no_more_are_signed_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    held, at, book = Held(monkeypatch, 1, KIB * KIB), clock(), ListBook()
    shared = book.shared_by(1000)  # they rest for 130 s, and wait for 6.5 quiet ones
    given: list[tuple[int, str]] = []
    numbers = {second: 1 + min(second, 900) // 5 for second in range(1300)}  # one each 5 s, for a quarter of an hour
    for second, number in numbers.items():
        book.begin(at + timedelta(seconds=second))
        text = shared.joined(held.reader, "trust", [a_list(at, number)])
        if not given or given[-1][1] != text:
            given.append((second, text))
    seconds = [second for second, _ in given]
    between = [after - before for before, after in pairwise(seconds)]
    assert len(given) > 3
    assert all(130 <= each <= 270 for each in between)
    assert given[-1][1] == f"a/{numbers[1299]}"
    assert seconds[-1] <= 900 + 140


def test_others_lists_and_ends_that_are_near_hold_nothing_back(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    held, at = Held(monkeypatch, 70 * KIB), clock()
    for first, second in (
        (a_list(at, source="fetched"), a_list(at, 2, source="fetched")),
        (a_list(at, source="uploaded"), a_list(at, 2, source="uploaded")),
        (a_list(at, next_update=at + timedelta(minutes=20)), a_list(at, 2)),
        (a_list(at), a_list(at, authority_id="b")),
    ):
        book = ListBook()
        book.begin(at)
        before = book.joined(held.reader, "trust", [first])
        assert book.joined(held.reader, "trust", [second]) != before
