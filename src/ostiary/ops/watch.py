"""What is remembered of asking others for news: when, with what success, and what people were told.

Only for not asking too often and for people to see. Losing it, as a restart does, costs one more question to each.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import randbelow
from typing import Final

from ostiary import fetch
from ostiary.kept import Kept
from ostiary.model.status_check import StatusState

FIRST_WAIT: Final = timedelta(minutes=1)
LONGEST_WAIT: Final = timedelta(hours=1)
ALARM_AGAIN: Final = timedelta(hours=1)
_GOOD: Final = ("NOT_CHECKED", "FRESH")


@dataclass(frozen=True)
class Attempt:
    """How asking went last. `errors` are by authority; `failures` are those in a row."""

    at: datetime
    next_at: datetime
    failures: int = 0
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Version:
    """What was taken from an address, as its server names it, and the authorities whose lists it was."""

    etag: str | None
    last_modified: str | None
    authority_ids: frozenset[str]


class Watch:
    """Safe from any thread. `fetch` is how the web is asked."""

    def __init__(self, ask: Callable[..., fetch.Fetched] = fetch.fetch) -> None:
        self.fetch = ask
        self.serials = Kept(256)  # of the certificates on a list, by authority and list
        self.signers = Kept(100_000)  # which authority signed a certificate that was seen, by fingerprint
        self._attempts: dict[str, Attempt] = {}
        self._told: dict[str, tuple[StatusState, datetime]] = {}
        self._versions: dict[str, Version] = {}
        self._looked: tuple[str, datetime, datetime] | None = None
        self._lock = threading.Lock()

    def attempt(self, name: str) -> Attempt | None:
        """How asking for the lists of this series, or at this responder, went last."""
        with self._lock:
            return self._attempts.get(name)

    def went_well(self, name: str, at: datetime, next_at: datetime) -> None:
        """There was an answer."""
        with self._lock:
            self._attempts[name] = Attempt(at, next_at)

    def failed(self, name: str, at: datetime, errors: Mapping[str, str], most: timedelta = LONGEST_WAIT) -> None:
        """There was none, or not for all: ask again, each time after twice as long, up to `most`."""
        with self._lock:
            before = self._attempts.get(name)
            failures = before.failures + 1 if before else 1
            wait = min(FIRST_WAIT * 2 ** min(failures - 1, 10), most)
            self._attempts[name] = Attempt(at, at + jittered(wait), failures, dict(errors))

    def version(self, url: str) -> Version | None:
        """What was last taken from there."""
        with self._lock:
            return self._versions.get(url)

    def note_version(self, url: str, version: Version) -> None:
        """What was taken from there now."""
        with self._lock:
            self._versions[url] = version

    def looked_since(self, key: str, at: datetime, all_again: timedelta) -> datetime | None:
        """Since when to look at what was seen; None for all of it: when `key`, which names all else, changed, or at times."""
        with self._lock:
            last = self._looked
            if last is None or last[0] != key or at >= last[1] + all_again:
                self._looked = (key, at, at)
                return None
            self._looked = (key, last[1], at)
            return last[2]

    def news(self, authority_id: str, state: StatusState, at: datetime) -> StatusState | None:
        """What the state was before, where that is worth telling: it changed, or it is bad and was last told an hour ago."""
        with self._lock:
            before, told_at = self._told.get(authority_id, ("NOT_CHECKED", at))
            if state == before and (state in _GOOD or at < told_at + ALARM_AGAIN):
                return None
            self._told[authority_id] = (state, at)
            return None if state in _GOOD and before in _GOOD else before


def jittered(wait: timedelta) -> timedelta:
    """About that long, so that many who wait for one do not ask it all at once: a tenth less to a tenth more."""
    return wait * (900 + randbelow(201)) / 1000
