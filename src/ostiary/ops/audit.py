"""The record: read it, and prove that nothing in it was changed, removed, inserted or put in another order."""

import hmac
import json
from dataclasses import dataclass
from typing import Any

from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.store.store import GENESIS, link


@dataclass(frozen=True)
class Verification:
    """Whether the chain holds. `entries` were read; `problem` says what is wrong and where, or is None."""

    entries: int
    head_hash: str
    problem: str | None = None


def find(system: System, caller: Caller, *, after: int = 0, limit: int = 100, newest_first: bool = False) -> list[dict[str, Any]]:
    """Entries of the record with a sequence above `after`, each with its hashes."""
    caller.must("audit:read")
    with system.store.read() as reader:
        return [
            {**json.loads(row.entry), "previous_hash": row.previous_hash, "hash": row.hash}
            for row in reader.audit_entries(after, limit, newest_first=newest_first)
        ]


def verify(system: System, caller: Caller) -> Verification:
    """Walk the whole chain. Streams, so the memory it needs does not grow with the record."""
    caller.must("audit:verify")
    with system.store.read() as reader:
        expected_sequence, expected_hash = reader.audit_head()
        count, previous = 0, GENESIS
        for row in reader.audit_entries():
            count += 1
            if row.sequence != count:
                return Verification(count, previous, f"entry {count} is missing: the next one there is {row.sequence}")
            if row.previous_hash != previous or not hmac.compare_digest(row.hash, link(previous, row.entry)):
                return Verification(count, previous, f"entry {count} does not follow from the one before it")
            if _sequence(row.entry) != count:
                return Verification(count, previous, f"entry {count} tells another sequence number in its text")
            previous = row.hash
        if (count, previous) != (expected_sequence, expected_hash):
            return Verification(count, previous, f"the record ends at entry {count}; {expected_sequence} were written")
        return Verification(count, previous)


def _sequence(entry: str) -> int | None:
    try:
        return int(json.loads(entry)["sequence"])
    except (ValueError, KeyError, TypeError):
        return None
