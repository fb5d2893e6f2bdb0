"""What a monitoring system is told of, read in few and cheap statements: it asks every few seconds."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import func, select

from ostiary.store import tables
from ostiary.store.store import Reader

MOST_AUTHORITIES: Final = 500  # told apart, those that end first before others
_AUTHORITIES: Final = tables.authorities
_LISTS: Final = tables.crls


class AuthorityEnds(NamedTuple):
    """An authority that was not revoked, and its list; None where there is none."""

    id: str
    name: str
    not_after: datetime
    list_signed_at: datetime | None
    list_ends_at: datetime | None


def authorities(reader: Reader) -> tuple[AuthorityEnds, ...]:
    """Those that were not revoked, the first to end before the others."""
    columns, lists = _AUTHORITIES.c, _LISTS.c
    revoked: Any = columns.document["revoked_at"].as_string()
    joined = _AUTHORITIES.outerjoin(_LISTS, (lists.authority_id == columns.id) & (lists.kind == "complete"))
    statement = (
        select(columns.id, columns.name, columns.not_after, lists.this_update, lists.next_update)
        .select_from(joined)
        .where(revoked.is_(None))
        .order_by(columns.not_after, columns.id)
        .limit(MOST_AUTHORITIES)
    )
    return tuple(AuthorityEnds(*row) for row in reader.connection.execute(statement))


def listeners(reader: Reader) -> dict[str, str]:
    """The name of each listener, by its id."""
    table = tables.listeners
    return {str(one): str(name) for one, name in reader.connection.execute(select(table.c.id, table.c.name))}


def sessions(reader: Reader, at: datetime) -> int:
    """How many are signed in to the console."""
    table = tables.sessions
    statement = select(func.count()).select_from(table).where(table.c.expires_at > at)
    return int(reader.connection.execute(statement).scalar_one())


def last_backup(reader: Reader) -> datetime | None:
    """When the last backup was finished, as far as the record goes back."""
    table = tables.audit
    statement = select(table.c.at).where(table.c.action == "backup:finish").order_by(table.c.sequence.desc()).limit(1)
    return reader.connection.execute(statement).scalar()


def last_entry(reader: Reader) -> tuple[int, datetime | None]:
    """The number of the record's last entry, and when it was made."""
    number, _ = reader.audit_head()
    statement = select(tables.audit.c.at).where(tables.audit.c.sequence == number)
    return number, reader.connection.execute(statement).scalar()
