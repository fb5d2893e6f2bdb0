"""Sessions and sign-in links by their time, in SQL."""

from datetime import datetime

from sqlalchemy import or_, select

from ostiary.store import tables
from ostiary.store.store import Reader, Transaction

_SESSIONS = tables.sessions
_LINKS = tables.sign_in_links


def seen(transaction: Transaction, session_id: str, at: datetime) -> None:
    """It is used still. No person changed anything, so the record says nothing of it; one that is gone stays gone."""
    transaction.connection.execute(_SESSIONS.update().where(_SESSIONS.c.id == session_id).values(seen_at=at))


def over(reader: Reader, at: datetime, unused_since: datetime) -> tuple[str, ...]:
    """The ids of sessions whose time is over, or that nobody used since then."""
    done = or_(_SESSIONS.c.expires_at <= at, _SESSIONS.c.seen_at <= unused_since)
    return tuple(reader.connection.execute(select(_SESSIONS.c.id).where(done)).scalars())


def links_over(reader: Reader, at: datetime) -> tuple[str, ...]:
    """The ids of links that nobody followed in time."""
    return tuple(reader.connection.execute(select(_LINKS.c.id).where(_LINKS.c.expires_at <= at)).scalars())
