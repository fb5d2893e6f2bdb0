"""A few numbers about everything, counted in SQL."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select

from ostiary.store import tables
from ostiary.store.store import Reader

_SEEN: Final = tables.sightings
_MODE: Final[Any] = tables.listeners.c.document["client_authentication"]


def listeners(reader: Reader) -> tuple[int, int]:
    """How many listeners there are, and how many of them ask for client certificates."""
    asking = func.count().filter(_MODE.as_string() != "NONE")
    every, some = reader.connection.execute(select(func.count(), asking).select_from(tables.listeners)).one()
    return int(every), int(some)


def clients_since(reader: Reader, at: datetime) -> int:
    """How many client certificates were let in since then, wherever."""
    statement = select(func.count(_SEEN.c.fingerprint_sha256.distinct())).where(_SEEN.c.last_seen >= at)
    return int(reader.connection.execute(statement).scalar_one())


def crowded_since(reader: Reader, at: datetime) -> int:
    """How many certificates were used from too many places since then."""
    statement = select(func.count(_SEEN.c.fingerprint_sha256.distinct())).where(_SEEN.c.crowded_at > at)
    return int(reader.connection.execute(statement).scalar_one())
