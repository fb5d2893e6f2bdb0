"""Proving the whole record: piece by piece, so that its length costs no memory; beside everything else, so that nobody waits."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

import structlog

from ostiary.errors import Refusal, Unavailable
from ostiary.ops import chain
from ostiary.ops.anchor import Anchored
from ostiary.ops.caller import Caller
from ostiary.ops.chain import Signed, Verification
from ostiary.pki import head_signing
from ostiary.store import audit as stored
from ostiary.store import heads
from ostiary.store.store import Reader

if TYPE_CHECKING:
    from ostiary.ops.system import System

_AT_ONCE: Final = 5000  # entries that are read in one transaction: a longer one would keep others' old pages alive

log = structlog.get_logger(source="ostiary")


@dataclass(frozen=True)
class Progress:
    """How far it has come: until `verified.reached` of the `written` entries; `failed` says why it could not go on, if so."""

    started_at: datetime
    started_by: str
    verified: Verification = field(default_factory=Verification)
    written: int = 0
    ended_at: datetime | None = None
    failed: str = ""

    @property
    def is_going_on(self) -> bool:
        """Whether there is more to come."""
        return self.ended_at is None

    @property
    def is_whole(self) -> bool:
        """Whether all that was ever written is there, as it was written."""
        return not (self.is_going_on or self.failed or self.verified.problem)


def pieces(system: "System") -> Iterator[tuple[Verification, int]]:
    """How far it is and how many there are, piece after piece; the last is the whole. What is written meanwhile belongs to it."""
    keys = _ours(system)
    with system.store.read() as reader:
        anchored, verified, lost = _begun(system, reader, keys)
    if lost is not None:
        yield replace(verified, problem=lost), 0
        return
    while True:
        with system.store.read() as reader:
            head = reader.audit_head()
            after, hash_ = heads.begins_after(reader)
            if after > verified.reached:  # old entries were removed meanwhile
                verified = chain.begun(after, hash_, _signed(reader, after - 1, after, keys))
            before = verified
            signed = _signed(reader, before.reached, before.reached + _AT_ONCE, keys)
            verified = chain.followed(before, reader.audit_entries(before.reached, _AT_ONCE), signed)
            is_over = verified.problem is not None or verified.reached - before.reached < _AT_ONCE
            if is_over:
                verified = chain.ended(verified, head, heads.last(reader), anchored)
        yield verified, head[0]
        if is_over:
            return


def _begun(system: "System", reader: Reader, keys: dict[str, str]) -> tuple[Anchored | None, Verification, str | None]:
    """What was kept outside the database, the verification before the first entry, and what is wrong even before that."""
    after, hash_ = heads.begins_after(reader)
    verified = chain.begun(after, hash_, _signed(reader, after - 1, after, keys))
    try:
        anchored = system.anchor.kept()
    except (OSError, ValueError):
        return None, verified, "the file that keeps the last signed head outside the database is damaged"
    if anchored is None or anchored.sequence < after:
        return None, verified, None
    row = stored.one(reader, anchored.sequence)
    there = hash_ if anchored.sequence == after else None if row is None else row.hash
    return anchored, verified, None if there is None else chain.unlike(anchored, there)


def _signed(reader: Reader, after: int, until: int, keys: dict[str, str]) -> Signed:
    return Signed({head.sequence: head for head in heads.between(reader, after, until)}, keys)


def _ours(system: "System") -> dict[str, str]:
    """The keys that are ours: whoever has not the key-encryption key cannot have put one of theirs among them."""
    with system.store.read() as reader:
        known = heads.keys(reader)
    found = {}
    for key in known:
        try:
            private = system.sealer.open(key.sealed_key, heads.key_context(key.id))
        except Unavailable:
            continue
        if head_signing.belongs(private, key.public_key):
            found[key.id] = key.public_key
    return found


class Verifying:
    """One at a time, whoever asks. Only for people to see: it is forgotten when the process ends, and can be done again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress: Progress | None = None

    def start(self, system: "System", caller: Caller) -> Progress:
        """Begin, unless it is going on already."""
        caller.must("audit:verify")
        with self._lock:
            if self._progress is not None and self._progress.is_going_on:
                return self._progress
            begun = self._progress = Progress(system.clock(), caller.name)
        threading.Thread(target=self._run, args=(system, begun), name="verify", daemon=True).start()
        return begun

    def progress(self, caller: Caller) -> Progress | None:
        """The one that is going on, or the last; None when there was none since start."""
        caller.must("audit:read")
        with self._lock:
            return self._progress

    def _run(self, system: "System", progress: Progress) -> None:
        try:
            for verified, written in pieces(system):
                progress = replace(progress, verified=verified, written=written)
                self._note(progress)
            self._note(replace(progress, ended_at=system.clock()))
        except Refusal as refused:
            self._note(replace(progress, ended_at=system.clock(), failed=str(refused)))
        except Exception:
            log.exception("verifying the record failed")
            why = Unavailable("Verifying failed; the log says why.")
            self._note(replace(progress, ended_at=system.clock(), failed=str(why)))

    def _note(self, progress: Progress) -> None:
        with self._lock:
            self._progress = progress
