"""What is counted in memory: exact from many threads, and never of more kinds than so many."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.measuring import Spread, Tally


def test_many_threads_count_all_of_it() -> None:
    tally, spread = Tally("who"), Spread("who", bounds=(1.0,))

    def count() -> None:
        for number in range(1000):
            tally.add(str(number % 3))
            spread.add(1, "a")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(tally.counts().values()) == 8000
    assert spread.found()["a",].count == 8000


def test_kinds_beyond_so_many_are_one() -> None:
    tally, spread = Tally("a", "b", most=2), Spread("a", most=1)
    for number in range(5):
        tally.add(str(number), "x")
        spread.add(number, str(number))
    assert tally.counts() == {("0", "x"): 1, ("1", "x"): 1, ("other", "other"): 3}
    assert {labels: one.count for labels, one in spread.found().items()} == {("0",): 1, ("other",): 4}


@given(values=st.lists(st.floats(0, 20, allow_nan=False), max_size=50))
def test_a_spread_counts_up_to_each_of_its_bounds(values: list[float]) -> None:
    spread = Spread(bounds=(1.0, 2.5, 10.0))
    for value in values:
        spread.add(value)
    family = spread.family("x", "words")
    ((labels, found),) = family.samples
    assert labels == ()
    assert not isinstance(found, float)
    assert found.upto == tuple(sum(value <= bound for value in values) for bound in (1.0, 2.5, 10.0, float("inf")))
    assert abs(found.sum - sum(values)) < 1e-6


def test_what_was_never_counted_is_0_and_not_absent() -> None:
    assert Tally().family("x", "words").samples == (((), 0.0),)
    assert Tally("label").family("x", "words").samples == ()


def test_what_fails_is_timed_too() -> None:
    spread = Spread("what")
    with pytest.raises(ZeroDivisionError), spread.timed("a"):
        raise ZeroDivisionError
    assert spread.found()["a",].count == 1
