"""Which ports listeners have, in SQL."""

from sqlalchemy import select

from ostiary.store import tables
from ostiary.store.store import Reader


def taken(reader: Reader) -> tuple[tuple[str, int], ...]:
    """Each listener's address and port."""
    its = tables.listeners.c
    return tuple((row[0], int(row[1])) for row in reader.connection.execute(select(its.address, its.protocol_port)))
