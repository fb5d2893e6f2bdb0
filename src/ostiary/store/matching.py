"""Which certificates are meant: those for one key, or those that are revoked together."""

from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select

from ostiary.model.authority import Certificate
from ostiary.model.revocation import HOLD, Matching
from ostiary.store import tables
from ostiary.store.kinds import CERTIFICATE
from ostiary.store.queries import holds
from ostiary.store.rows import from_row
from ostiary.store.store import Reader

_TABLE = tables.certificates
_WITH_KEY = select(_TABLE).where(_TABLE.c.key_sha256 == bindparam("key")).order_by(_TABLE.c.created_at, _TABLE.c.id)


def with_key(reader: Reader, key_sha256: str) -> tuple[Certificate, ...]:
    """Every certificate for this key, oldest first. Asked for each certificate that is issued: the statement is made once."""
    rows = reader.connection.execute(_WITH_KEY, {"key": key_sha256}).mappings()
    return tuple(from_row(CERTIFICATE, row) for row in rows)


def count(reader: Reader, which: Matching) -> int:
    """How many certificates match that are not revoked, or only on hold."""
    statement = select(func.count()).select_from(_TABLE).where(*_conditions(which))
    return int(reader.connection.execute(statement).scalar_one())


def first(reader: Reader, which: Matching, limit: int) -> tuple[Certificate, ...]:
    """The first of them, oldest first."""
    statement = select(_TABLE).where(*_conditions(which)).order_by(_TABLE.c.created_at, _TABLE.c.id).limit(limit)
    return tuple(from_row(CERTIFICATE, row) for row in reader.connection.execute(statement).mappings())


def ids(reader: Reader, which: Matching) -> tuple[str, ...]:
    """The ids of all of them."""
    statement = select(_TABLE.c.id).where(*_conditions(which)).order_by(_TABLE.c.created_at, _TABLE.c.id)
    return tuple(reader.connection.execute(statement).scalars())


def _conditions(which: Matching) -> list[ColumnElement[bool]]:
    reason: Any = _TABLE.c.document["revocation_reason"].as_string()
    found: list[ColumnElement[bool]] = [_TABLE.c.revoked_at.is_(None) | (reason == HOLD)]
    if which.authority_id is not None:
        # An authority is all the issuing CAs that work under its name.
        series = select(tables.authorities.c.series_id).where(tables.authorities.c.id == which.authority_id)
        same = select(tables.authorities.c.id).where(tables.authorities.c.series_id.in_(series))
        found.append(_TABLE.c.authority_id.in_(same))
    if which.owner is not None:
        found.append(_TABLE.c.owner == which.owner)
    if which.group is not None:
        found.append(holds(_TABLE.c.groups, which.group))
    if which.profile is not None:
        found.append(_TABLE.c.profile == which.profile)
    if which.issued_after is not None:
        found.append(_TABLE.c.created_at >= which.issued_after)
    if which.issued_before is not None:
        found.append(_TABLE.c.created_at < which.issued_before)
    return found
