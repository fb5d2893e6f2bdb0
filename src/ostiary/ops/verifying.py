"""Proving the whole record beside everything else: a long one takes minutes, and nobody is to wait for it with a page open."""

import threading
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import structlog

from ostiary.clock import Clock
from ostiary.errors import Refusal, Unavailable
from ostiary.ops.caller import Caller
from ostiary.ops.chain import Verification, ended, followed
from ostiary.store.store import Store

_AT_ONCE: Final = 5000  # entries that are read in one transaction: a longer one would keep others' old pages alive

log = structlog.get_logger(source="ostiary")


@dataclass(frozen=True)
class Progress:
    """How far it has come: `verified` of the `written` entries there are; `failed` says why it could not go on, if so."""

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


class Verifying:
    """One at a time, whoever asks. Only for people to see: it is forgotten when the process ends, and can be done again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress: Progress | None = None

    def start(self, store: Store, caller: Caller, clock: Clock) -> Progress:
        """Begin, unless it is going on already."""
        caller.must("audit:verify")
        with self._lock:
            if self._progress is not None and self._progress.is_going_on:
                return self._progress
            begun = self._progress = Progress(clock(), caller.name)
        threading.Thread(target=self._run, args=(store, begun, clock), name="verify", daemon=True).start()
        return begun

    def progress(self, caller: Caller) -> Progress | None:
        """The one that is going on, or the last; None when there was none since start."""
        caller.must("audit:read")
        with self._lock:
            return self._progress

    def _run(self, store: Store, progress: Progress, clock: Clock) -> None:
        try:
            while progress.is_going_on:
                progress = _further(store, progress, clock)
                self._note(progress)
        except Refusal as refused:
            self._note(replace(progress, ended_at=clock(), failed=str(refused)))
        except Exception:
            log.exception("verifying the record failed")
            why = Unavailable("Verifying failed; the log says why.")
            self._note(replace(progress, ended_at=clock(), failed=str(why)))

    def _note(self, progress: Progress) -> None:
        with self._lock:
            self._progress = progress


def _further(store: Store, progress: Progress, clock: Clock) -> Progress:
    """Some entries on. It ends where the record does, as of that moment: what is written meanwhile belongs to it."""
    with store.read() as reader:
        head = reader.audit_head()
        before = progress.verified
        verified = followed(before, reader.audit_entries(before.entries, _AT_ONCE))
    is_over = verified.problem is not None or verified.entries - before.entries < _AT_ONCE
    return replace(
        progress,
        verified=ended(verified, head) if is_over else verified,
        written=head[0],
        ended_at=clock() if is_over else None,
    )
