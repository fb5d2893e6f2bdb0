"""Which growth a row of measurements is called."""

import itertools
import math
from collections.abc import Callable

import pytest
from benchmarks.growth import fitted

SIZES = (10, 100, 1_000, 10_000, 100_000)


def noisy(cost: float, turn: int) -> float:
    """Up to 5 % too much or too little, in no order."""
    return cost * (1 + 0.05 * math.sin(97 * turn))


@pytest.mark.parametrize(
    ("name", "cost"),
    [
        ("O(1)", lambda _: 42.0),
        ("O(log n)", lambda size: 3 + 2 * math.log2(1 + size)),
        ("O(n)", lambda size: 5 + 0.01 * size),
        ("O(n²)", lambda size: 1 + 0.001 * size * size),
    ],
)
@pytest.mark.parametrize("first", range(5))
def test_a_growth_is_known_through_noise(name: str, cost: Callable[[float], float], first: int) -> None:
    turns = itertools.count(first)
    points = [(float(size), noisy(cost(size), next(turns))) for size in SIZES for _ in range(5)]
    assert fitted(points).name == name


def test_a_fit_tells_what_to_expect_and_how_wrong_it_is() -> None:
    fit = fitted([(size, 5 + 0.01 * size) for size in (10.0, 100.0, 1_000.0, 10_000.0)])
    assert fit.fixed == pytest.approx(5)
    assert fit.slope == pytest.approx(0.01)
    assert fit.error == pytest.approx(0, abs=1e-9)
    assert fit.at(2_000) == pytest.approx(25)


def test_what_stays_within_a_quarter_does_not_grow() -> None:
    fit = fitted([(1.0, 100.0), (10.0, 110.0), (100.0, 124.0)])
    assert (fit.name, fit.at(1), fit.at(10**9)) == ("O(1)", 110, 110)


def test_no_cost_is_negative_at_nothing() -> None:
    assert fitted([(10.0, 1.0), (100.0, 20.0), (1_000.0, 300.0)]).fixed >= 0


def test_two_sizes_show_no_growth() -> None:
    with pytest.raises(ValueError, match="three sizes"):
        fitted([(1.0, 1.0), (2.0, 2.0)])
