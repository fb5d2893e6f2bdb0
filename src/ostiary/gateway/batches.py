"""What is told to the control plane whole and once: numbered batches.

A batch has its number on disk before it is sent, and keeps it until it is acknowledged: so nothing is lost when either side dies,
and what arrives twice is known by its number.
"""

import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ostiary.gateway.place import Place


@dataclass(frozen=True)
class Batch:
    """What is told at once. `body` is JSON, with `sequence`, and what it is about."""

    sequence: int
    body: dict[str, Any]


class Batches:
    """Those that wait to be acknowledged."""

    def __init__(self, last: int = 0, bodies: Iterable[dict[str, Any]] = ()) -> None:
        """`last` and `bodies` are what was kept. Raises `KeyError`, `TypeError` or `ValueError` when they make no sense."""
        self.last = int(last)
        self._waiting = deque(Batch(int(body["sequence"]), body) for body in bodies)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __iter__(self) -> Iterator[Batch]:
        """In order; each again and again until it is `taken`."""
        while self._waiting:
            yield self._waiting[0]

    def add(self, at: float, **body: Any) -> None:
        """One more."""
        # By the clock, so that numbers also grow when what was kept is lost.
        self.last = max(self.last + 1, int(at * 1000))
        self._waiting.append(Batch(self.last, {"sequence": self.last, **body}))

    def taken(self, sequence: int) -> None:
        """The control plane has it, for good."""
        if self._waiting and self._waiting[0].sequence == sequence:
            self._waiting.popleft()

    def bodies(self) -> list[dict[str, Any]]:
        """What is to be kept of them."""
        return [one.body for one in self._waiting]


class Told(ABC):
    """What is kept on disk and handed over in batches (`gateway.seen`, `gateway.denied`)."""

    def __init__(self) -> None:
        self.news = False  # whether there is something that `dump` was not asked for yet
        self.place = Place()  # what Envoy told before it (`gateway.feed`) is in here
        self.kept = Place()  # the same of what is on the disk
        self._changed = Place()  # nothing came in from what was told after it
        self._batches = Batches()

    @abstractmethod
    def seal(self, at: float) -> bool:
        """Put all that is pending into batches, unless some still wait to be acknowledged; whether there are new ones.

        What `dump` gives afterwards has to be on disk before any of them is sent.
        """

    @abstractmethod
    def _pending_as_told(self) -> dict[str, Any]:
        """What is in no batch yet, as `dump` keeps it."""

    def reached(self, place: Place) -> None:
        """All that Envoy told before this place was looked at."""
        self.place = place
        if self.news:
            self._changed = place

    @property
    def settled(self) -> Place:
        """Of what Envoy told before this place, nothing would be missed if this were read from the disk again."""
        return self.place if self._changed <= self.kept else self.kept

    def batches(self) -> Iterator[Batch]:
        """Those to be sent, in order; each again and again until it is `taken`."""
        return iter(self._batches)

    def taken(self, sequence: int) -> None:
        """The control plane has it, for good."""
        self._batches.taken(sequence)

    def dump(self) -> bytes:
        """All of it as bytes."""
        self.news = False
        about = {"feed": (self.place.number, self.place.offset), "last": self._batches.last, "batches": self._batches.bodies()}
        return json.dumps({**about, **self._pending_as_told()}).encode()

    def _go_on(self, kept: dict[str, Any]) -> None:
        """Be as far as what was kept. Raises `KeyError`, `TypeError` or `ValueError` when it makes no sense."""
        batches = Batches(kept["last"], kept["batches"])
        place = Place(*map(int, kept.get("feed", ())))  # before decision 0036 there was none
        self._batches = batches
        self.place = self.kept = self._changed = place
