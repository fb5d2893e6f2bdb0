"""OCSP answers that may be given again, and who signs them, kept in memory until something is revoked."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ostiary.kept import Kept
from ostiary.store.store import Store

# About a kilobyte each. Only of certificates that were issued is anything kept, so nobody can fill this with inventions.
_ANSWERS: Final = 20_000
_RESPONDERS: Final = 256
# How late what another control plane committed to the same database is noticed. What this one commits is noticed at once.
_LOOK: Final = timedelta(seconds=1)


@dataclass(frozen=True)
class Moment:
    """A state of the database: what is kept as of one is not used as of the next."""

    revision: int
    status_sequence: int

    def __str__(self) -> str:
        return f"{self.revision}.{self.status_sequence}"


@dataclass(frozen=True)
class _Look:
    commits: int
    at: datetime
    moment: Moment


class Answers:
    """What was answered lately. Safe from any thread."""

    def __init__(self) -> None:
        self.given = Kept(_ANSWERS)
        self.statuses = Kept(_ANSWERS)
        self.responders = Kept(_RESPONDERS)
        self._last: _Look | None = None

    def known(self, store: Store, at: datetime) -> Moment | None:
        """What `moment` says, if it is known without asking the database."""
        last = self._last
        if last is not None and last.commits == store.commits and timedelta(0) <= at - last.at < _LOOK:
            return last.moment
        return None

    def moment(self, store: Store, at: datetime) -> Moment:
        """The state that an answer has to be as of: nothing that was committed here before this call is missing from it."""
        known = self.known(store, at)
        if known is not None:
            return known
        commits = store.commits  # first: what is committed while we look makes us look again
        with store.read() as reader:
            found = Moment(reader.revision(), reader.status_sequence())
        self._last = _Look(commits, at, found)
        return found
