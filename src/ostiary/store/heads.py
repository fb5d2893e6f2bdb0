"""Signed heads of the record, the keys they are signed with, and what was removed from the record for its age."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from ostiary.pki.head_signing import Head
from ostiary.store import tables
from ostiary.store.store import Facts, Reader, Transaction

_HEADS = tables.audit_heads
_KEYS = tables.audit_keys


@dataclass(frozen=True)
class HeadKey:
    """A key that heads are signed with."""

    id: str
    public_key: str
    sealed_key: bytes
    at: datetime

    def __repr__(self) -> str:
        return f"HeadKey({self.id})"


def key_context(key_id: str) -> str:
    """What a sealed key is bound to."""
    return f"audit_keys/{key_id}"


def keys(reader: Reader) -> tuple[HeadKey, ...]:
    """All of them, the one that signs now last."""
    rows = reader.connection.execute(select(_KEYS).order_by(_KEYS.c.at, _KEYS.c.id)).mappings()
    return tuple(HeadKey(row["id"], row["public_key"], bytes(row["sealed_key"]), row["at"]) for row in rows)


def add_key(facts: Facts, key: HeadKey) -> None:
    """Keep a new key."""
    row = {"id": key.id, "public_key": key.public_key, "sealed_key": key.sealed_key, "at": key.at}
    facts.connection.execute(_KEYS.insert(), row)


def add(facts: Facts, head: Head) -> None:
    """Keep a signed head. Of one that is there already, the first stays."""
    if at(facts, head.sequence) is None:
        row = {"sequence": head.sequence, "at": head.at, "hash": head.hash, "key_id": head.key_id, "signature": head.signature}
        facts.connection.execute(_HEADS.insert(), row)


def at(reader: Reader, sequence: int) -> Head | None:
    """The head that was signed at this entry, if there is one."""
    return _one(reader.connection.execute(select(_HEADS).where(_HEADS.c.sequence == sequence)).mappings())


def last(reader: Reader, until: int | None = None) -> Head | None:
    """The newest; with `until`, the newest at that entry or before."""
    statement = select(_HEADS).order_by(_HEADS.c.sequence.desc()).limit(1)
    if until is not None:
        statement = statement.where(_HEADS.c.sequence <= until)
    return _one(reader.connection.execute(statement).mappings())


def first(reader: Reader, after: int, until: int) -> Head | None:
    """The oldest after one entry and until another."""
    statement = select(_HEADS).where(_HEADS.c.sequence > after, _HEADS.c.sequence <= until)
    return _one(reader.connection.execute(statement.order_by(_HEADS.c.sequence).limit(1)).mappings())


def newest(reader: Reader, limit: int) -> tuple[Head, ...]:
    """The newest, newest first."""
    statement = select(_HEADS).order_by(_HEADS.c.sequence.desc()).limit(limit)
    return tuple(_head(row) for row in reader.connection.execute(statement).mappings())


def between(reader: Reader, after: int, until: int) -> tuple[Head, ...]:
    """Those after one entry and until another, in order."""
    statement = select(_HEADS).where(_HEADS.c.sequence > after, _HEADS.c.sequence <= until).order_by(_HEADS.c.sequence)
    return tuple(_head(row) for row in reader.connection.execute(statement).mappings())


def begins_after(reader: Reader) -> tuple[int, str]:
    """The last entry that was removed for its age, and its hash."""
    row = reader.connection.execute(select(tables.head.c.pruned_sequence, tables.head.c.pruned_hash)).one()
    return int(row[0]), str(row[1])


def older_than(reader: Reader, moment: datetime) -> int:
    """The last entry before which, and with which, all are older."""
    audit = tables.audit
    kept = reader.connection.execute(select(func.min(audit.c.sequence)).where(audit.c.at >= moment)).scalar()
    return int(kept) - 1 if kept is not None else reader.audit_head()[0]


def begun_at(reader: Reader) -> datetime | None:
    """How old the oldest entry is that is there."""
    audit = tables.audit
    found: datetime | None = reader.connection.execute(select(audit.c.at).order_by(audit.c.sequence).limit(1)).scalar()
    return found


def prune(transaction: Transaction, until: Head) -> int:
    """Remove all entries until this head, which stays and vouches for them. Returns how many."""
    audit, head = tables.audit, tables.head
    removed = transaction.connection.execute(audit.delete().where(audit.c.sequence <= until.sequence)).rowcount
    transaction.connection.execute(_HEADS.delete().where(_HEADS.c.sequence < until.sequence))
    transaction.connection.execute(head.update().values(pruned_sequence=until.sequence, pruned_hash=until.hash))
    return int(removed)


def _one(rows: Iterable[object]) -> Head | None:
    return next((_head(row) for row in rows), None)


def _head(row: object) -> Head:
    its = dict(row)  # type: ignore[call-overload]  # a mapping of columns
    return Head(its["sequence"], its["at"], its["hash"], its["key_id"], its["signature"])
