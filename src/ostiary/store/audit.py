"""Look something up in the record, in SQL. The chain itself is `store.Reader.audit_entries`.

Everything is found by sequence: an index of who, what or on what holds the sequence too, so the newest of many are found without
sorting the many. A time becomes a range of sequences first.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, func, select

from ostiary.model.audit import AuditSearch
from ostiary.store import tables
from ostiary.store.store import AuditRow, Reader

_AUDIT: Final = tables.audit
_SHOWN: Final = select(_AUDIT.c.sequence, _AUDIT.c.entry, _AUDIT.c.previous_hash, _AUDIT.c.hash)
# Entries are in the order in which they were written; by clocks that differ, or were put back, they may seem not to be.
_SKEW: Final = timedelta(hours=1)


def page(
    reader: Reader,
    search: AuditSearch,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
    until: int | None = None,
) -> tuple[AuditRow, ...]:
    """Entries that fit, newest first: the newest before that sequence; with `after`, those that follow next, until `until`."""
    statement = _SHOWN.where(*_asked(reader, search)).limit(limit)
    if after is not None:
        statement = statement.where(_AUDIT.c.sequence > after).order_by(_AUDIT.c.sequence)
    else:
        statement = statement.order_by(_AUDIT.c.sequence.desc())
    if before is not None:
        statement = statement.where(_AUDIT.c.sequence < before)
    if until is not None:
        statement = statement.where(_AUDIT.c.sequence <= until)
    found = tuple(AuditRow(*row) for row in reader.connection.execute(statement))
    return found[::-1] if after is not None else found


def one(reader: Reader, sequence: int) -> AuditRow | None:
    """One entry, by its number."""
    row = reader.connection.execute(_SHOWN.where(_AUDIT.c.sequence == sequence)).first()
    return None if row is None else AuditRow(*row)


def actions(reader: Reader) -> tuple[str, ...]:
    """The actions on record, each found from the one before it: as many steps as there are actions, however many entries."""
    found = select(func.min(_AUDIT.c.action).label("action")).cte("found", recursive=True)
    following = select(func.min(_AUDIT.c.action)).where(_AUDIT.c.action > found.c.action).scalar_subquery()
    found = found.union_all(select(following).where(found.c.action.is_not(None)))
    return tuple(reader.connection.execute(select(found.c.action).where(found.c.action.is_not(None))).scalars())


def _asked(reader: Reader, search: AuditSearch) -> Iterable[ColumnElement[bool]]:
    for name in ("actor", "action", "resource_id"):
        if (value := getattr(search, name)) is not None:
            yield _AUDIT.c[name] == value
    yield from _within(reader, search.since, search.until)


def _within(reader: Reader, since: datetime | None, until: datetime | None) -> Iterator[ColumnElement[bool]]:
    """These times, and between which entries they can only be: what is far enough before or after ends the range."""
    if since is not None:
        yield _AUDIT.c.at >= since
        before = select(_AUDIT.c.sequence).where(_AUDIT.c.at < since - _SKEW).order_by(_AUDIT.c.at.desc()).limit(1)
        if (found := reader.connection.execute(before).scalar()) is not None:
            yield _AUDIT.c.sequence > found
    if until is not None:
        yield _AUDIT.c.at < until
        after = select(_AUDIT.c.sequence).where(_AUDIT.c.at >= until + _SKEW).order_by(_AUDIT.c.at).limit(1)
        if (found := reader.connection.execute(after).scalar()) is not None:
            yield _AUDIT.c.sequence < found
