"""Once only: a request that comes again under the same key gets what it got before, and nothing is done twice."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from ostiary.errors import Conflict
from ostiary.model.resource import Resource
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.store import idempotency
from ostiary.store.kinds import Kind
from ostiary.store.store import Facts, Reader

R = TypeVar("R", bound=Resource)

REMEMBERED: Final = timedelta(hours=24)


@dataclass(frozen=True)
class Once:
    """An idempotency key, and the SHA-256 of the request it came with."""

    key: str
    request_sha256: str


def before(reader: Reader, caller: Caller, once: Once | None, kind: Kind[R]) -> R | None:
    """What this request got before. Raises `Conflict` when the key was used for another request."""
    if once is None:
        return None
    known = idempotency.done(reader, caller.name, once.key, once.request_sha256)
    if known is None:
        return None
    found = reader.get(kind, known)
    if found is None:  # the profile has come to ask for approval, or does no longer
        raise Conflict(f"what was made under this key is no {kind.title.lower()}, but {known}; use a new key.", "Idempotency-Key")
    return found


def once_only(facts: Facts, caller: Caller, once: Once | None, kind: Kind[R], make: Callable[[], R]) -> R:
    """What this request got before, or what `make` makes now."""
    if once is None:
        return make()
    known = before(facts, caller, once, kind)
    if known is not None:
        return known
    made = make()
    idempotency.put(facts, caller.name, once.key, once.request_sha256, made.id)
    return made


def forget_old(system: System) -> int:
    """Forget keys that are older than a day; says how many."""
    return system.store.record(lambda facts: idempotency.forget(facts, facts.at - REMEMBERED))
