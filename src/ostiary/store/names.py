"""Names of things by their ids, in one question."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from ostiary.store.kinds import Kind
from ostiary.store.store import Reader
from ostiary.store.summed import parts


def of(reader: Reader, kind: Kind[Any], ids: Iterable[str]) -> dict[str, str | None]:
    """By id; the id itself for one without a name, None for one that is not there."""
    table = kind.table
    wanted = dict.fromkeys(ids)
    found = {
        row.id: row.name or row.id
        for some in parts(wanted)
        for row in reader.connection.execute(select(table.c.id, table.c.name).where(table.c.id.in_(some)))
    }
    return {one: found.get(one) for one in wanted}
