"""The chain of the record: each entry's hash covers it and, through the one before, all before; heads of it are signed."""

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ostiary.ops.anchor import Anchored
from ostiary.pki.head_signing import Head, verifies
from ostiary.store.store import GENESIS, AuditRow, link


@dataclass(frozen=True)
class Signed:
    """The heads that were signed of a piece of the record, and the keys that are ours (public, by id)."""

    heads: Mapping[int, Head] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)


NOTHING_SIGNED = Signed()


@dataclass(frozen=True)
class Verification:
    """Whether the chain holds. `problem` says what is wrong and where, or is None.

    `begins_after` is the last entry that was removed for its age; `reached` the last that was looked at, with its hash;
    `signed_until` the last of them whose head is signed, of `heads` that are.
    """

    reached: int = 0
    head_hash: str = GENESIS
    problem: str | None = None
    begins_after: int = 0
    heads: int = 0
    signed_until: int = 0

    @property
    def entries(self) -> int:
        """How many were read."""
        return self.reached - self.begins_after


def begun(after: int, hash_: str, signed: Signed) -> Verification:
    """Before the first entry. What was removed before it, a signed head vouches for."""
    verified = Verification(after, hash_, begins_after=after)
    if after == 0:
        return verified if hash_ == GENESIS else replace(verified, problem="entry 1 does not begin the record")
    head = signed.heads.get(after)
    if head is None:
        return replace(verified, problem=f"entries up to {after} were removed, and no signed head vouches for them")
    return _headed(verified, head, signed)


def followed(verified: Verification, rows: Iterable[AuditRow], signed: Signed = NOTHING_SIGNED) -> Verification:
    """What was verified, and the links that follow, up to the first that is not right; with the heads signed of them."""
    if verified.problem is not None:
        return verified
    count, previous = verified.reached, verified.head_hash
    for row in rows:
        count += 1
        if row.sequence != count:
            return _broken(verified, count, previous, f"entry {count} is missing: the next one there is {row.sequence}")
        if row.previous_hash != previous or not hmac.compare_digest(row.hash, link(previous, row.entry)):
            return _broken(verified, count, previous, f"entry {count} does not follow from the one before it")
        if _sequence(row.entry) != count:
            return _broken(verified, count, previous, f"entry {count} tells another sequence number in its text")
        previous = row.hash
        if (head := signed.heads.get(count)) is not None:
            verified = _headed(replace(verified, reached=count, head_hash=previous), head, signed)
            if verified.problem is not None:
                return verified
    return replace(verified, reached=count, head_hash=previous)


def ended(
    verified: Verification, head: tuple[int, str], last_signed: Head | None = None, anchored: Anchored | None = None
) -> Verification:
    """What was verified, which has to be all that was ever written: until the head, with what was signed and kept elsewhere."""
    if verified.problem is not None:
        return verified
    if (verified.reached, verified.head_hash) != head:
        return replace(verified, problem=f"the record ends at entry {verified.reached}; {head[0]} were written")
    if last_signed is not None and last_signed.sequence > verified.reached:
        cut = f"the record ends at entry {verified.reached}; entry {last_signed.sequence} was there when its head was signed"
        return replace(verified, problem=cut)
    if anchored is not None and anchored.sequence > verified.signed_until:
        lost = f"the head of entry {anchored.sequence} was signed and kept outside the database; it is not in the record"
        return replace(verified, problem=lost)
    return verified


def unlike(anchored: Anchored, hash_: str) -> str | None:
    """What is wrong when the entry that was kept outside the database has this hash; None when nothing is."""
    if hmac.compare_digest(anchored.hash, hash_):
        return None
    return f"entry {anchored.sequence} is another one than when its head was signed and kept outside the database"


def _broken(verified: Verification, count: int, previous: str, why: str) -> Verification:
    return replace(verified, reached=count, head_hash=previous, problem=why)


def _headed(verified: Verification, head: Head, signed: Signed) -> Verification:
    """With the head of the entry that was reached."""
    key = signed.keys.get(head.key_id)
    if key is None:
        return replace(verified, problem=f"the head of entry {head.sequence} is signed by a key that is not ours")
    if not verifies(head, key):
        return replace(verified, problem=f"the signature of the head of entry {head.sequence} is not right")
    if not hmac.compare_digest(head.hash, verified.head_hash):
        return replace(verified, problem=f"entry {head.sequence} is another one than when its head was signed")
    return replace(verified, heads=verified.heads + 1, signed_until=head.sequence)


def _sequence(entry: str) -> int | None:
    try:
        return int(json.loads(entry)["sequence"])
    except (ValueError, KeyError, TypeError):
        return None
