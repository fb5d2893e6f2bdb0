"""The revocation lists that engines are handed, as one text for each trust: at once while that is short, seldom when it is long.

An engine reads all lists of a trust anew when one of them has changed, seconds for a million entries, and hears of nothing else
while it reads (docs/decisions/0016-lists-that-end.md). Whoever was revoked since is refused request by request meanwhile.
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

# An engine takes about a tenth of a second for each MiB, so this is a two hundredth of its time.
REST_PER_MIB: Final = timedelta(seconds=20)
LONGEST_REST: Final = timedelta(minutes=30)  # see `desired.OLDEST_CONNECTION`
_SHORTEST_REST: Final = timedelta(seconds=1)
_MIB: Final = 1024 * 1024
_PEM: Final = Kept(1024)  # of hundreds of issuing CAs only one or two change at a time


class Lists:
    """The newest ones, always."""

    def joined(self, reader: Reader, trust: str, lists: Sequence[RevocationList]) -> str:  # noqa: ARG002 (some remember)
        """What stands for these lists in the trust in these authorities."""
        return "".join(_pem(reader, one) for one in lists)


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

    @property
    def rest(self) -> timedelta:
        """How long it stays, whatever is signed meanwhile."""
        rest = min(REST_PER_MIB * (len(self.text) / _MIB), LONGEST_REST)
        return rest if rest >= _SHORTEST_REST else timedelta(0)


class ListBook(Lists):
    """What was handed out, so that long lists are not handed out again at once. Not for several threads at once."""

    def __init__(self) -> None:
        self._out: dict[str, _Out] = {}
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
        if not lists:
            return super().joined(reader, trust, lists)
        out, names = self._out.get(trust), tuple(map(_name, lists))
        if out is None or (out.names != names and not self._rests(out, lists)):
            text, ends = super().joined(reader, trust, lists), min(one.next_update for one in lists)
            out = self._out[trust] = _Out(text, names, _others(lists), self._at, ends)
        elif out.names != names:
            self._waiting[trust] = out.at + out.rest
        return out.text

    def _rests(self, out: _Out, lists: Sequence[RevocationList]) -> bool:
        return out.others == _others(lists) and self._at < out.at + out.rest and self._at + LONGEST_REST < out.ends


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
