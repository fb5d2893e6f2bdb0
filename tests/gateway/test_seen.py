"""Who was seen reaches the control plane whole and once, whichever side dies when."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from ostiary.gateway import seen as module
from ostiary.gateway.seen import Seen
from support.told_once import ToldOnce

AT = 1_795_465_432.0


def record(fingerprint: str = "aa", client: str = "192.0.2.1", **fields: str) -> dict[str, str]:
    return {"fingerprint": fingerprint, "client": client, "subject": "CN=a", "issuer": "CN=r", "duration": "3", **fields}


def told(seen: Seen) -> list[dict[str, Any]]:
    """All that it hands over when every batch is taken."""
    seen.seal(AT)
    bodies = []
    for batch in seen.batches():
        bodies.append(batch.body)
        seen.taken(batch.sequence)
    return bodies


def test_requests_of_one_certificate_at_one_listener_are_one_sighting() -> None:
    seen = Seen()
    seen.note("l1", record(client="192.0.2.2"), AT + 5)
    seen.note("l1", record(client="192.0.2.1"), AT)
    seen.note("l2", record(), AT + 1)
    (body,) = told(seen)
    first, second = body["sightings"]
    assert list(first["addresses"]) == ["192.0.2.1", "192.0.2.2"]
    assert (first["listener_id"], first["requests"], second["listener_id"], second["requests"]) == ("l1", 2, "l2", 1)
    assert first["first_seen"] < first["last_seen"]


def test_a_request_that_goes_on_is_seen_but_counts_when_it_ends() -> None:
    seen = Seen()
    going_on = record()
    del going_on["duration"]
    seen.note("l1", going_on, AT)
    seen.note("l1", record(), AT + 60)
    (body,) = told(seen)
    assert body["sightings"][0]["requests"] == 1


def test_a_batch_keeps_its_number_until_it_is_taken_also_over_a_restart() -> None:
    seen = Seen()
    seen.note("l1", record(), AT)
    assert seen.seal(AT)
    kept = seen.dump()
    assert not seen.seal(AT + 9)  # the next comes when this one is taken
    again = Seen(kept)
    assert next(again.batches()) == next(seen.batches())


def test_numbers_grow_when_what_was_kept_is_lost() -> None:
    seen, later = Seen(), Seen()
    for one, at in ((seen, AT), (later, AT + 1)):
        one.note("l1", record(), at)
        one.seal(at)
    assert next(later.batches()).sequence > next(seen.batches()).sequence


def test_a_certificate_is_told_once_and_after_who_showed_it() -> None:
    seen = Seen()
    seen.certificate("aa", "PEM")
    seen.note("l1", record(), AT)
    first, second = told(seen)
    assert (first["certificates"], second["certificates"]) == ({}, {"aa": "PEM"})
    seen.certificate("aa", "PEM")
    assert told(seen) == []


def test_many_are_told_in_several_batches() -> None:
    seen = Seen()
    for number in range(1201):
        seen.note("l1", record(f"{number:04}"), AT)
    bodies = told(seen)
    assert [len(body["sightings"]) for body in bodies] == [500, 500, 201]
    assert len({body["sequence"] for body in bodies}) == 3


def test_addresses_and_certificates_kept_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    seen = Seen()
    for number in range(99):
        seen.note("l1", record("aa", client=f"192.0.2.{number}"), AT)
        seen.note("l1", record(f"{number}"), AT)
    (body,) = told(seen)
    assert len(body["sightings"]) == 3
    assert len(body["sightings"][0]["addresses"]) == 16
    assert body["sightings"][0]["more_addresses"] == 83
    assert body["sightings"][0]["requests"] == 99


@pytest.mark.parametrize("kept", [b"", b"{", b"[]", b'{"batches": 1}', b'{"batches": [], "pending": [{}], "last": 0}'])
def test_what_was_kept_and_cannot_be_read_is_left_out(kept: bytes) -> None:
    seen = Seen(kept)
    seen.note("l1", record(), AT)
    assert len(told(seen)) == 1


class Machine(ToldOnce):
    """Who was seen."""

    def made(self, kept: bytes | None) -> Seen:
        return Seen(kept)

    def counted(self, body: dict[str, Any]) -> int:
        return sum(one["requests"] for one in body["sightings"])

    @rule(times=st.integers(1, 5))
    def note(self, times: int) -> None:
        for _ in range(times):
            self.told.note("l1", record(), self.at)
        self.noted_so_many(times)


Machine.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
test_nothing_is_lost_and_nothing_counts_twice = Machine.TestCase
