"""What Envoy tells of requests and connections: written down here, and summed up for the control plane."""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args
from urllib.parse import unquote

import grpc
import structlog

from ostiary.clock import now
from ostiary.envoy import records
from ostiary.envoy.failures import connection_code
from ostiary.envoy.records import Kind, Record, Refusal, Rehearsal
from ostiary.errors import Invalid
from ostiary.gateway import otlp, terms
from ostiary.gateway.denied import Denied
from ostiary.gateway.journal import Journal
from ostiary.gateway.seen import Seen
from ostiary.gateway.streams import Streams
from ostiary.model.told import LONGEST_CERTIFICATE, Stage
from ostiary.xds.server import serving

_log = structlog.get_logger(source="keeper")

_NANOSECONDS: Final = 1_000_000_000
_STAGES: Final[dict[Kind, Stage]] = {"connection": "handshake", "request": "request"}
_KINDS: Final[dict[str, Kind]] = {kind: kind for kind in get_args(Kind)}


class AccessLog:
    """Takes what Envoy sends."""

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

    def take(self, data: bytes) -> None:
        """One batch of records. Nothing that clients made it hold can do more than be written down."""
        try:
            for about, lines in otlp.read(data):
                kind, listener_id = _KINDS[about["kind"]], about["listener"]
                for began, line in lines:
                    record = records.read(kind, line)
                    is_news = kind == "connection" or self._is_news(listener_id, began, record)
                    early = terms.turned_away(kind, record, is_tls=records.IS_TLS in about)
                    self._note(kind, listener_id, began / _NANOSECONDS, record, early, is_news=is_news)
        except (Invalid, KeyError) as err:
            _log.warning("a batch of the access log cannot be read", reason=repr(err))
        self._journal.write()

    def second(self) -> None:
        """A second has passed."""
        self._journal.second()

    def dropped(self, total: int) -> None:
        """Envoy's count, since it started, of records that it could not hand over: nobody was there, or not fast enough."""
        if total < self._dropped:
            self._dropped = 0  # another Envoy counts
        if total > self._dropped:
            lost = {"why": "Envoy could not hand them over", "lost": total - self._dropped}
            self._journal.add({"at": _iso(self._clock().timestamp()), "kind": "lost", **lost})
        self._dropped = total

    def _is_news(self, listener_id: str, began: int, record: Record) -> bool:
        """Whether a request's record is to be written down: of one that goes on, the first and the last."""
        if "duration" in record:
            self._streams.ended(listener_id, began, record)
            return True
        return self._streams.goes_on(listener_id, began, record)

    def _note(
        self, kind: Kind, listener_id: str, began: float, record: Record, early: str | None = None, *, is_news: bool
    ) -> None:
        pem = unquote(record.pop("certificate", ""))
        refused = _refusal(kind, record)
        rehearsed = records.rehearsal(record) if kind == "request" and refused is None else None
        entry: dict[str, Any] = {"at": _iso(began), "kind": kind, "listener": listener_id}
        if refused is not None:
            entry |= _why(refused, pem)
            self._denied.note(listener_id, _STAGES[kind], refused, record, began, pem)
        elif early is not None:
            entry["refused"] = early
        elif (ended := terms.ended_early(kind, record)) is not None:
            entry["ended"] = ended
        entry |= record
        if is_news:
            self._journal.add(entry)
        if rehearsed is not None and is_news:
            self._note_rehearsed(listener_id, rehearsed, record, began, pem)
        if rehearsed is not None and rehearsed.is_unverified:
            return  # whose certificate it is, nobody knows
        if refused is None and (fingerprint := record.get("fingerprint")):
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


@contextlib.asynccontextmanager
async def collecting(socket: Path, take: Callable[[bytes], None]) -> AsyncIterator[None]:
    """Be the collector that Envoy sends its records to, for as long as the block runs."""

    async def export(data: bytes, _context: Any) -> bytes:
        take(data)
        return b""  # an ExportLogsServiceResponse: all of it was taken

    method = grpc.unary_unary_rpc_method_handler(export)  # bytes in, bytes out
    async with serving(socket, (grpc.method_handlers_generic_handler(otlp.SERVICE, {otlp.METHOD: method}),)):
        yield


def _refusal(kind: Kind, record: Record) -> Refusal | None:
    if kind == "request":
        return records.refusal(record)
    code = connection_code(record)
    return None if code is None else Refusal(code)


def _why(refused: Refusal, pem: str) -> dict[str, str]:
    rule = {"rule": refused.rule_id} if refused.rule_id else {}
    return {"refused": refused.code, **rule, **({"certificate": pem} if 0 < len(pem) <= LONGEST_CERTIFICATE else {})}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
