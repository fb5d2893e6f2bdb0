"""Revocations and revocation lists, in SQL."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from ostiary.model.revocation import RELEASED, ListKind, Revocation, RevocationList
from ostiary.model.status_check import REFUSED
from ostiary.store import tables
from ostiary.store.store import Reader, Transaction

_TABLE = tables.revocations
_LISTS = tables.crls
_ROWS_AT_ONCE = 10_000


def of(reader: Reader, authority_id: str, serial: str) -> Revocation | None:
    """The revocation of one certificate, released ones too."""
    found = reader.connection.execute(select(_TABLE).where(_is(authority_id, serial))).mappings().first()
    return None if found is None else Revocation(**found)


def put(transaction: Transaction, revocation: Revocation) -> None:
    """Record a revocation, in place of what was said of this certificate before."""
    transaction.connection.execute(_TABLE.delete().where(_is(revocation.authority_id, revocation.serial)))
    transaction.connection.execute(_TABLE.insert(), asdict(revocation))


def entries(reader: Reader, authority_id: str, *, expired_since: datetime, after: int | None = None) -> Iterator[bytes]:
    """How a list writes those revoked, streamed; with `after`, only what changed since that sequence, releases among it.

    Those whose certificate had expired before `expired_since` are left out (RFC 5280 3.3).
    """
    statement = select(_TABLE.c.entry).where(_listed(authority_id, expired_since, after)).order_by(_TABLE.c.sequence)
    for (entry,) in reader.connection.execute(statement.execution_options(yield_per=_ROWS_AT_ONCE)):
        yield entry


def last_change(reader: Reader, authority_id: str) -> int:
    """The sequence of the last revocation or release of this authority; 0 when there was none."""
    statement = select(func.max(_TABLE.c.sequence)).where(_TABLE.c.authority_id == authority_id)
    return int(reader.connection.execute(statement).scalar() or 0)


def last_changes(reader: Reader, only: str | None = None) -> dict[str, int]:
    """The sequence of the last revocation or release of each authority that has any, or of one.

    Looked up for one authority after the other: by groups, a million entries are gone through.
    """
    last = select(func.max(_TABLE.c.sequence)).where(_TABLE.c.authority_id == tables.authorities.c.id).scalar_subquery()
    statement = select(tables.authorities.c.id, last)
    if only is not None:
        statement = statement.where(tables.authorities.c.id == only)
    return {name: int(sequence) for name, sequence in reader.connection.execute(statement) if sequence is not None}


def standing(reader: Reader, authority_id: str) -> dict[str, tuple[str, int]]:
    """Of every certificate that this authority ever revoked, by serial number: why, and the sequence of when that was said."""
    statement = select(_TABLE.c.serial, _TABLE.c.reason, _TABLE.c.sequence).where(_TABLE.c.authority_id == authority_id)
    rows = reader.connection.execute(statement.execution_options(yield_per=_ROWS_AT_ONCE))
    return {serial: (reason, int(sequence)) for serial, reason, sequence in rows}


def in_force_since(reader: Reader, since: datetime, at: datetime) -> tuple[str, ...]:
    """The fingerprints of certificates, unexpired `at` this time, revoked at `since` or later, and not released."""
    return tuple(reader.connection.execute(select(_TABLE.c.fingerprint_sha256).where(_in_force(since, at))).scalars())


def first_in_force_since(reader: Reader, since: datetime, at: datetime) -> datetime | None:
    """When the first of these was revoked."""
    first: datetime | None = reader.connection.execute(select(func.min(_TABLE.c.revoked_at)).where(_in_force(since, at))).scalar()
    return first


def revoked_elsewhere(reader: Reader) -> tuple[str, ...]:
    """The fingerprints of certificates of imported authorities that their list or responder, or the lack of news, refuses."""
    table = tables.foreign_statuses
    statement = select(table.c.fingerprint_sha256).where(table.c.status.in_(REFUSED))
    return tuple(reader.connection.execute(statement).scalars())


def current_list(reader: Reader, authority_id: str, kind: ListKind = "complete") -> RevocationList | None:
    """The list that is published now."""
    statement = select(_LISTS).where(_LISTS.c.authority_id == authority_id, _LISTS.c.kind == kind)
    found = reader.connection.execute(statement).mappings().first()
    return None if found is None else _list(found)


def lists_without_content(reader: Reader, of: Sequence[str] | None = None) -> dict[tuple[str, str], RevocationList]:
    """The lists of all authorities, or of these, by authority and kind, but not their bytes."""
    statement = select(*(column for column in _LISTS.c if column is not _LISTS.c.der))
    if of is not None:
        statement = statement.where(_LISTS.c.authority_id.in_(of))
    rows = reader.connection.execute(statement).mappings()
    return {(row["authority_id"], row["kind"]): _list({**row, "der": b""}) for row in rows}


def put_list(transaction: Transaction, made: RevocationList) -> None:
    """Publish a list in place of the one before, and have the gateways hear of it."""
    same = and_(_LISTS.c.authority_id == made.authority_id, _LISTS.c.kind == made.kind)
    transaction.connection.execute(_LISTS.delete().where(same))
    numbers = {"number": str(made.number), "base_number": None if made.base_number is None else str(made.base_number)}
    transaction.connection.execute(_LISTS.insert(), {**asdict(made), **numbers})
    transaction.move_status()


def forget_authority(transaction: Transaction, authority_id: str) -> None:
    """Delete what was said by an authority that itself is about to be deleted."""
    for table in (tables.crls, tables.ocsp_signers, tables.revocations, tables.foreign_statuses):
        transaction.connection.execute(table.delete().where(table.c.authority_id == authority_id))


def _in_force(since: datetime, at: datetime) -> ColumnElement[bool]:
    return and_(_TABLE.c.revoked_at >= since, _TABLE.c.expires_at > at, _TABLE.c.reason != RELEASED)


def _is(authority_id: str, serial: str) -> ColumnElement[bool]:
    return and_(_TABLE.c.authority_id == authority_id, _TABLE.c.serial == serial)


def _listed(authority_id: str, expired_since: datetime, after: int | None) -> ColumnElement[bool]:
    unexpired = or_(_TABLE.c.expires_at >= expired_since, _TABLE.c.revoked_at >= expired_since)
    which = _TABLE.c.reason != RELEASED if after is None else _TABLE.c.sequence > after
    return and_(_TABLE.c.authority_id == authority_id, unexpired, which)


def _list(row: Mapping[Any, Any]) -> RevocationList:
    numbers = {"number": int(row["number"]), "base_number": None if row["base_number"] is None else int(row["base_number"])}
    return RevocationList(**{**row, **numbers})
