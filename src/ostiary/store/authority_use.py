"""How much authorities are used: live certificates and when one was last shown, counted in SQL."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from ostiary.store import tables
from ostiary.store.store import Reader

_TABLE = tables.certificates


@dataclass(frozen=True)
class Use:
    """`live` certificates are neither revoked nor on hold nor expired; `last_seen` is of any of them."""

    live: int = 0
    last_seen: datetime | None = None


def of_series(reader: Reader, series: Iterable[str], at: datetime) -> dict[str, Use]:
    """By series, that is by what issues under one name. One that never issued is left out."""
    named = tables.authorities.c.series_id
    live = func.count().filter(_TABLE.c.revoked_at.is_(None), _TABLE.c.not_after > at)
    statement = (
        select(named, live, func.max(_TABLE.c.last_seen))
        .select_from(_TABLE.join(tables.authorities, tables.authorities.c.id == _TABLE.c.authority_id))
        .where(named.in_(tuple(series)))
        .group_by(named)
    )
    return {str(name): Use(int(count), last) for name, count, last in reader.connection.execute(statement)}
