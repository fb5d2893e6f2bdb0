"""Who was let in since the control plane was last told: per certificate and listener, when, how often and from where."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import structlog

from ostiary.envoy.records import Record
from ostiary.gateway.batches import Told
from ostiary.model.told import place

_log = structlog.get_logger(source="keeper")

_IN_A_BATCH: Final = 500
_MOST: Final = 50_000  # pairs of certificate and listener that are kept while no control plane answers
_ADDRESSES: Final = 16  # the last ones; of the others, how many
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
    addresses: dict[str, float] = field(default_factory=dict)  # with the time each was last seen
    more_addresses: int = 0


class Seen(Told):
    """Pure bookkeeping; who calls it sends, saves and tells the time. A batch's body is `sightings`, and `certificates`."""

    def __init__(self, kept: bytes | None = None) -> None:
        """`kept` is what `dump` made; what cannot be read is logged and left out, for the access log has it too."""
        super().__init__()
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
        if "client" in record:
            _note_address(known, place(record["client"]), at)
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
        """See `Told`."""
        if self._batches or not (self._pending or self._certificates):
            return False
        sightings = iter([_told(key, one) for key, one in self._pending.items()])
        certificates = iter(self._certificates.items())
        while part := list(islice(sightings, _IN_A_BATCH)):
            self._batches.add(at, sightings=part, certificates={})
        while some := dict(islice(certificates, _IN_A_BATCH)):
            self._batches.add(at, sightings=[], certificates=some)  # after the sightings that they belong to
        self._pending, self._certificates, self._full = {}, {}, False
        return True

    def _pending_as_told(self) -> dict[str, Any]:
        return {"pending": [_told(key, one) for key, one in self._pending.items()], "certificates": self._certificates}

    def _load(self, kept: bytes) -> None:
        try:
            said = json.loads(kept)
            pending = dict(map(_heard, said["pending"]))
            certificates = dict(said["certificates"])
            self._go_on(said)
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            _log.error("who was seen before cannot be read and is left out; the access log has it", reason=repr(err))
        else:
            self._pending, self._certificates = pending, certificates

    def _say_full(self) -> None:
        if not self._full:
            _log.warning("too many certificates were seen while no control plane answers; the others are in the access log only")
            self._full = True


def _note_address(known: Sighting, address: str, at: float) -> None:
    known.addresses[address] = max(at, known.addresses.get(address, at))
    if len(known.addresses) > _ADDRESSES:
        del known.addresses[min(known.addresses, key=known.addresses.__getitem__)]
        known.more_addresses += 1


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
        "addresses": {address: _iso(one.addresses[address]) for address in sorted(one.addresses)},
        "more_addresses": one.more_addresses,
    }


def _heard(told: dict[str, Any]) -> tuple[tuple[str, str], Sighting]:
    first, last = (datetime.fromisoformat(told[name]).timestamp() for name in ("first_seen", "last_seen"))
    names = {name: told[name] for name in ("serial", "subject", "issuer", "not_after")}
    one = Sighting(**names, first_seen=first, last_seen=last, requests=int(told["requests"]))
    one.addresses = {address: datetime.fromisoformat(at).timestamp() for address, at in told["addresses"].items()}
    one.more_addresses = int(told["more_addresses"])
    return (told["fingerprint_sha256"], told["listener_id"]), one


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
