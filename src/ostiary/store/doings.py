"""What the record says was done to one thing, and how often somebody did something."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from ostiary.store import tables
from ostiary.store.store import Reader


def of(reader: Reader, kind: str, resource_id: str) -> tuple[dict[str, Any], ...]:
    """Its entries, oldest first. Those of a change that is being made are among them only once it is committed."""
    table = tables.audit
    statement = select(table.c.entry).where(table.c.resource_id == resource_id).order_by(table.c.sequence)
    entries = (json.loads(text) for text in reader.connection.execute(statement).scalars())
    return tuple(entry for entry in entries if entry["kind"] == kind)


def count(reader: Reader, actor: str, action: str, since: datetime) -> int:
    """How many entries there are of somebody doing that since then."""
    table = tables.audit
    statement = (
        select(func.count()).select_from(table).where(table.c.actor == actor, table.c.action == action, table.c.at >= since)
    )
    return int(reader.connection.execute(statement).scalar_one())
