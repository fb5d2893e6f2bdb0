"""How a cost grows: fits the growths that algorithms have, names the plainest that tells the truth, and draws it.

Each growth is `fixed + slope * f(size)`, fitted so that *relative* errors are least: sizes span decades, and the largest would
otherwise decide alone.
"""

import itertools
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.lab import Sample

# What does not change by more than this over all sizes counts as not growing: rounds differ by as much.
STEADY: Final = 0.25
# The plainest growth whose errors are no larger than this is taken; where none is so close, the closest.
CLOSE: Final = 0.15

GROWTHS: Final[dict[str, Callable[[float], float]]] = {
    "log n": lambda size: math.log2(1 + size),
    "n": lambda size: size,
    "n log n": lambda size: size * math.log2(1 + size),
    "n²": lambda size: size * size,
}


@dataclass(frozen=True)
class Fit:
    """`fixed + slope * growth(size)`, and how far from what was measured it is (root mean square of relative errors)."""

    growth: str
    fixed: float
    slope: float
    error: float

    def at(self, size: float) -> float:
        """What is expected at this size."""
        return self.fixed + (self.slope * GROWTHS[self.growth](size) if self.slope else 0.0)

    @property
    def name(self) -> str:
        """As it is written: O(1), O(n) …"""
        return f"O({self.growth})"


def fitted(points: Sequence[tuple[float, float]]) -> Fit:
    """The growth that fits the medians of (size, cost) pairs. Costs must be positive; pairs of at least three sizes are wanted.

    Raises `ValueError` for fewer.
    """
    sizes = sorted({size for size, _ in points})
    if len(sizes) < 3:
        raise ValueError("growth shows over three sizes or more")
    middles = [(size, statistics.median(cost for at, cost in points if at == size)) for size in sizes]
    costs = [cost for _, cost in middles]
    if max(costs) - min(costs) <= STEADY * min(costs):
        level = statistics.median(costs)
        return Fit("1", level, 0.0, _error(middles, lambda _: level))
    steps = itertools.pairwise((size, cost) for size, cost in middles if size)
    outgrows = any(cost / was > 1.1 * size / at for (at, was), (size, cost) in steps)
    # What nowhere grows faster than its size is not said to grow with the square of it, however well that fits the noise.
    fits = [_fit(growth, of, middles) for growth, of in GROWTHS.items() if outgrows or growth != "n²"]
    return next((fit for fit in fits if fit.error <= CLOSE), min(fits, key=lambda fit: fit.error))


def _fit(growth: str, of: Callable[[float], float], points: Sequence[tuple[float, float]]) -> Fit:
    fixed, slope = _least_squares([(of(size), cost) for size, cost in points])
    return Fit(growth, fixed, slope, _error(points, lambda size: fixed + slope * of(size)))


def _least_squares(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """`fixed` and `slope` for which the squares of (fixed + slope * x - y) / y add up to the least; neither is below 0."""
    weights = [1 / (y * y) for _, y in points]
    total = sum(weights)
    x_mean = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
    y_mean = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / total
    over = sum(w * (x - x_mean) * (y - y_mean) for w, (x, y) in zip(weights, points, strict=True))
    under = sum(w * (x - x_mean) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    slope = max(0.0, over / under)
    fixed = y_mean - slope * x_mean
    if fixed < 0:  # No cost is negative at size 0: through the origin, then.
        ratios = sum(w * x * y for w, (x, y) in zip(weights, points, strict=True))
        return 0.0, ratios / sum(w * x * x for w, (x, _) in zip(weights, points, strict=True))
    return fixed, slope


def _error(points: Sequence[tuple[float, float]], expected: Callable[[float], float]) -> float:
    return math.sqrt(statistics.fmean(((expected(size) - cost) / cost) ** 2 for size, cost in points))


def curves(samples: Iterable[Sample]) -> dict[tuple[str, str, str], list[tuple[float, float]]]:
    """(measure, unit, subject) to (size, cost) pairs, for what was measured at three sizes or more."""
    found: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for one in samples:
        if one.size is not None and one.value > 0:
            found.setdefault((one.measure, one.unit, one.subject), []).append((one.size, one.value))
    return {key: points for key, points in found.items() if len({size for size, _ in points}) >= 3}
