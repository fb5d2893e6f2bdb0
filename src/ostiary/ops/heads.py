"""Sign where the record stands, every few minutes and when it ends; and remove what is older than anybody wants to keep.

A signed head says: until this entry, the record was this. So nobody who can write the database, but has not the key-encryption
key, can give it another past (docs/decisions/0021-signed-heads.md). Heads are told in the log too, where they may be carried
elsewhere: then not even we could.
"""

from datetime import datetime, timedelta
from typing import Final

import structlog

from ostiary.ops import house
from ostiary.ops.caller import SYSTEM, Caller
from ostiary.ops.record import entry, note
from ostiary.ops.system import System
from ostiary.pki import head_signing
from ostiary.pki.head_signing import Head
from ostiary.store import heads as stored
from ostiary.store.heads import HeadKey, key_context
from ostiary.store.store import Change, Facts

SIGNED_EACH: Final = timedelta(minutes=5)
# Pruned is by the day: an entry of the record for each minute in which something was removed would be more than was removed.
_AT_LEAST: Final = timedelta(days=1)
_AT_ONCE: Final = 20_000  # entries that are removed in one transaction, more or less

log = structlog.get_logger(source="ostiary")


def sign_due(system: System) -> int:
    """Sign where the record stands, if it moved on and the last head is some minutes old. Returns how many it signed."""
    with system.store.read() as reader:
        newest, last = reader.audit_head()[0], stored.last(reader)
    if newest == 0 or (last is not None and (last.sequence == newest or _is_young(last, system.clock()))):
        return 0
    sign(system)
    return 1


def _is_young(head: Head, at: datetime) -> bool:
    """Whether it was signed just now. One from the future was signed before the clock was put back."""
    return timedelta(0) <= at - head.at < SIGNED_EACH


def sign(system: System) -> Head:
    """Sign where the record stands now. Returns once that is kept."""
    key = _key(system)
    with system.store.read() as reader:
        (sequence, hash_), last = reader.audit_head(), stored.last(reader)
    if last is not None and last.sequence == sequence:
        return last
    # What follows meanwhile does not matter: a head is true of its entry for ever.
    head = head_signing.signed(system.sealer.open(key.sealed_key, key_context(key.id)), sequence, hash_, system.clock())
    system.store.record(lambda facts: stored.add(facts, head))
    system.anchor.keep(head.sequence, head.hash)
    log.info("head of the record", sequence=head.sequence, hash=head.hash, key=head.key_id, signature=head.signature)
    return head


def find(system: System, caller: Caller, *, limit: int = 100) -> tuple[Head, ...]:
    """The newest heads, newest first."""
    caller.must("audit:read")
    with system.store.read() as reader:
        return stored.newest(reader, limit)


def keys(system: System, caller: Caller) -> tuple[HeadKey, ...]:
    """The keys that heads were signed with, the one that signs now last; made if there is none yet."""
    caller.must("audit:read")
    _key(system)
    with system.store.read() as reader:
        return stored.keys(reader)


def prune_due(system: System) -> int:
    """Remove what is older than is to be kept, up to a signed head, which vouches for it. Returns how many entries.

    Nothing is removed that no signed head covers.
    """
    count = 0
    with system.store.read() as reader:
        kept_since = system.clock() - timedelta(days=house.read(reader).audit_retention_days)
        begun = stored.begun_at(reader)
    if begun is None or begun > kept_since - _AT_LEAST:
        return 0
    while True:
        with system.store.write() as transaction:
            first, before = stored.begins_after(transaction)
            oldest_kept = stored.older_than(transaction, kept_since)
            # As many as one transaction takes well; or, where one head covers more than that, until that head.
            until = stored.last(transaction, min(oldest_kept, first + _AT_ONCE))
            if until is None or until.sequence <= first:
                until = stored.first(transaction, first, oldest_kept)
            if until is None:
                return count
            removed = stored.prune(transaction, until)
            told = {
                "first": first + 1,
                "last": until.sequence,
                "previous_hash": before,
                "hash": until.hash,
                "entries": removed,
                "kept_since": kept_since.isoformat(timespec="seconds"),
            }
            transaction.append_audit(entry(SYSTEM, "audit:prune", Change("audit", "", None, told), None))
        count += removed


def _key(system: System) -> HeadKey:
    """The key to sign with; a new one, on record, where there is none."""
    with system.store.read() as reader:
        if known := stored.keys(reader):
            return known[-1]
    made = head_signing.new_key()
    sealed = system.sealer.seal(made.private, key_context(made.id))

    def work(facts: Facts) -> HeadKey:
        if known := stored.keys(facts):
            return known[-1]  # somebody else was quicker
        key = HeadKey(made.id, made.public_key, sealed, facts.at)
        stored.add_key(facts, key)
        said = {"id": made.id, "public_key": made.public_key}  # its id is longer than those of things, which PostgreSQL minds
        facts.append_audit(entry(SYSTEM, "audit:new-key", Change("audit_key", "", None, said), None))
        return key

    return system.store.record(work)


def exported(system: System, caller: Caller, about: dict[str, object]) -> Head:
    """Put on record that the record was handed out, and sign where it stands then."""
    note(system.store, caller, "audit:export", "audit", "", about)
    return sign(system)
