"""How much came through each listener, and what was refused, in SQL: rows of a minute, which become rows of an hour in time."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from ostiary.model.traffic import Counts, Refused
from ostiary.store import tables
from ostiary.store.store import Reader, Transaction

_TRAFFIC: Final = tables.traffic
_REFUSALS: Final = tables.traffic_refusals
_MARKS: Final = tables.traffic_marks
_MINUTE: Final = 1  # the spans of rows, in minutes
_HOUR: Final = 60

Row = dict[str, Any]


def add(transaction: Transaction, counts: Mapping[tuple[int, str], Counts]) -> None:
    """Add what was counted, by minute and listener."""
    rows = ({"minute": minute, "listener_id": listener_id, **one._asdict()} for (minute, listener_id), one in counts.items())
    _add(transaction, _TRAFFIC, [{"span": _MINUTE, **row} for row in rows])


def refused(transaction: Transaction, counts: Mapping[Refused, int]) -> None:
    """Add refusals."""
    _add(transaction, _REFUSALS, [{"span": _MINUTE, **which._asdict(), "count": count} for which, count in counts.items()])


def counted(reader: Reader, listener_id: str, since: int, until: int, step: int) -> dict[int, Counts]:
    """What was counted from minute `since` to before `until`, by the number of the step."""
    step_number = _step(_TRAFFIC, since, step)
    summed = (func.sum(_TRAFFIC.c[name]) for name in Counts._fields)
    statement = select(step_number, *summed).where(*_within(_TRAFFIC, listener_id, since, until)).group_by(step_number)
    return {int(number): Counts(*map(int, found)) for number, *found in reader.connection.execute(statement)}


def refused_by_code(reader: Reader, listener_id: str, since: int, until: int, step: int) -> dict[tuple[int, str], int]:
    """What was refused, by the number of the step and the code."""
    step_number = _step(_REFUSALS, since, step)
    statement = (
        select(step_number, _REFUSALS.c.code, func.sum(_REFUSALS.c.count))
        .where(*_within(_REFUSALS, listener_id, since, until))
        .group_by(step_number, _REFUSALS.c.code)
    )
    return {(int(number), code): int(count) for number, code, count in reader.connection.execute(statement)}


def roll_up(transaction: Transaction, before: int) -> int:
    """Add the rows of minutes before that one to those of their hours; says how many rows were taken in."""
    return sum(_rolled_up(transaction, table, before) for table in (_TRAFFIC, _REFUSALS))


def forget(transaction: Transaction, before: int) -> int:
    """Delete the hours that began before that minute; says how many rows."""
    old = (table.delete().where(table.c.span == _HOUR, table.c.minute < before) for table in (_TRAFFIC, _REFUSALS))
    return sum(int(transaction.connection.execute(one).rowcount) for one in old)


def oldest(reader: Reader) -> int | None:
    """The oldest minute that is no part of an hour yet; None where there is none."""
    found = (
        reader.connection.execute(select(func.min(table.c.minute)).where(table.c.span == _MINUTE)).scalar()
        for table in (_TRAFFIC, _REFUSALS)
    )
    return min((int(one) for one in found if one is not None), default=None)


def mark(reader: Reader, gateway_id: str) -> tuple[datetime, dict[str, Any]] | None:
    """What was last taken from a gateway's counters, and when; None before the first."""
    row = reader.connection.execute(select(_MARKS.c.at, _MARKS.c.document).where(_MARKS.c.gateway_id == gateway_id)).first()
    return None if row is None else (row[0], row[1])


def set_mark(transaction: Transaction, gateway_id: str, at: datetime, document: Mapping[str, Any]) -> None:
    """A gateway's counters are in there as far as this."""
    values = {"at": at, "document": document}
    done = transaction.connection.execute(_MARKS.update().where(_MARKS.c.gateway_id == gateway_id).values(**values))
    if not done.rowcount:
        transaction.connection.execute(_MARKS.insert().values(gateway_id=gateway_id, **values))


def _add(transaction: Transaction, table: Table, rows: list[Row]) -> None:
    if rows:
        transaction.connection.execute(_adding(transaction, table), rows)


def _adding(transaction: Transaction, table: Table) -> Any:
    """An INSERT that adds to the row where there is one."""
    dialect: Any = postgresql if transaction.connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(table)
    return insert.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={name: table.c[name] + insert.excluded[name] for name in _summed(table)}
    )


def _rolled_up(transaction: Transaction, table: Table, before: int) -> int:
    # As literals: PostgreSQL does not see that two parameters are one.
    hour = table.c.minute - table.c.minute % literal(_HOUR, literal_execute=True)
    others = [column for column in table.primary_key if column.name not in {"minute", "span"}]
    summed = [func.sum(table.c[name]) for name in _summed(table)]
    old = (table.c.span == _MINUTE, table.c.minute < before)
    hours = select(hour, literal(_HOUR), *others, *summed).where(*old).group_by(hour, *others)
    names = ["minute", "span", *(column.name for column in others), *_summed(table)]
    transaction.connection.execute(_adding(transaction, table).from_select(names, hours))
    return int(transaction.connection.execute(table.delete().where(*old)).rowcount)


def _summed(table: Table) -> Iterator[str]:
    return (column.name for column in table.columns if not column.primary_key)


def _step(table: Table, since: int, step: int) -> ColumnElement[int]:
    return (table.c.minute - literal(since, literal_execute=True)) // literal(step, literal_execute=True)


def _within(table: Table, listener_id: str, since: int, until: int) -> tuple[ColumnElement[bool], ...]:
    return table.c.listener_id == listener_id, table.c.minute >= since, table.c.minute < until
