"""What a gateway does once the revocation lists it holds have ended: what each listener's owner chose, with nobody there to ask.

Envoy is given something else than what is wanted then, and it answers in other words. Both are told here: what it is to be given,
and what its answers mean for what is wanted. No I/O; time is told by the caller.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from ostiary.envoy import stale
from ostiary.envoy.resources import LISTENER, SECRET, Key, Resource
from ostiary.pki import list_ends
from ostiary.pki.list_ends import NOBODYS_LIST
from ostiary.xds.source import StreamState

# Envoy takes its time over long lists, and our clock may be behind: rather early than a moment in which everybody is refused.
# Nobody gets in by it: the lists stay, and so does all that they say.
AHEAD: Final = timedelta(minutes=2)
REMIND: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Stale:
    """A trust with a list that ended: since when, which listeners it concerns, until when they let in (None: they refuse)."""

    trust: str
    listeners: tuple[str, ...]
    since: datetime
    until: datetime | None

    def lets_in(self, at: datetime) -> bool:
        """Whether clients are still let in at this time."""
        return self.until is not None and at < self.until

    def told(self) -> dict[str, Any]:
        """As the control plane hears of it."""
        return {
            "listeners": list(self.listeners),
            "since": self.since.isoformat(),
            "until": self.until.isoformat() if self.until else None,
        }


@dataclass(frozen=True)
class Given:
    """What Envoy is to be given, whose lists have ended, and when time alone makes a difference next."""

    resources: Mapping[Key, Resource]
    stale: tuple[Stale, ...] = ()
    look_again: datetime | None = None


class Staleness:
    """Looks at the lists among the resources. What it has read is kept for as long as it is given: lists may be long."""

    def __init__(self) -> None:
        self._ends: dict[tuple[Key, str], datetime | None] = {}
        self._timeless: dict[tuple[Key, str], Resource] = {}
        self._meant: dict[tuple[Key, str], str] = {}  # by the version that Envoy was given, the one that is wanted

    def given(self, resources: Mapping[Key, Resource], at: datetime) -> Given:
        """What Envoy is to be given at this time."""
        self._read(resources.values())
        ends = {key: end for (key, _), end in self._ends.items() if end is not None}
        relaxed = {key: self._without_time(resources[key]) for key, end in ends.items() if _is_relaxed(key, end, at)}
        self._timeless = {(key, resources[key].version): one for key, one in relaxed.items()}
        times = sorted(time for key, end in ends.items() for time in _turns(key, end) if time > at)
        return Given({**resources, **relaxed}, self._stale(ends, resources, at), times[0] if times else None)

    def meant(self, state: StreamState) -> StreamState:
        """What Envoy says, as if it had been given what is wanted."""
        if not self._meant:
            return state
        accepted = {key: self._meant.get((key, version), version) for key, version in state.accepted.items()}
        rejected = {
            key: one._replace(version=self._meant.get((key, one.version), one.version)) for key, one in state.rejected.items()
        }
        return replace(state, accepted=accepted, rejected=rejected)

    def _read(self, resources: Iterable[Resource]) -> None:
        known, self._ends = self._ends, {}
        for one in resources:
            if one.type_url == SECRET:
                name = (one.key, one.version)
                self._ends[name] = known[name] if name in known else _end(one)

    def _without_time(self, resource: Resource) -> Resource:
        name = (resource.key, resource.version)
        made = self._timeless.get(name) or stale.timeless(resource)
        self._meant[resource.key, made.version] = resource.version
        return made

    def _stale(self, ends: Mapping[Key, datetime], resources: Mapping[Key, Resource], at: datetime) -> tuple[Stale, ...]:
        ended = {name: end for (_, name), end in ends.items() if end <= at}
        if not ended:
            return ()
        users: dict[str, list[str]] = {}
        for one in resources.values():
            for name in stale.trusted_by(one) if one.type_url == LISTENER else ():
                users.setdefault(name, []).append(one.name.removeprefix("listener/"))
        return tuple(
            Stale(name, tuple(sorted(users[name])), end, _until(name, end))
            for name, end in sorted(ended.items())
            if name in users
        )


class Alarms:
    """What people are to be told: when it begins, each hour, when clients are refused from now on, and when it is over."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[Stale, bool, datetime]] = {}

    def due(self, stale: Iterable[Stale], at: datetime) -> list[tuple[str, Stale]]:
        """The words, and whom they are about."""
        now = {one.trust: one for one in stale}
        words = [(_FRESH, one) for trust, (one, _, _) in self._told.items() if trust not in now]
        told = {}
        for trust, one in now.items():
            before = self._told.get(trust)
            if before is not None and before[1] == one.lets_in(at) and at < before[2] + REMIND:
                told[trust] = (one, before[1], before[2])
                continue
            told[trust] = (one, one.lets_in(at), at)
            words.append((_ALLOWED if one.lets_in(at) else _REFUSED, one))
        self._told = told
        return words


_FRESH: Final = "revocation lists are fresh again"
_ALLOWED: Final = "revocation lists have ended and no newer ones came: clients are let in, but for those known to be revoked"
_REFUSED: Final = "revocation lists have ended and no newer ones came: all clients of their authorities are refused"


def is_alarm(words: str) -> bool:
    """Whether somebody has to see to it."""
    return words != _FRESH


def _end(resource: Resource) -> datetime | None:
    # That one is there to refuse, and is over by birth.
    return list_ends.earliest(stale.lists(resource).replace(NOBODYS_LIST, ""))


def _until(name: str, end: datetime) -> datetime | None:
    allowed = stale.allowed(name)
    return None if allowed is None else end + allowed


def _is_relaxed(key: Key, end: datetime, at: datetime) -> bool:
    until = _until(key[1], end)
    return until is not None and end - AHEAD <= at < until


def _turns(key: Key, end: datetime) -> tuple[datetime, ...]:
    """When something changes by time alone."""
    until = _until(key[1], end)
    return (end,) if until is None else (end - AHEAD, end, until)
