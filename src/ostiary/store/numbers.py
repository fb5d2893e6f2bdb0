"""What gateways counted, as it was added up, in SQL: so that it goes on where it was when a control plane starts again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select

from ostiary.store import tables
from ostiary.store.store import Reader, Transaction

_NUMBERS: Final = tables.gateway_numbers


def kept(reader: Reader, gateway_id: str) -> dict[str, Any] | None:
    """What was written last; None before that."""
    found = reader.connection.execute(select(_NUMBERS.c.document).where(_NUMBERS.c.gateway_id == gateway_id)).scalar()
    return None if found is None else dict(found)


def keep(transaction: Transaction, gateway_id: str, at: datetime, document: Mapping[str, Any]) -> None:
    """In place of what was written before."""
    transaction.connection.execute(_NUMBERS.delete().where(_NUMBERS.c.gateway_id == gateway_id))
    transaction.connection.execute(_NUMBERS.insert().values(gateway_id=gateway_id, at=at, document=dict(document)))


def forget(transaction: Transaction, before: datetime) -> int:
    """Delete what is that old: of gateways that are no more. How many they were."""
    return int(transaction.connection.execute(_NUMBERS.delete().where(_NUMBERS.c.at < before)).rowcount)
