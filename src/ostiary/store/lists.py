"""The revocation lists that engines are handed, as one text for each trust: at once where that is quick, else seldom.

An engine reads all lists of a trust anew when one of them has changed, and for each listener that uses it: seconds for a million
entries, or for a thousand listeners. It hears of nothing else while it reads (docs/decisions/0016-lists-that-end.md and 0033).
Whoever was revoked since is refused request by request meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from ostiary.kept import Kept
from ostiary.model.revocation import RevocationList
from ostiary.pki.chain import crl_pem
from ostiary.pki.list_ends import NOBODYS_LIST
from ostiary.store import revocations
from ostiary.store.store import Reader

# An engine takes about a tenth of a second for each MiB, and 0.65 ms for the rest of a listener's TLS, which it makes anew. So
# these are two hundredths of its time.
REST_PER_MIB: Final = timedelta(seconds=20)
REST_PER_LISTENER: Final = timedelta(seconds=0.13)
# Then they wait until no other list was signed for a while, but not longer than for another rest: revocations seldom come alone,
# and the next one should not have to wait while the engine reads.
_QUIET: Final = 0.05  # of a rest
_LONGEST_QUIET: Final = timedelta(seconds=10)
LONGEST_REST: Final = timedelta(minutes=30)  # see `desired.OLDEST_CONNECTION`
_SHORTEST_REST: Final = timedelta(seconds=1)
_MIB: Final = 1024 * 1024
_PEM: Final = Kept(1024)  # of hundreds of issuing CAs only one or two change at a time


class Lists:
    """The newest ones, always."""

    def joined(self, reader: Reader, trust: str, lists: Sequence[RevocationList]) -> str:  # noqa: ARG002 (some remember)
        """What stands for these lists in the trust in these authorities."""
        return "".join(_pem(reader, one) for one in lists)

    def shared_by(self, listeners: int) -> "Lists":  # noqa: ARG002 (likewise)
        """The same, for a trust that so many listeners use."""
        return self


class Unread(Lists):
    """A stand-in, for who only asks whether a configuration can be carried out: all of them were read when they came in."""

    def joined(self, reader: Reader, trust: str, lists: Sequence[RevocationList]) -> str:  # noqa: ARG002 (that is the point)
        return NOBODYS_LIST if lists else ""


@dataclass(frozen=True)
class _Out:
    """What was handed out last, and since when. Others' lists hold back nothing: whom they name is refused by them alone."""

    text: str
    names: tuple[str, ...]
    others: tuple[str, ...]
    at: datetime
    ends: datetime
    listeners: int

    @property
    def rest(self) -> timedelta:
        """How long it stays, whatever is signed meanwhile."""
        rest = min(self.listeners * (REST_PER_MIB * (len(self.text) / _MIB) + REST_PER_LISTENER), LONGEST_REST)
        return rest if rest >= _SHORTEST_REST else timedelta(0)


@dataclass(frozen=True)
class _Newer:
    """Lists that were signed since: which, since when there are any, and since when these."""

    names: tuple[str, ...]
    first: datetime
    last: datetime

    def due(self, out: _Out) -> datetime:
        """When they are handed out, if they are the last."""
        quiet = min(out.rest * _QUIET, _LONGEST_QUIET)
        return max(out.at + out.rest, min(self.last + quiet, self.first + out.rest))


class ListBook(Lists):
    """What was handed out, so that long lists are not handed out again at once. Not for several threads at once."""

    def __init__(self) -> None:
        self._out: dict[str, _Out] = {}
        self._newer: dict[str, _Newer] = {}  # by trust
        self._waiting: dict[str, datetime] = {}  # by trust, when newer ones are handed out
        self._at = datetime.min.replace(tzinfo=UTC)

    def begin(self, at: datetime) -> None:
        """A round begins: everything that is asked until the next is asked at this time."""
        self._at = at
        self._waiting.clear()

    def is_due(self, at: datetime) -> bool:
        """Whether lists that were held back have waited long enough."""
        return any(when <= at for when in self._waiting.values())

    def joined(self, reader: Reader, trust: str, lists: Sequence[RevocationList]) -> str:
        """The newest, or those that were handed out last, while they rest."""
        return self.given(reader, trust, lists, 1)

    def shared_by(self, listeners: int) -> Lists:
        """See `Lists.shared_by`."""
        return _Shared(self, listeners)

    def given(self, reader: Reader, trust: str, lists: Sequence[RevocationList], listeners: int) -> str:
        """As `joined`, to so many listeners."""
        if not lists:
            return super().joined(reader, trust, lists)
        out, names = self._out.get(trust), tuple(map(_name, lists))
        if out is not None and out.names == names:
            self._newer.pop(trust, None)
        elif out is None or not self._rests(trust, out, names, _others(lists)):
            text, ends = super().joined(reader, trust, lists), min(one.next_update for one in lists)
            out = self._out[trust] = _Out(text, names, _others(lists), self._at, ends, listeners)
            self._newer.pop(trust, None)
        return out.text

    def _rests(self, trust: str, out: _Out, names: tuple[str, ...], others: tuple[str, ...]) -> bool:
        known = self._newer.get(trust)
        if known is None or known.names != names:
            known = self._newer[trust] = _Newer(names, known.first if known else self._at, self._at)
        due = known.due(out)
        rests = out.others == others and self._at < due and self._at + LONGEST_REST < out.ends
        if rests:
            self._waiting[trust] = due
        return rests


@dataclass(frozen=True)
class _Shared(Lists):
    """A book of lists, for a trust that many use."""

    book: ListBook
    listeners: int

    def joined(self, reader: Reader, trust: str, lists: Sequence[RevocationList]) -> str:
        """See `Lists.joined`."""
        return self.book.given(reader, trust, lists, self.listeners)


def _name(one: RevocationList) -> str:
    return f"{one.authority_id}/{one.number}/{one.sequence}"


def _others(lists: Sequence[RevocationList]) -> tuple[str, ...]:
    """Whose lists they are; of others' authorities also which lists."""
    return tuple(one.authority_id if one.source == "signed" else _name(one) for one in lists)


def _pem(reader: Reader, wanted: RevocationList) -> str:
    name = _name(wanted)
    known: str | None = _PEM.get(name)
    if known is None:
        current = revocations.current_list(reader, wanted.authority_id)
        known = crl_pem(current.der) if current else ""
        _PEM.keep(name, known)
    return known
