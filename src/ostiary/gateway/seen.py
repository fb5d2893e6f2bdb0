"""Who was let in since the control plane was last told: per certificate and listener, when, how often and from where.

What is handed over travels in numbered batches. A batch has its number on disk before it is sent, and keeps it until it is
acknowledged: so nothing is lost when either side dies, and what arrives twice is known by its number.
"""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import structlog

from ostiary.envoy.access_log import Record

_log = structlog.get_logger(source="keeper")

_IN_A_BATCH: Final = 500
_MOST: Final = 50_000  # pairs of certificate and listener that are kept while no control plane answers
_ADDRESSES: Final = 16
_LONGEST: Final = 1024  # characters of a name
_LONGEST_CERTIFICATE: Final = 16 * 1024
_REMEMBERED: Final = 50_000


@dataclass
class Sighting:
    """One certificate at one listener. Times are seconds since 1970."""

    serial: str
    subject: str
    issuer: str
    not_after: str | None
    first_seen: float
    last_seen: float
    requests: int = 0
    addresses: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Batch:
    """What is told at once. `body` is JSON: `sequence`, `sightings`, `certificates` (ostiary.model.sighting)."""

    sequence: int
    body: dict[str, Any]


class Seen:
    """Pure bookkeeping; who calls it sends, saves and tells the time."""

    def __init__(self, kept: bytes | None = None) -> None:
        """`kept` is what `dump` made; what cannot be read is logged and left out, for the access log has it too."""
        self.news = False  # whether there is something that `dump` was not asked for yet
        self._last = 0
        self._batches: deque[Batch] = deque()
        self._pending: dict[tuple[str, str], Sighting] = {}
        self._certificates: dict[str, str] = {}
        self._told: set[str] = set()
        self._full = False
        if kept is not None:
            self._load(kept)

    def note(self, listener_id: str, record: Record, at: float) -> None:
        """A request that was let in, with a certificate. One that goes on counts when it ends."""
        key = (record["fingerprint"], listener_id)
        known = self._pending.get(key)
        if known is None:
            if len(self._pending) >= _MOST:
                self._say_full()
                return
            known = self._pending[key] = Sighting(
                serial=record.get("serial", ""),
                subject=record.get("subject", "")[:_LONGEST],
                issuer=record.get("issuer", "")[:_LONGEST],
                not_after=record.get("not_after"),
                first_seen=at,
                last_seen=at,
            )
        known.first_seen = min(known.first_seen, at)
        known.last_seen = max(known.last_seen, at)
        known.requests += "duration" in record
        if "client" in record and len(known.addresses) < _ADDRESSES:
            known.addresses.add(record["client"])
        self.news = True

    def certificate(self, fingerprint: str, pem: str) -> None:
        """What a certificate looks like; told once, as far as we remember."""
        if fingerprint in self._told or len(pem) > _LONGEST_CERTIFICATE or len(self._certificates) >= _MOST:
            return
        if len(self._told) >= _REMEMBERED:
            self._told.clear()
        self._told.add(fingerprint)
        self._certificates[fingerprint] = pem
        self.news = True

    def seal(self, at: float) -> bool:
        """Put all that is pending into batches, unless some still wait to be acknowledged; whether there are new ones.

        What `dump` gives afterwards has to be on disk before any of them is sent.
        """
        if self._batches or not (self._pending or self._certificates):
            return False
        sightings = iter([_told(key, one) for key, one in self._pending.items()])
        certificates = iter(self._certificates.items())
        while part := list(islice(sightings, _IN_A_BATCH)):
            self._batch(at, part, {})
        while some := dict(islice(certificates, _IN_A_BATCH)):
            self._batch(at, [], some)  # after the sightings that they belong to
        self._pending, self._certificates, self._full = {}, {}, False
        return True

    def batches(self) -> Iterator[Batch]:
        """Those to be sent, in order; each again and again until it is `taken`."""
        while self._batches:
            yield self._batches[0]

    def taken(self, sequence: int) -> None:
        """The control plane has it, for good."""
        if self._batches and self._batches[0].sequence == sequence:
            self._batches.popleft()

    def dump(self) -> bytes:
        """All of it as bytes."""
        self.news = False
        kept = {
            "last": self._last,
            "batches": [one.body for one in self._batches],
            "pending": [_told(key, one) for key, one in self._pending.items()],
            "certificates": self._certificates,
        }
        return json.dumps(kept).encode()

    def _batch(self, at: float, sightings: list[dict[str, Any]], certificates: dict[str, str]) -> None:
        # By the clock, so that numbers also grow when what was kept is lost.
        self._last = max(self._last + 1, int(at * 1000))
        body = {"sequence": self._last, "sightings": sightings, "certificates": certificates}
        self._batches.append(Batch(self._last, body))

    def _load(self, kept: bytes) -> None:
        try:
            said = json.loads(kept)
            batches = deque(Batch(int(body["sequence"]), body) for body in said["batches"])
            pending = dict(map(_heard, said["pending"]))
            certificates = dict(said["certificates"])
            last = int(said["last"])
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            _log.error("who was seen before cannot be read and is left out; the access log has it", reason=repr(err))
        else:
            self._last, self._batches, self._pending, self._certificates = last, batches, pending, certificates

    def _say_full(self) -> None:
        if not self._full:
            _log.warning("too many certificates were seen while no control plane answers; the others are in the access log only")
            self._full = True


def _told(key: tuple[str, str], one: Sighting) -> dict[str, Any]:
    fingerprint, listener_id = key
    return {
        "fingerprint_sha256": fingerprint,
        "listener_id": listener_id,
        "serial": one.serial,
        "subject": one.subject,
        "issuer": one.issuer,
        "not_after": one.not_after,
        "first_seen": _iso(one.first_seen),
        "last_seen": _iso(one.last_seen),
        "requests": one.requests,
        "addresses": sorted(one.addresses),
    }


def _heard(told: dict[str, Any]) -> tuple[tuple[str, str], Sighting]:
    first, last = (datetime.fromisoformat(told[name]).timestamp() for name in ("first_seen", "last_seen"))
    names = {name: told[name] for name in ("serial", "subject", "issuer", "not_after")}
    one = Sighting(**names, first_seen=first, last_seen=last, requests=int(told["requests"]), addresses=set(told["addresses"]))
    return (told["fingerprint_sha256"], told["listener_id"]), one


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
