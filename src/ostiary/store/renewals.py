"""What a certificate renewed, and what renewed it."""

from typing import Final

from sqlalchemy import select

from ostiary.model.authority import Certificate
from ostiary.store import tables
from ostiary.store.kinds import CERTIFICATE
from ostiary.store.rows import from_row
from ostiary.store.store import Reader

_TABLE: Final = tables.certificates


def before(reader: Reader, certificate: Certificate, limit: int) -> tuple[Certificate, ...]:
    """What it renewed, and what that one renewed, and so on, the newest first."""
    found: list[Certificate] = []
    current: Certificate | None = certificate
    while current is not None and current.replaces is not None and len(found) < limit:
        current = reader.get(CERTIFICATE, current.replaces)
        found += [current] if current is not None else []
    return tuple(found)


def after(reader: Reader, certificate: Certificate, limit: int) -> tuple[Certificate, ...]:
    """What renewed it, the oldest first."""
    statement = select(_TABLE).where(_TABLE.c.replaces == certificate.id).order_by(_TABLE.c.created_at, _TABLE.c.id).limit(limit)
    return tuple(from_row(CERTIFICATE, row) for row in reader.connection.execute(statement).mappings())
