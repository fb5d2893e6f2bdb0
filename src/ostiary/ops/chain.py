"""The chain of the record: each entry's hash covers it and, through the one before, all that went before."""

import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass

from ostiary.store.store import GENESIS, AuditRow, link


@dataclass(frozen=True)
class Verification:
    """Whether the chain holds. `entries` were read; `problem` says what is wrong and where, or is None."""

    entries: int = 0
    head_hash: str = GENESIS
    problem: str | None = None


def followed(verified: Verification, rows: Iterable[AuditRow]) -> Verification:
    """What was verified, and the links that follow, up to the first that is not right."""
    count, previous = verified.entries, verified.head_hash
    for row in rows:
        count += 1
        if row.sequence != count:
            return Verification(count, previous, f"entry {count} is missing: the next one there is {row.sequence}")
        if row.previous_hash != previous or not hmac.compare_digest(row.hash, link(previous, row.entry)):
            return Verification(count, previous, f"entry {count} does not follow from the one before it")
        if _sequence(row.entry) != count:
            return Verification(count, previous, f"entry {count} tells another sequence number in its text")
        previous = row.hash
    return Verification(count, previous)


def ended(verified: Verification, head: tuple[int, str]) -> Verification:
    """What was verified, which has to be all that was ever written."""
    if verified.problem is not None or (verified.entries, verified.head_hash) == head:
        return verified
    written = f"the record ends at entry {verified.entries}; {head[0]} were written"
    return Verification(verified.entries, verified.head_hash, written)


def _sequence(entry: str) -> int | None:
    try:
        return int(json.loads(entry)["sequence"])
    except (ValueError, KeyError, TypeError):
        return None
