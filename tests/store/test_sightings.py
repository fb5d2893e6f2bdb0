"""Sightings on each database: many at once, and added up."""

from datetime import UTC, datetime, timedelta

from ostiary.model.sighting import ClientQuery, Sighting
from ostiary.store import marks, sightings
from ostiary.store.store import Store

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def sighting(number: int, **fields: object) -> Sighting:
    usual = {"fingerprint_sha256": f"{number:064x}", "listener_id": "l1", "first_seen": AT, "last_seen": AT, "requests": 1}
    return Sighting(**(usual | fields))  # type: ignore[arg-type]  # literals above


def test_many_are_merged_and_found(store: Store) -> None:
    for _ in range(2):
        store.record(lambda facts: sightings.merge(facts, [sighting(number) for number in range(1000)]))
    with store.read() as reader:
        found, more = sightings.clients(reader, ClientQuery(limit=600), AT)
        seen = sightings.last_seen(reader, [one.fingerprint_sha256 for one in found])
    assert more
    assert {one.requests for one in found} == {2}
    assert set(seen.values()) == {AT}
    assert len(seen) == 600


def test_addresses_are_joined_up_to_a_limit_and_times_only_widen(store: Store) -> None:
    for number in range(100):
        at = AT + timedelta(seconds=number if number % 2 else -number)
        one = sighting(1, addresses={f"192.0.2.{number}": at}, first_seen=at, last_seen=at)
        store.record(lambda facts, one=one: sightings.merge(facts, [one]))  # type: ignore[misc]  # bound as it is made
    with store.read() as reader:
        ((client,), _) = sightings.clients(reader, ClientQuery(), AT)
    assert (len(client.addresses), client.address_count) == (64, 100)
    assert client.addresses[0] == "192.0.2.99"  # the last
    assert (client.first_seen, client.last_seen) == (AT - timedelta(seconds=98), AT + timedelta(seconds=99))


def test_each_gateway_has_a_mark_of_its_own(store: Store) -> None:
    for gateway, sequence in (("g1", 5), ("g2", 9), ("g1", 2**53)):
        store.record(lambda facts, g=gateway, s=sequence: marks.set_mark(facts, g, marks.SEEN, s))  # type: ignore[misc]  # likewise
    with store.read() as reader:
        assert [marks.mark(reader, name, marks.SEEN) for name in ("g1", "g2", "g3")] == [2**53, 9, 0]
