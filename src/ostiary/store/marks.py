"""How far each gateway has told what it tells in batches, in SQL."""

from typing import Any, Final

from sqlalchemy import Column, select

from ostiary.store import tables
from ostiary.store.store import Reader, Transaction

_MARKS: Final = tables.gateway_marks
SEEN: Final = _MARKS.c.sequence
DENIED: Final = _MARKS.c.denied
REHEARSED: Final = _MARKS.c.rehearsed


def mark(reader: Reader, gateway_id: str, of: "Column[Any]") -> int:
    """The number of the last batch of this gateway that is on record; 0 before the first."""
    return int(reader.connection.execute(select(of).where(_MARKS.c.gateway_id == gateway_id)).scalar() or 0)


def set_mark(transaction: Transaction, gateway_id: str, of: "Column[Any]", sequence: int) -> None:
    """This batch is on record."""
    done = transaction.connection.execute(_MARKS.update().where(_MARKS.c.gateway_id == gateway_id).values({of: sequence}))
    if not done.rowcount:
        news = {"sequence": 0, "denied": 0, "rehearsed": 0, of.name: sequence}
        transaction.connection.execute(_MARKS.insert().values(gateway_id=gateway_id, **news))
