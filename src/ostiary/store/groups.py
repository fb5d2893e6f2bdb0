"""Which groups there are: those that a certificate on record is in, and those that a grant will put one in."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, select

from ostiary.store import tables
from ostiary.store.queries import holds
from ostiary.store.store import Reader


def unknown(reader: Reader, names: Iterable[str]) -> tuple[str, ...]:
    """Those of these groups that nobody is in, and that no grant speaks of."""
    return tuple(name for name in dict.fromkeys(names) if not _has_members(reader, name) and not _is_promised(reader, name))


def _has_members(reader: Reader, name: str) -> bool:
    column = tables.certificates.c.groups
    return _is_among(reader, column, holds(column, name), name)


def _is_promised(reader: Reader, name: str) -> bool:
    grants = tables.tokens.c.kind == "enrolment"
    found = reader.connection.execute(select(tables.tokens.c.document).where(grants)).scalars()
    return any(name in (document.get("groups") or ()) for document in found)


def _is_among(reader: Reader, column: ColumnElement[tuple[str, ...]], likely: ColumnElement[bool], name: str) -> bool:
    """Looked at once more one by one: LIKE does not tell `Field` from `field` in SQLite."""
    statement = select(column).where(likely).distinct().execution_options(yield_per=100)
    with reader.connection.execute(statement) as rows:  # closed, for it is not read to its end
        return any(name in groups for (groups,) in rows)
