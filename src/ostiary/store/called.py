"""What things are called, many at once: for lists that refer to them."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from ostiary.store.kinds import Kind
from ostiary.store.store import Reader
from ostiary.store.summed import parts


def names(reader: Reader, kind: Kind[Any], ids: Iterable[str]) -> dict[str, str]:
    """By id; the id itself for one without a name. Those that are not there are left out."""
    table = kind.table
    return {
        str(found): str(name) or str(found)
        for some in parts(set(ids))
        for found, name in reader.connection.execute(select(table.c.id, table.c.name).where(table.c.id.in_(some)))
    }
