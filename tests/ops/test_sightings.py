"""What gateways tell of who was seen is on record once, whatever they tell twice, and found again by whoever may ask."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes

from ostiary.errors import Denied, Invalid
from ostiary.model.sighting import Client, ClientQuery
from ostiary.ops import certificates, sightings
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from support.certs import Authority
from support.made import a_certificate, an_authority
from support.systems import ADMIN, FakeClock

ALICE, BOB = "a" * 64, "b" * 64


def sighting(clock: FakeClock, fingerprint: str = ALICE, ago: float = 0, **fields: Any) -> dict[str, Any]:
    at = (clock.at - timedelta(seconds=ago)).isoformat()
    usual = {"fingerprint_sha256": fingerprint, "listener_id": "l1", "subject": "CN=x", "requests": 1, "addresses": ["192.0.2.1"]}
    return {**usual, "first_seen": at, "last_seen": at, **fields}


def told(sequence: int, *entries: Any, **certificates: str) -> dict[str, Any]:
    return {"sequence": sequence, "sightings": list(entries), "certificates": certificates}


def test_what_several_gateways_saw_is_added_up(system: System, clock: FakeClock) -> None:
    sightings.seen(system, "g1", told(7, sighting(clock, ago=60, requests=2)))
    sightings.seen(system, "g2", told(3, sighting(clock, ago=10, requests=3, addresses=["192.0.2.9"])))
    (client,) = sightings.of(system, ADMIN, ALICE)
    assert (client.requests, client.addresses) == (5, ("192.0.2.9", "192.0.2.1"))
    assert round((client.last_seen - client.first_seen).total_seconds()) == 50
    assert client.certificate_id is None


def test_a_certificate_that_is_used_from_many_places_within_a_day_is_marked_at_all_its_listeners(
    system: System, clock: FakeClock
) -> None:
    for number in range(6):
        entry = sighting(clock, listener_id=f"l{number % 2}", addresses=[f"192.0.2.{number}"], subject="CN=alice")
        sightings.seen(system, "g1", told(number + 1, entry))
        found = sightings.clients(system, ADMIN, ClientQuery(many_addresses=True)).items
        assert len(found) == (2 if number == 5 else 0)
    assert sightings.crowded(system) == (f"CN=alice ({ALICE[:16]}…)",)
    assert [one.many_addresses for one in sightings.of(system, ADMIN, ALICE)] == [True, True]
    clock.at += timedelta(hours=25)
    assert sightings.crowded(system) == ()
    assert sightings.clients(system, ADMIN, ClientQuery(many_addresses=True)).items == ()
    assert len(sightings.clients(system, ADMIN, ClientQuery(many_addresses=False)).items) == 2


def test_addresses_within_one_network_of_ipv6_are_one_place(system: System, clock: FakeClock) -> None:
    places = [f"2001:db8:0:7:{number:x}::1" for number in range(20)] + ["2001:db8:0:8::1", "::ffff:192.0.2.1"]
    sightings.seen(system, "g1", told(1, sighting(clock, addresses=places)))
    (client,) = sightings.of(system, ADMIN, ALICE)
    assert sorted(client.addresses) == ["192.0.2.1", "2001:db8:0:7::/64", "2001:db8:0:8::/64"]
    assert (client.address_count, client.many_addresses) == (3, False)


def test_a_batch_that_is_told_again_changes_nothing(system: System, clock: FakeClock) -> None:
    for _ in range(3):
        sightings.seen(system, "g1", told(7, sighting(clock)))
    sightings.seen(system, "g1", told(6, sighting(clock)))
    (client,) = sightings.of(system, ADMIN, ALICE)
    assert client.requests == 1


def test_when_a_certificate_was_last_seen_anywhere(system: System, clock: FakeClock) -> None:
    entries = [sighting(clock, ago=60), sighting(clock, ago=5, listener_id="l2"), sighting(clock, BOB, ago=9)]
    sightings.seen(system, "g1", told(1, *entries))
    seen = sightings.last_seen(system, [ALICE, BOB, "c" * 64])
    assert {name: at.isoformat() for name, at in seen.items()} == {ALICE: entries[1]["last_seen"], BOB: entries[2]["last_seen"]}


def test_nobody_was_seen_later_than_now(system: System, clock: FakeClock) -> None:
    sightings.seen(system, "g1", told(1, sighting(clock, ago=-9999)))
    assert sightings.last_seen(system, [ALICE])[ALICE] <= clock.at


def test_clients_are_listed_last_seen_first_a_page_at_a_time(system: System, clock: FakeClock) -> None:
    entries = [sighting(clock, f"{number:064x}", ago=number // 2, listener_id=f"l{number % 3}") for number in range(20)]
    sightings.seen(system, "g1", told(1, *entries))
    found: list[Client] = []
    marker = None
    while True:
        page = sightings.clients(system, ADMIN, ClientQuery(limit=7, marker=marker))
        found += page.items
        if not page.more:
            break
        marker = (page.items[-1].last_seen, page.items[-1].fingerprint_sha256, page.items[-1].listener_id)
    assert [int(one.fingerprint_sha256, 16) for one in found] == list(range(20))
    at = clock.at - timedelta(seconds=4.5)
    assert len(sightings.clients(system, ADMIN, ClientQuery(seen_after=at)).items) == 10
    assert len(sightings.clients(system, ADMIN, ClientQuery(seen_before=at)).items) == 10
    assert len(sightings.clients(system, ADMIN, ClientQuery(listener_id="l1")).items) == 7


def test_what_a_certificate_looks_like_is_kept_when_it_is_the_one_it_is_said_to_be(system: System, clock: FakeClock) -> None:
    leaf = Authority.root("Root").client("alice")
    fingerprint = leaf.certificate.fingerprint(hashes.SHA256()).hex()
    assert sightings.seen(system, "g1", told(1, sighting(clock, fingerprint), sighting(clock))) == 0
    assert sightings.seen(system, "g1", told(2, **{fingerprint: leaf.cert_pem, ALICE: leaf.cert_pem, BOB: "nothing"})) == 2
    (known,) = sightings.of(system, ADMIN, fingerprint)
    assert (known.subject, known.issuer) == ("CN=alice", "CN=Root")
    (other,) = sightings.of(system, ADMIN, ALICE)
    assert other.issuer == ""


@pytest.mark.parametrize(
    "nonsense",
    [None, 7, {"fingerprint_sha256": "A" * 64}, {"requests": -1}, {"listener_id": "x" * 37}, {"last_seen": "never"}],
)
def test_an_entry_that_makes_no_sense_does_not_take_the_others_with_it(system: System, clock: FakeClock, nonsense: Any) -> None:
    entry = {**sighting(clock, BOB), **nonsense} if isinstance(nonsense, dict) else nonsense
    assert sightings.seen(system, "g1", told(1, sighting(clock), entry)) == 1
    assert list(sightings.last_seen(system, [ALICE, BOB])) == [ALICE]


@pytest.mark.parametrize(
    "batch",
    [
        {},
        *({"sequence": number} for number in ("7", 0, 2**63)),
        {"sequence": 1, "sightings": {}},
        {"sequence": 1, "certificates": 9},
    ],
)
def test_what_is_no_batch_is_refused(system: System, batch: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        sightings.seen(system, "g1", batch)


def test_a_batch_changes_neither_the_configuration_nor_the_record_of_changes(system: System, clock: FakeClock) -> None:
    with system.store.read() as reader:
        before = reader.revision(), reader.audit_head(), reader.status_sequence()
    sightings.seen(system, "g1", told(1, sighting(clock)))
    with system.store.read() as reader:
        assert (reader.revision(), reader.audit_head(), reader.status_sequence()) == before


def test_only_who_may_asks(system: System) -> None:
    for role in ("admin", "operator", "auditor"):
        assert sightings.clients(system, Caller("someone", role), ClientQuery()).items == ()
    with pytest.raises(Denied):
        sightings.clients(system, Caller("someone", "holder"), ClientQuery())


def test_when_one_of_ours_was_seen_is_known_with_the_certificate_itself(system: System, clock: FakeClock) -> None:
    certificate = a_certificate(system, an_authority(system))
    assert certificate.last_seen is None
    for number, ago in ((1, 60), (2, 30), (3, 90)):
        sightings.seen(system, "g1", told(number, sighting(clock, certificate.fingerprint_sha256, ago=ago)))
    (client,) = sightings.clients(system, ADMIN, ClientQuery(certificate_id=certificate.id)).items
    assert client.certificate_id == certificate.id
    assert certificates.get(system, ADMIN, certificate.id).last_seen == client.last_seen


def test_words_are_looked_for_in_subjects_and_at_the_start_of_numbers(system: System, clock: FakeClock) -> None:
    entries = [
        sighting(clock, ALICE, subject="CN=Alice,O=50% off_season", serial="0a1b"),
        sighting(clock, BOB, subject="CN=Bob", serial="ff00"),
    ]
    sightings.seen(system, "g1", told(1, *entries))

    def found(*words: str) -> list[str]:
        return [one.subject[3:6] for one in sightings.clients(system, ADMIN, ClientQuery(search=words)).items]

    assert (found("alice"), found("0A:1B"), found("bbbb"), found("%"), found("f_s")) == (
        ["Ali"],
        ["Ali"],
        ["Bob"],
        ["Ali"],
        ["Ali"],
    )
    assert found("cn", "off") == ["Ali"]
    assert found("bob", "alice") == []
