"""What this process counts and how long things take it, kept until a monitoring system asks. Safe from any thread, and cheap."""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from time import perf_counter
from typing import Final, Literal

# Upper ends in seconds, from what a commit to a fast disk takes up to what nobody waits for any more.
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
OTHER: Final = "other"  # in place of each label, for all that are more than a monitoring system can keep apart
_MOST: Final = 5000

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Distribution:
    """How many values there were up to each of `bounds`, and up to any; and their sum."""

    bounds: tuple[float, ...]
    upto: tuple[int, ...]  # one more than bounds: the last is how many there were
    sum: float

    @property
    def count(self) -> int:
        """How many values there were."""
        return self.upto[-1]


@dataclass(frozen=True)
class Family:
    """One metric with all its series. `name` is without the endings that its kind adds: _total, _bucket, _info."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    words: str
    labels: Labels
    samples: tuple[tuple[Labels, float | Distribution], ...]


def gauge(name: str, words: str, value: float) -> Family:
    """A number that goes up and down, by itself."""
    return Family(name, "gauge", words, (), (((), value),))


def counter(name: str, words: str, value: float) -> Family:
    """A number that only grows, by itself."""
    return Family(name, "counter", words, (), (((), value),))


def info(name: str, words: str, **about: str) -> Family:
    """Words about something, as labels; the number is always 1."""
    return Family(name, "info", words, tuple(about), ((tuple(about.values()), 1.0),))


class Tally:
    """How often, told apart by these labels, but never by more than `most` of their values."""

    def __init__(self, *labels: str, most: int = _MOST) -> None:
        self.labels: Labels = labels
        self._most = most
        self._lock = threading.Lock()
        self._counts: dict[Labels, float] = {}

    def add(self, *values: str, count: float = 1) -> None:
        """So many more."""
        with self._lock:
            key = _bounded(values, self._counts, self._most)
            self._counts[key] = self._counts.get(key, 0) + count

    def counts(self) -> Mapping[Labels, float]:
        """All of it, as of now."""
        with self._lock:
            return dict(self._counts)

    def family(self, name: str, words: str) -> Family:
        """As a monitoring system is told."""
        samples = self.counts() or ({(): 0.0} if not self.labels else {})
        return Family(name, "counter", words, self.labels, tuple(sorted(samples.items())))


class Spread:
    """How values are spread, told apart by these labels, but never by more than `most` of their values."""

    def __init__(self, *labels: str, bounds: tuple[float, ...] = SECONDS, most: int = _MOST) -> None:
        self.labels: Labels = labels
        self.bounds = bounds
        self._most = most
        self._lock = threading.Lock()
        self._found: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def add(self, value: float, *values: str) -> None:
        """One more."""
        with self._lock:
            key = _bounded(values, self._found, self._most)
            if key not in self._found:
                self._found[key] = [0] * (len(self.bounds) + 1)
            self._found[key][bisect_left(self.bounds, value)] += 1
            self._sums[key] = self._sums.get(key, 0.0) + value

    @contextmanager
    def timed(self, *values: str) -> Iterator[None]:
        """How many seconds the block took, whether or not it raised."""
        began = perf_counter()
        try:
            yield
        finally:
            self.add(perf_counter() - began, *values)

    def found(self) -> Mapping[Labels, Distribution]:
        """All of it, as of now."""
        with self._lock:
            return {
                key: Distribution(self.bounds, tuple(accumulate(counts)), self._sums[key]) for key, counts in self._found.items()
            }

    def family(self, name: str, words: str) -> Family:
        """As a monitoring system is told."""
        nothing = Distribution(self.bounds, (0,) * (len(self.bounds) + 1), 0.0)
        samples = self.found() or ({(): nothing} if not self.labels else {})
        return Family(name, "histogram", words, self.labels, tuple(sorted(samples.items(), key=lambda one: one[0])))


def _bounded(values: Labels, known: Mapping[Labels, object], most: int) -> Labels:
    return values if values in known or len(known) < most else (OTHER,) * len(values)
