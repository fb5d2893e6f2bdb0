"""What Envoy tells of requests and connections: written down here, and summed up for the control plane."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote

import structlog

from ostiary.clock import now
from ostiary.envoy import records
from ostiary.envoy.failures import connection_code
from ostiary.envoy.records import Kind, Record, Refusal, Rehearsal, Told
from ostiary.errors import Invalid
from ostiary.gateway import terms
from ostiary.gateway.denied import Denied
from ostiary.gateway.feed import Chunk
from ostiary.gateway.journal import Journal
from ostiary.gateway.place import Place
from ostiary.gateway.seen import Seen
from ostiary.gateway.streams import Streams
from ostiary.model.told import LONGEST_CERTIFICATE, Stage

_log = structlog.get_logger(source="keeper")

_NANOSECONDS: Final = 1_000_000_000
_STAGES: Final[dict[Kind, Stage]] = {"connection": "handshake", "request": "request"}


@dataclass(frozen=True)
class _Due:
    """Who does not know of a record yet. After a start, they may have come to different places before."""

    journal: bool = True
    seen: bool = True
    denied: bool = True
    rehearsed: bool = True


_ALL: Final = _Due()


class AccessLog:
    """Takes what Envoy tells (`gateway.feed`). Each record counts once, however often it is read and whatever dies meanwhile."""

    def __init__(
        self,
        journal: Journal,
        seen: Seen,
        denied: Denied,
        streams: Streams,
        rehearsed: Denied,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._journal = journal
        self._seen = seen
        self._denied = denied
        self._rehearsed = rehearsed
        self._streams = streams
        self._clock = clock
        self._dropped = 0
        self._told_of_damage = False

    @property
    def place(self) -> Place:
        """Where to read on: not all have taken in what comes after it."""
        return min(one.place for one in self._all)

    @property
    def newest(self) -> int:
        """The last file that any of it came from."""
        return max(one.place.number for one in self._all)

    @property
    def settled(self) -> Place:
        """What is before it need never be read again."""
        return min(one.settled for one in self._all)

    def take(self, chunk: Chunk) -> None:
        """Some records. Nothing that clients made them hold can do more than be written down."""
        firsts = [_first(one.place, chunk.number) for one in self._all]
        last, damaged = max(firsts), chunk.lost
        for offset, line in chunk.lines:
            try:
                told = records.read(line)
            except Invalid as err:
                damaged += 1
                self._say_damaged(err)
                continue
            self._hear(told, _ALL if offset >= last else _Due(*(offset >= first for first in firsts)))
        if damaged and chunk.end > self._journal.place:
            self._lost("it was damaged", damaged)
        for one in self._all:
            one.reached(max(one.place, chunk.end))
        self._journal.write()

    def second(self) -> None:
        """A second has passed."""
        self._journal.second()

    def dropped(self, total: int) -> None:
        """Envoy's count, since it started, of times that it could not write what it had to tell."""
        if total < self._dropped:
            self._dropped = 0  # another Envoy counts
        if total > self._dropped:
            self._lost("Envoy could not write it", total - self._dropped)
        self._dropped = total

    @property
    def _all(self) -> tuple[Journal, Seen, Denied, Denied]:
        """In the order of `_Due`."""
        return self._journal, self._seen, self._denied, self._rehearsed

    def _lost(self, why: str, count: int) -> None:
        self._journal.add({"at": _iso(self._clock().timestamp()), "kind": "lost", "why": why, "lost": count})

    def _say_damaged(self, err: Invalid) -> None:
        if not self._told_of_damage:
            _log.warning("some of what Envoy tells cannot be read; the access record says how much", reason=str(err))
        self._told_of_damage = True

    def _hear(self, told: Told, due: _Due) -> None:
        is_news = told.kind == "connection" or self._is_news(told.listener_id, told.began, told.record)
        early = terms.turned_away(told.kind, told.record, is_tls=told.is_tls)
        self._note(told, early, due, is_news=is_news)

    def _is_news(self, listener_id: str, began: int, record: Record) -> bool:
        """Whether a request's record is to be written down: of one that goes on, the first and the last."""
        if "duration" in record:
            self._streams.ended(listener_id, began, record)
            return True
        return self._streams.goes_on(listener_id, began, record)

    def _note(self, told: Told, early: str | None, due: _Due, *, is_news: bool) -> None:
        kind, listener_id, record, began = told.kind, told.listener_id, told.record, told.began / _NANOSECONDS
        pem = unquote(record.pop("certificate", ""))
        refused = _refusal(kind, record)
        rehearsed = records.rehearsal(record) if kind == "request" and refused is None else None
        if refused is not None and due.denied:
            self._denied.note(listener_id, _STAGES[kind], refused, record, began, pem)
        if is_news and due.journal:
            became = _became(kind, record, refused, early, pem)
            self._journal.add({"at": _iso(began), "kind": kind, "listener": listener_id, **became, **record})
        if rehearsed is not None and is_news and due.rehearsed:
            self._note_rehearsed(listener_id, rehearsed, record, began, pem)
        if rehearsed is not None and rehearsed.is_unverified:
            return  # whose certificate it is, nobody knows
        if refused is None and due.seen and (fingerprint := record.get("fingerprint")):
            if kind == "request":
                self._seen.note(listener_id, record, self._until(began, record))
            elif pem:
                self._seen.certificate(fingerprint, pem)

    def _note_rehearsed(self, listener_id: str, rehearsed: Rehearsal, record: Record, began: float, pem: str) -> None:
        revision = record.get("trust_revision", "") if rehearsed.is_whole else ""
        self._rehearsed.note(
            listener_id,
            "request",
            Refusal(rehearsed.code, rehearsed.rule_id),
            record,
            began,
            pem if rehearsed.is_unverified else "",
            trust_revision=int(revision) if revision.isdecimal() else 0,
            counts="duration" in record,
        )

    def _until(self, began: float, record: Record) -> float:
        duration = record.get("duration", "")
        return began + int(duration) / 1000 if duration.isdecimal() else self._clock().timestamp()  # it goes on


def _first(place: Place, number: int) -> float:
    """The first octet of this file that whoever has come to this place does not know of."""
    if place.number == number:
        return place.offset
    return 0 if place.number < number else float("inf")


def _refusal(kind: Kind, record: Record) -> Refusal | None:
    if kind == "request":
        return records.refusal(record)
    code = connection_code(record)
    return None if code is None else Refusal(code)


def _became(kind: Kind, record: Record, refused: Refusal | None, early: str | None, pem: str) -> dict[str, str]:
    """What became of it, where that is to be said."""
    if refused is not None:
        return _why(refused, pem)
    if early is not None:
        return {"refused": early}
    ended = terms.ended_early(kind, record)
    return {} if ended is None else {"ended": ended}


def _why(refused: Refusal, pem: str) -> dict[str, str]:
    rule = {"rule": refused.rule_id} if refused.rule_id else {}
    return {"refused": refused.code, **rule, **({"certificate": pem} if 0 < len(pem) <= LONGEST_CERTIFICATE else {})}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
