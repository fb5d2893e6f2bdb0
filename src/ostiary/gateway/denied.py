"""Who was refused since the control plane was last told, and why: summed up by what is alike, whatever flood there is.

What is alike is what the same client was refused by the same listener for the same reason. A client is known by the certificate
it showed, or else by its address. Where that is too many clients, their refusals are one sum without names; the access log has
them. Who would have been refused, and who would not, where that is rehearsed, is summed up in the same way in a book of its own.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import structlog

from ostiary.envoy.records import Record, Refusal
from ostiary.gateway.batches import Told
from ostiary.model.told import ADDRESSES, LONGEST_CERTIFICATE, Stage, place

_log = structlog.get_logger(source="keeper")

_IN_A_BATCH: Final = 500
_MOST: Final = 5_000  # sums by client that are kept until the control plane takes them
_OF_A_KIND: Final = 500  # of these, for one listener and reason: a flood of one kind hides nothing of the others
_REFERENCES: Final = 16
_LONGEST: Final = 1024
_MOST_NAMES: Final = 50
_ROOM_FOR_CERTIFICATES: Final = 4 * 1024 * 1024  # octets

# Of a record, what an example holds (ostiary.model.denial.Example).
_EXAMPLE: Final = {
    "client": "client",
    "fingerprint_sha256": "fingerprint",
    "serial": "serial",
    "subject": "subject",
    "host": "authority",
    "method": "method",
    "path": "path",
}
_SHORT: Final = frozenset({"client", "serial", "method"})
_SANS: Final = {"san_dns": "DNS", "san_uri": "URI", "san_email": "email", "san_ip": "IP"}

Key = tuple[str, Stage, str, str, int, str]


@dataclass
class Refused:
    """What is alike. Times are seconds since 1970, references milliseconds."""

    first: float
    last: float
    count: int = 0
    addresses: list[str] = field(default_factory=list)
    references: list[int] = field(default_factory=list)
    example: dict[str, Any] = field(default_factory=dict)
    certificate: str = ""


class Denied(Told):
    """Pure bookkeeping; who calls it sends, saves and tells the time. A batch's body is `denials`."""

    def __init__(self, kept: bytes | None = None, *, of_a_kind: int = _OF_A_KIND) -> None:
        """`kept` is what `dump` made; what cannot be read is logged and left out, for the access log has it too."""
        super().__init__()
        self._of_a_kind = of_a_kind
        self._pending: dict[Key, Refused] = {}
        self._kinds: Counter[tuple[str, Stage, str]] = Counter()
        self._room = _ROOM_FOR_CERTIFICATES
        if kept is not None:
            self._load(kept)

    def note(
        self,
        listener_id: str,
        stage: Stage,
        refusal: Refusal,
        record: Record,
        at: float,
        pem: str = "",
        *,
        trust_revision: int = 0,
        counts: bool = True,
    ) -> None:
        """Somebody was refused. `pem` is the certificate, where that was told; what goes on `counts` when it ends.

        `trust_revision` is there in a rehearsal: by it, one is told from those before.
        """
        who = record.get("fingerprint") or place(record.get("client", "unknown"))[:64]
        key = self._key((listener_id, stage, refusal.code, refusal.rule_id or "", trust_revision, who))
        known = self._pending.get(key)
        if known is None:
            known = self._pending[key] = Refused(first=at, last=at)
        known.first, known.last = min(known.first, at), max(known.last, at)
        known.count += counts
        if stage == "request":
            known.references.append(int(at * 1000))
            del known.references[:-_REFERENCES]
        if key[-1]:
            self._describe(known, record, pem)
        self.news = True

    def seal(self, at: float) -> bool:
        """See `Told`."""
        if self._batches or not self._pending:
            return False
        sums = iter([_told(key, one) for key, one in self._pending.items()])
        while part := list(islice(sums, _IN_A_BATCH)):
            self._batches.add(at, denials=part)
        self._pending, self._kinds, self._room = {}, Counter(), _ROOM_FOR_CERTIFICATES
        return True

    def _pending_as_told(self) -> dict[str, Any]:
        return {"pending": [_told(key, one) for key, one in self._pending.items()]}

    def _key(self, key: Key) -> Key:
        """This one, or, where there are too many like it, one without the client."""
        if key in self._pending:
            return key
        kind = key[:3]
        if len(self._pending) < _MOST and self._kinds[kind] < self._of_a_kind:
            self._kinds[kind] += 1
            return key
        return (*key[:-1], "")

    def _describe(self, known: Refused, record: Record, pem: str) -> None:
        address = record.get("client", "")
        if address and address not in known.addresses and len(known.addresses) < ADDRESSES:
            known.addresses.append(address)
        if known.example:
            return
        named = {ours: record[theirs] for ours, theirs in _EXAMPLE.items() if theirs in record}
        known.example = {name: value[: 64 if name in _SHORT else _LONGEST] for name, value in named.items()}
        known.example["sans"] = [
            f"{kind}:{name}"[:_LONGEST]
            for field_name, kind in _SANS.items()
            for name in record.get(field_name, "").split(",")[:_MOST_NAMES]
            if name
        ][:_MOST_NAMES]
        if len(pem) <= min(LONGEST_CERTIFICATE, self._room):
            known.certificate = pem
            self._room -= len(pem)

    def _load(self, kept: bytes) -> None:
        try:
            said = json.loads(kept)
            pending = dict(map(_heard, said["pending"]))
            self._go_on(said)
        except (ValueError, KeyError, TypeError, AttributeError) as err:
            _log.error("who was refused before cannot be read and is left out; the access log has it", reason=repr(err))
        else:
            self._pending = pending
            self._kinds.update(key[:3] for key in pending if key[-1])


def _told(key: Key, one: Refused) -> dict[str, Any]:
    listener_id, stage, code, rule_id, trust_revision, who = key
    return {
        "listener_id": listener_id,
        "stage": stage,
        "code": code,
        "rule_id": rule_id,
        **({"trust_revision": trust_revision} if trust_revision else {}),
        "who": who,
        "first": _iso(one.first),
        "last": _iso(one.last),
        "count": one.count,
        "addresses": one.addresses,
        "references": one.references,
        "example": one.example,
        "certificate": one.certificate,
    }


def _heard(told: dict[str, Any]) -> tuple[Key, Refused]:
    first, last = (datetime.fromisoformat(told[name]).timestamp() for name in ("first", "last"))
    one = Refused(first, last, int(told["count"]), list(told["addresses"]), list(told["references"]))
    one.example, one.certificate = dict(told["example"]), str(told["certificate"])
    trust_revision = int(told.get("trust_revision", 0))
    return (told["listener_id"], told["stage"], told["code"], told["rule_id"], trust_revision, told["who"]), one


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
