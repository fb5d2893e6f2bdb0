"""CA certificates as people look for them: one for each name, found by any that work under it, and what hangs on each."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from ostiary.model.authority import Authority
from ostiary.model.query import Page, Query
from ostiary.store import tables
from ostiary.store.kinds import AUTHORITY
from ostiary.store.queries import paged
from ostiary.store.rows import from_row
from ostiary.store.store import Reader

_TABLE: Final = tables.authorities
_DOCUMENT: Final[Any] = _TABLE.c.document
_USES: Final = tables.material_uses
_LENGTH: Final = 64  # of a fingerprint


def page(reader: Reader, query: Query) -> Page[Authority]:
    """One page of the first of each series, where any of the series fits the words of the search: name, subject, fingerprint."""
    member = _TABLE.alias()
    document: Any = member.c.document
    words = [_matches(member, document, word) for word in query.search]
    fits = exists(select(member.c.id).where(member.c.series_id == _TABLE.c.series_id, *words)) if words else None
    conditions = [_is_first(), *([fits] if fits is not None else [])]
    rows, more = paged(reader.connection, AUTHORITY, replace(query, search=()), {}, conditions)
    return Page(tuple(from_row(AUTHORITY, row) for row in rows), more)


def able(reader: Reader, at: datetime, limit: int) -> tuple[Authority, ...]:
    """The first of each series that can sign at this time, or another of the series can; intermediates before roots, by name."""
    member = _TABLE.alias()
    revoked: Any = member.c.document["revoked_at"].as_string()
    signs = and_(func.length(member.c.sealed_key) > 0, member.c.not_after > at, revoked.is_(None))
    statement = (
        select(_TABLE)
        .where(_is_first(), exists(select(member.c.id).where(member.c.series_id == _TABLE.c.series_id, signs)))
        .order_by(_DOCUMENT["kind"].as_string(), func.lower(_TABLE.c.name), _TABLE.c.id)
        .limit(limit)
    )
    return tuple(from_row(AUTHORITY, row) for row in reader.connection.execute(statement).mappings())


def ending(reader: Reader, after: datetime, before: datetime, limit: int) -> tuple[Authority, ...]:
    """Those in force that end between these times, the first to end first."""
    statement = (
        select(_TABLE)
        .where(_TABLE.c.not_after >= after, _TABLE.c.not_after < before, _DOCUMENT["revoked_at"].as_string().is_(None))
        .order_by(_TABLE.c.not_after, _TABLE.c.id)
        .limit(limit)
    )
    return tuple(from_row(AUTHORITY, row) for row in reader.connection.execute(statement).mappings())


def sizes(reader: Reader, series: Iterable[str]) -> dict[str, int]:
    """How many CA certificates there are in each of these series."""
    statement = select(_TABLE.c.series_id, func.count()).where(_TABLE.c.series_id.in_(tuple(series))).group_by(_TABLE.c.series_id)
    return {str(name): int(count) for name, count in reader.connection.execute(statement)}


def holders(reader: Reader, series: Iterable[str]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Who refers to any of each series: (kind, id), each once."""
    statement = (
        select(_TABLE.c.series_id, _USES.c.holder_kind, _USES.c.holder_id)
        .distinct()
        .select_from(_USES.join(_TABLE, _TABLE.c.id == _USES.c.target_id))
        .where(_TABLE.c.series_id.in_(tuple(series)))
        .order_by(_USES.c.holder_kind, _USES.c.holder_id)
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for name, kind, holder_id in reader.connection.execute(statement):
        found.setdefault(str(name), []).append((str(kind), str(holder_id)))
    return {name: tuple(those) for name, those in found.items()}


def users(reader: Reader, authority_ids: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The ids of those that refer to each of these, each once."""
    statement = (
        select(_USES.c.target_id, _USES.c.holder_id)
        .where(_USES.c.target_id.in_(tuple(authority_ids)))
        .order_by(_USES.c.holder_kind, _USES.c.holder_id, _USES.c.field)
    )
    return _grouped(reader.connection.execute(statement))


def together(reader: Reader, series: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The ids of all that are in each of these series, oldest first."""
    statement = (
        select(_TABLE.c.series_id, _TABLE.c.id)
        .where(_TABLE.c.series_id.in_(tuple(series)))
        .order_by(_TABLE.c.created_at, _TABLE.c.id)
    )
    return _grouped(reader.connection.execute(statement))


def _grouped(rows: Iterable[Any]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for name, one in rows:
        found.setdefault(str(name), {})[str(one)] = None
    return {name: tuple(those) for name, those in found.items()}


def below(reader: Reader, authority_ids: Sequence[str], limit: int) -> tuple[Authority, ...]:
    """Authorities that these have signed."""
    statement = select(_TABLE).where(_TABLE.c.parent_id.in_(authority_ids)).order_by(_TABLE.c.created_at).limit(limit)
    return tuple(from_row(AUTHORITY, row) for row in reader.connection.execute(statement).mappings())


def crossed(reader: Reader, authority_ids: Sequence[str], limit: int) -> tuple[Authority, ...]:
    """Their other certificates, signed by other parents."""
    statement = select(_TABLE).where(_DOCUMENT["cross_of"].as_string().in_(authority_ids)).limit(limit)
    return tuple(from_row(AUTHORITY, row) for row in reader.connection.execute(statement).mappings())


def _is_first() -> ColumnElement[bool]:
    """The first of its series, which stands for all of it. A cross-signed certificate is found with the one it is another of."""
    return and_(_TABLE.c.id == _TABLE.c.series_id, _DOCUMENT["cross_of"].as_string().is_(None))


def _matches(table: Any, document: Any, word: str) -> ColumnElement[bool]:
    texts = (table.c.name, document["subject"].as_string())
    places = [func.lower(text).contains(word.lower(), autoescape=True) for text in texts]
    digits = word.lower().replace(":", "")
    if digits and len(digits) <= _LENGTH and set(digits) <= set("0123456789abcdef"):
        places.append(table.c.fingerprint_sha256.startswith(digits))
    return or_(*places, table.c.id.startswith(word, autoescape=True))
