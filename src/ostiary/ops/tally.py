"""Who tried something and was refused, for the record: at once the first time, and after that once a minute for all together.

So that nobody can fill the record, or hide in it what matters, by trying often.
"""

import threading
from collections import Counter
from datetime import datetime, timedelta
from typing import Final

EACH: Final = timedelta(minutes=1)
_SOURCES: Final = 10
_KINDS: Final = 50


class Tally:
    """What is not on record yet. Safe from any thread; bounded, whatever comes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told_at: datetime | None = None
        self._by: Counter[str] = Counter()
        self._sources: dict[str, None] = {}

    def note(self, what: str, source: str) -> None:
        """One more was refused."""
        with self._lock:
            self._by[what if what in self._by or len(self._by) < _KINDS else "others"] += 1
            if len(self._sources) < _SOURCES:
                self._sources[source[:64]] = None

    def due(self, at: datetime) -> dict[str, object] | None:
        """What is to be put on record now, if anything; it is then as good as told."""
        with self._lock:
            if not self._by or (self._told_at is not None and timedelta(0) <= at - self._told_at < EACH):
                return None
            told = {"refused": self._by.total(), "by": dict(sorted(self._by.items())), "sources": sorted(self._sources)}
            self._told_at = at
            self._by.clear()
            self._sources.clear()
            return told
