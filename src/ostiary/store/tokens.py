"""Tokens by their age: what SQL answers at once, however many there are."""

from datetime import datetime

from sqlalchemy import select

from ostiary.store import tables
from ostiary.store.store import Reader


def expired_before(reader: Reader, at: datetime) -> tuple[str, ...]:
    """The ids of the tokens that were good for nothing any more by then."""
    table = tables.tokens
    return tuple(reader.connection.execute(select(table.c.id).where(table.c.expires_at < at)).scalars())
