"""What the control plane wants, what Envoy said to it, and so what Envoy is to be given. No I/O; time is told by the caller."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ostiary.envoy.resources import LISTENER, Key, Resource
from ostiary.xds.source import StreamState

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0


@dataclass(frozen=True)
class Refusal:
    """A version Envoy refused, in its own words, and when to try again: at `due`, then after `pause` more seconds."""

    version: str
    message: str
    due: float
    pause: float


@dataclass(frozen=True)
class Verdict:
    """What Envoy said to a version (None: to its removal); no error: it has it."""

    version: str | None
    error: str | None = None


@dataclass(frozen=True)
class Contents:
    """What outlives the keeper: what is wanted, and, where Envoy would not have that, what it accepted before."""

    wanted: tuple[Resource, ...] = ()
    good: tuple[Resource, ...] = ()


class Ledger:
    """One gateway's books.

    A version that Envoy refuses is replaced by the last one of that name it accepted: an Envoy that starts anew then comes back
    with what it served before. While such a replacement stands, what it may refer to (clusters, endpoints, routes, secrets) is
    kept, wanted or not; listeners that are no longer wanted go at once, always.
    """

    def __init__(self, contents: Contents | None = None) -> None:
        # Until the control plane has told everything once, or the disk has, we cannot say that something is not wanted.
        self.whole = contents is not None
        self.wanted: dict[Key, Resource] = {one.key: one for one in contents.wanted} if contents else {}
        self.good: dict[Key, Resource] = {one.key: one for one in contents.good} if contents else {}
        self.refused: dict[Key, Refusal] = {}
        self._inherited = set(self.wanted)  # from the keeper before us, and not replaced since
        # Wanted no longer when Envoy had not answered yet; it may still say that it has one of them.
        self._overtaken: dict[Key, dict[str, Resource]] = {}
        self._has: dict[Key, str] = {}
        self._trying: set[Key] = set()

    # The control plane speaks.

    def want(self, resource: Resource) -> bool:
        """It wants this version. Says whether that is news."""
        known = self.wanted.get(resource.key)
        if known is not None and known.version == resource.version:
            return False
        if known is not None and known.key in self._inherited - self.refused.keys():
            # Envoy has not spoken yet since we started; what was served before is then the best to fall back on.
            self.good.setdefault(known.key, known)
        if known is not None and self.verdict(known.key) is None:
            self._overtaken.setdefault(known.key, {})[known.version] = known
        self._inherited.discard(resource.key)
        self.wanted[resource.key] = resource
        self._absolve(resource.key)
        return True

    def drop(self, key: Key) -> bool:
        """It wants this no longer. Says whether that is news."""
        if self.wanted.pop(key, None) is None:
            return False
        self._overtaken.pop(key, None)
        self._absolve(key)
        if key[0] == LISTENER or not self.refused:
            self.good.pop(key, None)
        return True

    def told_all(self) -> bool:
        """It has told everything it wants. Says whether that is news."""
        news, self.whole = not self.whole, True
        return news

    # Envoy speaks.

    def note(self, state: StreamState, at: float) -> frozenset[Key]:
        """Take what Envoy has and refuses; returns whose verdict may be new."""
        if state.fresh:
            everything = frozenset(self._has) | self.wanted.keys()
            self._has.clear()
            self._overtaken.clear()
            return everything
        for key in state.changed:
            self._note_one(key, state, at)
        return state.changed

    def _note_one(self, key: Key, state: StreamState, at: float) -> None:
        had = self._has.pop(key, None)
        if (version := state.accepted.get(key)) is not None:
            self._has[key] = version
        elif had is not None and key[0] == LISTENER:
            self._try_listeners_at(at)  # its port may be the one that another one waits for
        wanted = self.wanted.get(key)
        if wanted is None:
            return
        if version in (overtaken := self._overtaken.get(key, {})):
            self.good[key] = overtaken[version]
        rejection = state.rejected.get(key)
        if rejection is not None and key in self.good and rejection.version == self.good[key].version:
            del self.good[key]  # not good any more; a stand-in that Envoy refuses as well is none
        if rejection is not None and rejection.version == wanted.version:
            self._note_refusal(key, wanted.version, rejection.message, at)
        elif version == wanted.version:
            self.good[key] = wanted
            self._overtaken.pop(key, None)
            self._absolve(key)

    def _note_refusal(self, key: Key, version: str, message: str, at: float) -> None:
        before = self.refused.get(key)
        pause = min(before.pause * 2, LONGEST_PAUSE) if before else FIRST_PAUSE
        self.refused[key] = Refusal(version, message, at + pause, pause)
        self._trying.discard(key)

    def _try_listeners_at(self, at: float) -> None:
        for key, refusal in self.refused.items():
            if key[0] == LISTENER:
                self.refused[key] = Refusal(refusal.version, refusal.message, at, FIRST_PAUSE)

    def _absolve(self, key: Key) -> None:
        self._trying.discard(key)
        if self.refused.pop(key, None) is not None and not self.refused:
            self.good = {key: one for key, one in self.good.items() if key in self.wanted}

    # What follows.

    def try_again(self, at: float) -> frozenset[Key]:
        """What was refused and whose time has come: a port may be free now. To be offered again."""
        due = {key for key, refusal in self.refused.items() if refusal.due <= at and key not in self._trying}
        self._trying |= due
        return frozenset(due)

    def resources(self) -> Mapping[Key, Resource]:
        """What Envoy is to be given."""
        given = dict(self.wanted)
        replaced = {key for key in self.refused if key in self.good and key not in self._trying}
        given.update((key, self.good[key]) for key in replaced)
        if self.refused:
            given.update((key, one) for key, one in self.good.items() if key not in self.wanted and key[0] != LISTENER)
        return given

    def standing_in(self) -> dict[Key, Resource]:
        """What Envoy accepted before, where that is another version than what is wanted."""
        others = ((key, one) for key, one in self.good.items() if self.wanted.get(key) is not one)
        return {key: one for key, one in others if self._version(key) != one.version}

    def verdict(self, key: Key) -> Verdict | None:
        """What Envoy says to what is wanted of `key`; None as long as it has said nothing."""
        version = self._version(key)
        if version is None:
            return None if key in self._has else Verdict(None)
        refusal = self.refused.get(key)
        if refusal is not None:
            return Verdict(version, refusal.message)
        return Verdict(version) if self._has.get(key) == version else None

    def _version(self, key: Key) -> str | None:
        resource = self.wanted.get(key)
        return resource.version if resource else None
