"""Traffic on each database: added up, rolled up to hours without losing any, and forgotten in time."""

from datetime import UTC, datetime

import pytest

from ostiary.model.traffic import ALL, Counts, Refused
from ostiary.store import traffic
from ostiary.store.store import Store

HOUR = 29_920_000 // 60 * 60  # a minute at which an hour begins
AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def add(store: Store, *counted: tuple[int, str, Counts]) -> None:
    store.record(lambda facts: traffic.add(facts, {(minute, listener_id): one for minute, listener_id, one in counted}))


def refuse(store: Store, *counted: tuple[int, str, str, int]) -> None:
    given = {Refused(minute, listener_id, code): count for minute, listener_id, code, count in counted}
    store.record(lambda facts: traffic.refused(facts, given))


def counted(
    store: Store, listener_id: str = "l1", since: int = HOUR, until: int = HOUR + 600, step: int = 1
) -> dict[int, Counts]:
    with store.read() as reader:
        return traffic.counted(reader, listener_id, since, until, step)


def refused(
    store: Store, listener_id: str = "l1", since: int = HOUR, until: int = HOUR + 600, step: int = 1
) -> dict[tuple[int, str], int]:
    with store.read() as reader:
        return traffic.refused_by_code(reader, listener_id, since, until, step)


def rolled_up(store: Store, before: int) -> int:
    return store.record(lambda facts: traffic.roll_up(facts, before))


def test_what_is_told_of_one_minute_is_added_up_for_each_listener_by_itself(store: Store) -> None:
    add(store, (HOUR, "l1", Counts(1, 2, 3, 4)), (HOUR, "l2", Counts(requests=100)), (HOUR + 1, "l1", Counts(admitted=7)))
    add(store, (HOUR, "l1", Counts(10, 20, 30, 40)), (HOUR + 2, "l1", Counts(5)))
    assert counted(store) == {0: Counts(11, 22, 33, 44), 1: Counts(admitted=7), 2: Counts(5)}
    assert counted(store, "l2") == {0: Counts(requests=100)}
    assert counted(store, ALL) == {}


def test_steps_hold_their_beginning_and_not_their_end(store: Store) -> None:
    add(store, *((HOUR + minute, "l1", Counts(requests=1)) for minute in range(20)))
    assert counted(store, since=HOUR + 5, until=HOUR + 15, step=5) == {0: Counts(requests=5), 1: Counts(requests=5)}
    assert counted(store, since=HOUR + 18, step=10) == {0: Counts(requests=2)}


def test_refusals_are_added_up_by_code(store: Store) -> None:
    refuse(store, (HOUR, "l1", "expired", 2), (HOUR, "l1", "revoked", 1), (HOUR, ALL, "expired", 2))
    refuse(store, (HOUR, "l1", "expired", 3), (HOUR + 9, "l1", "expired", 5))
    assert refused(store, step=5) == {(0, "expired"): 5, (0, "revoked"): 1, (1, "expired"): 5}
    assert refused(store, ALL, step=5) == {(0, "expired"): 2}


def test_nothing_to_add_is_nothing(store: Store) -> None:
    add(store)
    refuse(store)
    assert (counted(store), refused(store)) == ({}, {})


def test_hours_hold_what_their_minutes_held_and_what_is_told_late_comes_on_top(store: Store) -> None:
    for minute in (HOUR, HOUR + 59, HOUR + 60, HOUR + 61):
        add(store, (minute, "l1", Counts(1, 1, 2, 1)), (minute, "l2", Counts(requests=9)))
        refuse(store, (minute, "l1", "expired", 1), (minute, "l1", "revoked", 4))
    hours = {0: Counts(2, 2, 4, 2), 1: Counts(2, 2, 4, 2)}
    # Of each minute: two listeners, and of one of them two codes. An hour may be taken in by parts.
    for before, rows in ((HOUR, 0), (HOUR + 30, 4), (HOUR + 30, 0), (HOUR + 60, 4), (HOUR + 61, 4)):
        assert rolled_up(store, before) == rows
        assert counted(store, step=60) == hours
        assert counted(store, "l2", step=60) == {0: Counts(requests=18), 1: Counts(requests=18)}
        assert refused(store, step=60) == {(0, "expired"): 2, (0, "revoked"): 8, (1, "expired"): 2, (1, "revoked"): 8}
    add(store, (HOUR + 7, "l1", Counts(requests=1)))
    refuse(store, (HOUR + 7, "l1", "expired", 1))
    assert rolled_up(store, HOUR + 120) == 2 + 4
    assert counted(store, step=60) == {0: Counts(2, 2, 5, 2), 1: Counts(2, 2, 4, 2)}
    assert refused(store, step=60)[0, "expired"] == 3
    with store.read() as reader:
        assert traffic.oldest(reader) is None


def test_the_oldest_minute_is_found_among_requests_and_refusals(store: Store) -> None:
    add(store, (HOUR + 5, "l1", Counts(1)))
    refuse(store, (HOUR + 3, "l1", "expired", 1))
    with store.read() as reader:
        assert traffic.oldest(reader) == HOUR + 3


def test_old_hours_are_forgotten_and_minutes_are_not(store: Store) -> None:
    for minute in (HOUR, HOUR + 60, HOUR + 120):
        add(store, (minute, "l1", Counts(1)))
        refuse(store, (minute, "l1", "expired", 1))
    rolled_up(store, HOUR + 120)
    assert store.record(lambda facts: traffic.forget(facts, HOUR + 60)) == 2
    assert counted(store, step=60) == {1: Counts(1), 2: Counts(1)}
    assert store.record(lambda facts: traffic.forget(facts, HOUR + 999)) == 2
    assert counted(store, step=60) == {2: Counts(1)}
    assert refused(store, step=60) == {(2, "expired"): 1}


@pytest.mark.parametrize("gateway_id", ["g1", "g2"])
def test_each_gateway_has_a_mark(store: Store, gateway_id: str) -> None:
    for number in range(2):
        store.record(lambda facts, number=number: traffic.set_mark(facts, gateway_id, AT, {"run": number}))  # type: ignore[misc]
    with store.read() as reader:
        assert traffic.mark(reader, gateway_id) == (AT, {"run": 1})
        assert traffic.mark(reader, "another") is None
