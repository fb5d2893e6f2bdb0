"""What an evidence pack is made of, in SQL: entries of the record and facts, a page at a time, as of a place in the record."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, or_, select

from ostiary.store import heads, tables
from ostiary.store.kinds import CERTIFICATE, Kind, R
from ostiary.store.rows import from_row
from ostiary.store.store import GENESIS, AuditRow, Reader
from ostiary.store.summed import parts

PAGE: Final = 500
_AUDIT: Final = tables.audit
_ENTRY: Final = (_AUDIT.c.sequence, _AUDIT.c.entry, _AUDIT.c.previous_hash, _AUDIT.c.hash)
_CERTIFICATES: Final = tables.certificates
_REFUSALS: Final = tables.traffic_refusals
_SEEN: Final = tables.sightings
_DENIED: Final = tables.denials
_TLS_FAILED: Final = "tls_failed"  # no certificate's fault
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Position:
    """A place in the record, as of a time: the last entry before it, with its hash, and the revision that was in force."""

    at: datetime
    sequence: int
    hash: str
    revision: int


@dataclass(frozen=True)
class Link:
    """An entry that something follows from."""

    sequence: int
    hash: str


def position(reader: Reader, at: datetime) -> Position:
    """Where the record stood at this time; what is of that very moment is not in it yet."""
    last = select(_AUDIT.c.sequence, _AUDIT.c.hash).where(_AUDIT.c.at < at).order_by(_AUDIT.c.sequence.desc()).limit(1)
    found = reader.connection.execute(last).first() or _removed_before(reader, at)
    revision = select(func.max(tables.revisions.c.number)).where(tables.revisions.c.at < at)
    return Position(
        at,
        0 if found is None else int(found[0]),
        GENESIS if found is None else str(found[1]),
        int(reader.connection.execute(revision).scalar() or 0),
    )


def _removed_before(reader: Reader, at: datetime) -> tuple[int, str] | None:
    """The last entry that was removed for its age, if its head was signed before this time: so it was written before it."""
    sequence, digest = heads.begins_after(reader)
    head = heads.at(reader, sequence) if sequence else None
    return None if head is None or head.at > at else (sequence, digest)


def oldest(reader: Reader) -> datetime | None:
    """When the first entry was written that is there."""
    found: datetime | None = reader.connection.execute(select(_AUDIT.c.at).order_by(_AUDIT.c.sequence).limit(1)).scalar()
    return found


def went_back(reader: Reader, upto: int) -> int:
    """How many entries are older, by the clock, than the one before them."""
    before = func.lag(_AUDIT.c.at).over(order_by=_AUDIT.c.sequence).label("before")
    both = select(_AUDIT.c.at, before).where(_AUDIT.c.sequence <= upto).subquery()
    return int(reader.connection.execute(select(func.count()).select_from(both).where(both.c.at < both.c.before)).scalar_one())


def entries(
    reader: Reader, after: int, upto: int, *, actions: Iterable[str] = (), groups: Iterable[str] = (), limit: int = PAGE
) -> tuple[AuditRow, ...]:
    """Entries after one and up to another, oldest first; of these actions, or of all whose names begin with one of `groups`."""
    which: list[ColumnElement[bool]] = [_AUDIT.c.action.in_(tuple(actions))] if actions else []
    which += [_AUDIT.c.action.startswith(f"{group}:", autoescape=True) for group in groups]
    statement = select(*_ENTRY).where(_AUDIT.c.sequence > after, _AUDIT.c.sequence <= upto)
    if which:
        statement = statement.where(or_(*which))
    rows = reader.connection.execute(statement.order_by(_AUDIT.c.sequence).limit(limit))
    return tuple(AuditRow(*row) for row in rows)


def about(reader: Reader, ids: Iterable[str], *, after: int = 0, upto: int) -> dict[str, list[AuditRow]]:
    """The entries about these things, oldest first, by id."""
    found: dict[str, list[AuditRow]] = {}
    for some in parts(set(ids)):
        statement = (
            select(_AUDIT.c.resource_id, *_ENTRY)
            .where(_AUDIT.c.resource_id.in_(some), _AUDIT.c.sequence > after, _AUDIT.c.sequence <= upto)
            .order_by(_AUDIT.c.sequence)
        )
        for resource_id, *row in reader.connection.execute(statement):
            found.setdefault(str(resource_id), []).append(AuditRow(*row))
    return found


def links(reader: Reader, ids: Iterable[str], upto: int) -> dict[str, tuple[Link, ...]]:
    """The same, without what they say."""
    found: dict[str, list[Link]] = {}
    for some in parts(set(ids)):
        statement = (
            select(_AUDIT.c.resource_id, _AUDIT.c.sequence, _AUDIT.c.hash)
            .where(_AUDIT.c.resource_id.in_(some), _AUDIT.c.sequence <= upto)
            .order_by(_AUDIT.c.sequence)
        )
        for resource_id, sequence, digest in reader.connection.execute(statement):
            found.setdefault(str(resource_id), []).append(Link(int(sequence), str(digest)))
    return {one: tuple(its) for one, its in found.items()}


def of_sequences(reader: Reader, sequences: Iterable[int]) -> tuple[AuditRow, ...]:
    """Entries by their numbers; those that are not there are left out."""
    wanted = sorted(set(sequences))
    return tuple(
        AuditRow(*row)
        for start in range(0, len(wanted), PAGE)
        for row in reader.connection.execute(
            select(*_ENTRY).where(_AUDIT.c.sequence.in_(wanted[start : start + PAGE])).order_by(_AUDIT.c.sequence)
        )
    )


def things(
    reader: Reader, kind: Kind[R], created_before: datetime, after: tuple[datetime, str] | None, also: Sequence[Any] = ()
) -> tuple[R, ...]:
    """A page of what is there now and was made before that time, oldest first, after the one made at `after` with that id."""
    columns = kind.table.c
    statement = select(kind.table).where(columns.created_at < created_before, *also)
    if after is not None:
        at, last = after
        statement = statement.where(or_(columns.created_at > at, and_(columns.created_at == at, columns.id > last)))
    rows = reader.connection.execute(statement.order_by(columns.created_at, columns.id).limit(PAGE)).mappings()
    return tuple(from_row(kind, row) for row in rows)


def last_made(reader: Reader, kind: Kind[R], before: datetime, **where: Any) -> R | None:
    """The last one with these values in its columns that was made before that time."""
    columns = kind.table.c
    statement = select(kind.table).where(columns.created_at < before, *(columns[name] == value for name, value in where.items()))
    row = reader.connection.execute(statement.order_by(columns.created_at.desc(), columns.id.desc()).limit(1)).mappings().first()
    return None if row is None else from_row(kind, row)


def certificates(
    reader: Reader, created_before: datetime, ended_after: datetime, after: tuple[datetime, str] | None
) -> tuple[Any, ...]:
    """A page of the certificates that were issued before one time and whose time was not over before another."""
    return things(reader, CERTIFICATE, created_before, after, (_CERTIFICATES.c.not_after >= ended_after,))


def ended_before(reader: Reader, at: datetime) -> int:
    """How many certificates' time was over before this time."""
    statement = select(func.count()).select_from(_CERTIFICATES).where(_CERTIFICATES.c.not_after < at)
    return int(reader.connection.execute(statement).scalar_one())


def certificates_in_force(reader: Reader, at: datetime) -> int:
    """How many certificates have neither ended nor been revoked or put on hold."""
    statement = select(func.count()).where(_CERTIFICATES.c.revoked_at.is_(None), _CERTIFICATES.c.not_after > at)
    return int(reader.connection.execute(statement).scalar_one())


def access_tokens(reader: Reader, at: datetime) -> int:
    """How many keys to the API are good."""
    table = tables.tokens
    statement = select(func.count()).select_from(table).where(table.c.kind == "access", table.c.expires_at > at)
    return int(reader.connection.execute(statement).scalar_one())


def sequences_of_revocations(reader: Reader, which: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """By authority and serial number, the place in the status sequence of what was last said of a certificate."""
    table = tables.revocations
    found: dict[tuple[str, str], int] = {}
    for authority_id, serial in set(which):
        statement = select(table.c.sequence).where(table.c.authority_id == authority_id, table.c.serial == serial)
        sequence = reader.connection.execute(statement).scalar()
        if sequence is not None:
            found[authority_id, serial] = int(sequence)
    return found


def refusals_by_code(reader: Reader, since: datetime, until: datetime) -> tuple[tuple[str, str, int], ...]:
    """Listener, code and how many were refused in this time, as gateways counted them; whole hours where it is long ago."""
    columns = _REFUSALS.c
    statement = (
        select(columns.listener_id, columns.code, func.sum(columns.count))
        .where(columns.listener_id != "", columns.minute >= _minute(since), columns.minute < _minute(until))
        .group_by(columns.listener_id, columns.code)
        .order_by(columns.listener_id, columns.code)
    )
    return tuple((str(one), str(code), int(count)) for one, code, count in reader.connection.execute(statement))


def refused(reader: Reader, since: datetime, until: datetime) -> int:
    """How many were refused in this time at all listeners together, for a certificate's fault."""
    columns = _REFUSALS.c
    statement = select(func.coalesce(func.sum(columns.count), 0)).where(
        columns.listener_id == "",
        columns.code != _TLS_FAILED,
        columns.minute >= _minute(since),
        columns.minute < _minute(until),
    )
    return int(reader.connection.execute(statement).scalar_one())


def oldest_denial(reader: Reader) -> datetime | None:
    """When the first refusal was of those that are kept one by one."""
    found: datetime | None = reader.connection.execute(select(func.min(_DENIED.c.first))).scalar()
    return found


def seen_from_many(
    reader: Reader, since: datetime, until: datetime, after: tuple[str, str] | None
) -> tuple[Mapping[Any, Any], ...]:
    """A page of the certificates that were seen in this time and, ever since they were first seen, from more than one place."""
    order = (_SEEN.c.fingerprint_sha256, _SEEN.c.listener_id)
    statement = select(_SEEN).where(_SEEN.c.last_seen >= since, _SEEN.c.first_seen < until, _SEEN.c.address_count > 1)
    if after is not None:
        later = and_(_SEEN.c.fingerprint_sha256 == after[0], _SEEN.c.listener_id > after[1])
        statement = statement.where(or_(_SEEN.c.fingerprint_sha256 > after[0], later))
    return tuple(reader.connection.execute(statement.order_by(*order).limit(PAGE)).mappings())


def _minute(at: datetime) -> int:
    return int((at - _EPOCH) / timedelta(minutes=1))
