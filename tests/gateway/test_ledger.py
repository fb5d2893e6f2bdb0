"""A refused version is stood in for by the last good one; what that stands on stays; what is shut stays shut."""

import itertools

from ostiary.envoy.resources import CLUSTER, LISTENER, Key, Resource
from ostiary.gateway.ledger import Contents, Ledger, Verdict
from ostiary.xds.source import StreamState
from ostiary.xds.stream import Rejection

DOOR = (LISTENER, "listener/door")
POOL = (CLUSTER, "pool/one")


def version(key: Key, number: str) -> Resource:
    return Resource(*key, number, number.encode())


def envoy_says(ledger: Ledger, has: dict[Key, str], refuses: dict[Key, str] | None = None, at: float = 0.0) -> None:
    refused = {key: Rejection(number, "it will not do") for key, number in (refuses or {}).items()}
    ledger.note(StreamState(True, accepted=has, rejected=refused, changed=frozenset({DOOR, POOL})), at)


def refusing() -> Ledger:
    """Envoy has version 1 of both and refuses version 2 of the door."""
    ledger = Ledger(Contents())
    ledger.want(version(DOOR, "1"))
    ledger.want(version(POOL, "1"))
    envoy_says(ledger, {DOOR: "1", POOL: "1"})
    ledger.want(version(DOOR, "2"))
    envoy_says(ledger, {DOOR: "1", POOL: "1"}, {DOOR: "2"})
    return ledger


def test_what_is_refused_is_replaced_by_what_was_good() -> None:
    ledger = refusing()
    assert ledger.resources()[DOOR] == version(DOOR, "1")
    assert ledger.verdict(DOOR) == Verdict("2", "it will not do")
    assert ledger.wanted == {POOL: version(POOL, "1"), DOOR: version(DOOR, "2")}
    assert ledger.standing_in() == {DOOR: version(DOOR, "1")}


def test_what_the_replacement_stands_on_is_kept_and_goes_with_it() -> None:
    ledger = refusing()
    ledger.drop(POOL)
    assert POOL in ledger.resources()
    ledger.want(version(DOOR, "3"))
    assert set(ledger.resources()) == {DOOR}
    envoy_says(ledger, {DOOR: "3"})
    assert set(ledger.resources()) == {DOOR}


def test_a_listener_that_is_no_longer_wanted_goes_at_once() -> None:
    ledger = refusing()
    ledger.drop(DOOR)
    assert DOOR not in ledger.resources()
    assert not ledger.standing_in()


def test_what_is_refused_is_tried_again_later_and_later() -> None:
    ledger = refusing()
    assert not ledger.try_again(at=0.9)
    tried: list[float] = []
    at = 0.0
    while len(tried) < 8:
        at += 0.5
        if ledger.try_again(at):
            tried.append(at)
            assert ledger.resources()[DOOR].version == "2"
            envoy_says(ledger, {DOOR: "1", POOL: "1"}, {DOOR: "2"}, at)
    assert [after - before for before, after in itertools.pairwise(tried)] == [2, 4, 8, 16, 30, 30, 30]


def test_a_listener_that_goes_may_have_had_the_port_that_another_waits_for() -> None:
    ledger = refusing()
    other = (LISTENER, "listener/other")
    ledger.want(version(other, "1"))
    ledger.note(StreamState(True, accepted={other: "1"}, changed=frozenset({other})), at=0)
    ledger.drop(other)
    assert not ledger.try_again(at=0.1)
    ledger.note(StreamState(True, changed=frozenset({other})), at=0.1)
    assert ledger.try_again(at=0.1) == {DOOR}


def test_after_a_restart_what_was_served_is_what_to_fall_back_on() -> None:
    ledger = Ledger(Contents(wanted=(version(DOOR, "1"),)))
    ledger.want(version(DOOR, "2"))
    envoy_says(ledger, {}, {DOOR: "2"})
    assert ledger.resources()[DOOR].version == "1"
