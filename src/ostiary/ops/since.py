"""What the watch over warnings remembers between its rounds, in memory: losing it costs one more look, and a line in the log."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from ostiary.model.warning import Notice, news

# What gateways say is told once it has been so for a while: they come and go when they, or we, are started.
SETTLED: Final = timedelta(minutes=2)
LATELY: Final = timedelta(minutes=2)


@dataclass
class Since:
    """Since when each thing has been so, in this process, and what was written to the log. Safe from any thread."""

    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _first: dict[str, datetime] = field(default_factory=dict)
    _logged: dict[str, int] = field(default_factory=dict)
    _kept: tuple[Any, tuple[Notice, ...], datetime] | None = None

    def settled(self, ids: Iterable[str], at: datetime) -> frozenset[str]:
        """Those of these that have been there for long enough; what is not among them any more begins anew."""
        with self._lock:
            self._first = {one: self._first.get(one, at) for one in ids}
            return frozenset(one for one, first in self._first.items() if at - first >= SETTLED)

    def to_log(self, warnings: Sequence[Notice]) -> tuple[Notice, ...]:
        """Those of these that were not written there, or not of this threshold."""
        with self._lock:
            fresh = news(warnings, self._logged).raised
            self._logged = {one.id: one.rank for one in warnings}
            return fresh

    def kept(self, key: Any) -> tuple[Notice, ...] | None:
        """What was found under this key, where nothing has been found under another since."""
        with self._lock:
            return self._kept[1] if self._kept is not None and self._kept[0] == key else None

    def lately(self, at: datetime) -> tuple[Notice, ...] | None:
        """What was found within the last minutes, whatever has changed since."""
        with self._lock:
            return self._kept[1] if self._kept is not None and at - self._kept[2] < LATELY else None

    def keep(self, key: Any, found: tuple[Notice, ...], at: datetime) -> None:
        """Keep what was found."""
        with self._lock:
            self._kept = (key, found, at)
