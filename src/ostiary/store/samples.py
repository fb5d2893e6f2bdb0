"""Some of the certificates that were issued in a time, by chance, in SQL."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select

from ostiary.store import tables
from ostiary.store.store import Reader

_TABLE = tables.certificates


def certificates_issued(reader: Reader, since: datetime, until: datetime, at_most: int) -> Mapping[str, str]:
    """Certificate (PEM) by id, all of that time or as many as wanted, each as likely as any other."""
    # Chosen by id first: their documents would all be read to be thrown away again.
    chosen = select(_TABLE.c.id).where(_TABLE.c.created_at >= since, _TABLE.c.created_at < until)
    chosen = chosen.order_by(func.random()).limit(at_most)
    rows = reader.connection.execute(select(_TABLE.c.id, _TABLE.c.document).where(_TABLE.c.id.in_(chosen)))
    return {row.id: row.document["certificate"] for row in rows}
