"""How soon changes are in force: from the commit until each gateway has acknowledged the first configuration that holds them.

Measured for each gateway by itself, from what is published and what is acknowledged, and kept with the change. A gateway that was
away, or refuses a resource, has no number until it has caught up.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ostiary import tracing
from ostiary.clock import Clock, now
from ostiary.envoy.resources import Key
from ostiary.measuring import Spread
from ostiary.model.effect import Changed
from ostiary.store.effects import Mark
from ostiary.tracing import Place

# Upper ends in seconds: milliseconds where the gateway is near, and up to hours where it was away.
EFFECT_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_COMMITS: Final = 100_000  # remembered until they are written
_TRACED: Final = 1000  # whose place in a trace is remembered
_WAITING: Final = 10_000  # publications that a gateway has not acknowledged yet, told apart

Versions = Mapping[Key, str]


@dataclass(frozen=True)
class Publication:
    """One configuration that was published: what it holds, and which resources it changed; None for those it removed."""

    number: int
    holds: Mark
    changed: Mapping[Key, str | None]
    moment: float  # monotonic


@dataclass(frozen=True)
class Applied:
    """A gateway has acknowledged all of a publication. `moment` is monotonic."""

    gateway_id: str
    holds: Mark
    at: datetime
    moment: float


@dataclass
class _Gateway:
    """One that is connected. `is_behind` until it has once had all that was wanted, since it connected."""

    accepted: Versions = field(default_factory=dict)
    is_behind: bool = True
    waiting: deque[tuple[Publication, dict[Key, str | None]]] = field(default_factory=deque)


class Effects:
    """What was committed and published, and who has it; safe from any thread. `ops.effects_kept` puts it on record."""

    def __init__(self, clock: Clock = now, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.acknowledged = Spread("gateway", bounds=EFFECT_SECONDS)  # from publishing until it was acknowledged
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._commits: OrderedDict[tuple[Changed, int], tuple[datetime, float]] = OrderedDict()
        self._places: OrderedDict[tuple[Changed, int], Place] = OrderedDict()  # of those that are traced
        self._gateways: dict[str, _Gateway] = {}
        self._versions: Versions = {}
        self._holds = Mark(-1, -1)
        self._count = 0
        self._given: dict[Key, dict[str | None, int]] = {}  # by version, the last publication that gave it anew
        self._applied: deque[Applied] = deque()

    def moment(self) -> tuple[datetime, float]:
        """Now, to be handed to `committed`: taken before the commit, so that the commit is measured too."""
        return self._clock(), self._monotonic()

    def committed(self, changed: Changed, numbers: Iterable[int], moment: tuple[datetime, float]) -> None:
        """These are on record."""
        with self._lock:
            place = tracing.here()
            for number in numbers:
                self._commits[changed, number] = moment
                if place is not None:
                    self._places[changed, number] = place
            while len(self._places) > _TRACED:
                self._places.popitem(last=False)
            while len(self._commits) > _COMMITS:
                self._commits.popitem(last=False)

    def published(self, revision: int, status: int, versions: Versions, others: Iterable[Key] | None = None) -> None:
        """This is what every gateway should have from now on. To be called before any can answer.

        `others`: which versions are others than those published before, where that is known.
        """
        with self._lock:
            self._count += 1
            before, self._versions, self._holds = self._versions, versions, Mark(revision, status)
            if others is None:
                others = [key for key in {**before, **versions} if before.get(key) != versions.get(key)]
            changed = {key: versions.get(key) for key in others}
            for key, version in changed.items():
                self._given.setdefault(key, {before.get(key): 0})[version] = self._count
            publication = Publication(self._count, self._holds, changed, self._monotonic())
            for gateway_id, gateway in self._gateways.items():
                if not gateway.is_behind:
                    gateway.waiting.append((publication, dict(changed)))
                    self._settle(gateway_id, gateway)
            self._forget_versions()

    def connected(self, gateway_id: str) -> None:
        """It will say what it has."""
        with self._lock:
            self._gateways[gateway_id] = _Gateway()

    def gone(self, gateway_id: str) -> None:
        """It is measured again when it is back."""
        with self._lock:
            self._gateways.pop(gateway_id, None)

    def accepted(self, gateway_id: str, versions: Versions) -> None:
        """This is all that the gateway has acknowledged."""
        with self._lock:
            gateway = self._gateways.get(gateway_id)
            if gateway is not None:
                gateway.accepted = versions
                self._settle(gateway_id, gateway)

    def _settle(self, gateway_id: str, gateway: _Gateway) -> None:
        if gateway.is_behind:
            if self._count and len(gateway.accepted) == len(self._versions) and gateway.accepted == self._versions:
                gateway.is_behind = False
                self._note(gateway_id, self._holds)
            return
        if len(gateway.waiting) > _WAITING:
            gateway.waiting.clear()
            gateway.is_behind = True
            return
        reached: Mark | None = None
        while gateway.waiting:
            publication, open_ones = gateway.waiting[0]
            for key in [key for key in open_ones if self._has(gateway, key, publication.number)]:
                del open_ones[key]
            if open_ones:
                break
            gateway.waiting.popleft()
            if publication.changed:
                self.acknowledged.add(self._monotonic() - publication.moment, gateway_id)
            reached = publication.holds
        if reached is not None:
            self._note(gateway_id, reached)

    def _has(self, gateway: _Gateway, key: Key, number: int) -> bool:
        """Whether what it has of a resource is what this publication gave, or a later one."""
        return self._given.get(key, {}).get(gateway.accepted.get(key), -1) >= number

    def _note(self, gateway_id: str, holds: Mark) -> None:
        self._applied.append(Applied(gateway_id, holds, self._clock(), self._monotonic()))

    def _forget_versions(self) -> None:
        """Versions that no gateway is asked about any more."""
        oldest = min(
            (gateway.waiting[0][0].number for gateway in self._gateways.values() if gateway.waiting), default=self._count + 1
        )
        for key in [key for key, given in self._given.items() if max(given.values()) < oldest]:
            del self._given[key]

    def applied(self) -> list[Applied]:
        """What is to be written, in order; the same again until it is `written`."""
        with self._lock:
            return list(self._applied)

    def written(self, count: int) -> None:
        """So many of them are on record."""
        with self._lock:
            for _ in range(count):
                self._applied.popleft()

    def place_of(self, changed: Changed, number: int) -> Place | None:
        """Where it was committed in a trace, if that was here, not long ago, and traced."""
        return self._places.get((changed, number))

    def places_within(self, before: Mark, upto: Mark) -> set[Place]:
        """Where all that a configuration holds and the one before it did not was committed, as far as it was traced."""
        with self._lock:
            numbers = {"revision": (before.revision, upto.revision), "revocation": (before.status, upto.status)}
            return {
                place for (changed, number), place in self._places.items() if numbers[changed][0] < number <= numbers[changed][1]
            }

    def commit_of(self, changed: Changed, number: int) -> tuple[datetime, float] | None:
        """When it was committed, if that was here and not long ago."""
        with self._lock:
            return self._commits.get((changed, number))
