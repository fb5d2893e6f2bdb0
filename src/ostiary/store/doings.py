"""What the record says was done to one thing."""

import json
from typing import Any

from sqlalchemy import select

from ostiary.store import tables
from ostiary.store.store import Reader


def of(reader: Reader, kind: str, resource_id: str) -> tuple[dict[str, Any], ...]:
    """Its entries, oldest first. Those of a change that is being made are among them only once it is committed."""
    table = tables.audit
    statement = select(table.c.entry).where(table.c.resource_id == resource_id).order_by(table.c.sequence)
    entries = (json.loads(text) for text in reader.connection.execute(statement).scalars())
    return tuple(entry for entry in entries if entry["kind"] == kind)
