"""How many things hang on each of others, in one question."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select

from ostiary.store.kinds import Kind
from ostiary.store.store import Reader
from ostiary.store.summed import parts


def counts(reader: Reader, kind: Kind[Any], column: str, ids: Iterable[str]) -> dict[str, int]:
    """How many of a kind have each of these ids in that column; those on which none hangs are left out."""
    above = kind.table.c[column]
    return {
        str(one): int(count)
        for some in parts(dict.fromkeys(ids))
        for one, count in reader.connection.execute(select(above, func.count()).where(above.in_(some)).group_by(above))
    }
