"""All tables as lines of JSON, and back: one form for SQLite and PostgreSQL, streamed, exact in every type.

A table is `{"table": name, "columns": [[name, kind], …]}`, a line for each row, and `{"rows": how many}`. Tables come in the
order in which they depend on each other. A column's kind says how its values are written: text, int, bool and json as they are,
bytes in base64, time in ISO 8601 with its zone.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    func,
    inspect,
    select,
    type_coerce,
)
from sqlalchemy.exc import DBAPIError

from ostiary.errors import Conflict, Invalid, Unavailable
from ostiary.store import tables, words
from ostiary.store.engine import bring, newest, versions
from ostiary.store.restores import is_there, move_on
from ostiary.store.store import Facts, Reader

FIELD: Final = "file"

_ROWS_AT_ONCE: Final = 500
_OCTETS_AT_ONCE: Final = 8 * 1024 * 1024
_ALEMBIC: Final = "alembic_version"


@dataclass(frozen=True)
class _Written:
    """How one kind of column is kept in a database, and how its values are written and read."""

    sql: Callable[[], Any]
    writes: Callable[[Any], Any]
    reads: Callable[[Any], Any]


def _time(value: Any) -> datetime:
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError(value)
    return at


def _is(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(value)
        return value

    return read


def _as_it_is(value: Any) -> Any:
    return value


_KINDS: Final[dict[str, _Written]] = {
    "text": _Written(Text, _as_it_is, _is(str)),
    "int": _Written(BigInteger, _as_it_is, _is(int)),
    "bool": _Written(Boolean, _as_it_is, _is(bool)),
    "json": _Written(lambda: tables.Document, _as_it_is, _as_it_is),
    "bytes": _Written(
        LargeBinary,
        lambda value: base64.b64encode(value).decode("ascii"),
        lambda value: base64.b64decode(value, validate=True),
    ),
    "time": _Written(tables.UTCDateTime, datetime.isoformat, _time),
}
_BY_TYPE: Final = (
    (tables.UTCDateTime, "time"),
    (tables.TextList, "text"),
    (JSON, "json"),
    (Boolean, "bool"),
    (Integer, "int"),
    (LargeBinary, "bytes"),
    (DateTime, "time"),
)


def lines(reader: Reader) -> Iterator[bytes]:
    """Every table, as of one moment. In PostgreSQL too, rows are fetched as they are asked for."""
    for table in tables.metadata.sorted_tables:
        kinds = [_kind(column.type) for column in table.columns]
        yield _line({"table": table.name, "columns": [[c.name, kind] for c, kind in zip(table.columns, kinds, strict=True)]})
        # Lists of words are read as the text that they are kept as.
        shown = [type_coerce(c, Text) if kind == "text" else c for c, kind in zip(table.columns, kinds, strict=True)]
        statement = select(*shown).order_by(*table.primary_key).execution_options(yield_per=_ROWS_AT_ONCE)
        writes = [_KINDS[kind].writes for kind in kinds]
        count = 0
        for row in reader.connection.execute(statement):
            count += 1
            yield _line([None if value is None else write(value) for write, value in zip(writes, row, strict=True)])
        yield _line({"rows": count})


def counts(reader: Reader) -> dict[str, int]:
    """How many rows each table has."""
    return {
        table.name: int(reader.connection.execute(select(func.count()).select_from(table)).scalar_one())
        for table in tables.metadata.sorted_tables
    }


def schema() -> str:
    """The migration that what `lines` gives is at."""
    return newest()


def refuse_unless_empty(engine: Engine) -> None:
    """`Conflict` for a database that holds anything, naming some of it."""
    try:
        with engine.connect() as connection:
            held = sorted(inspect(connection).get_table_names())
    except DBAPIError as error:
        why = str(error.orig).strip().partition("\n")[0]
        raise Unavailable(f"--database: it cannot be used: {why}") from error
    if held:
        some = f"{', '.join(held[:3])}{', …' if held[3:] else ''}"
        raise Conflict(
            f"the database is not empty: it has {len(held)} tables ({some}). A backup is restored into an empty one only: "
            "give another --database, or move what is there aside first."
        )


def holds_restore(engine: Engine, restore_id: str) -> bool:
    """Whether the database holds what the restore of this id was to fill it with. A transaction filled it, or did not."""
    try:
        with engine.connect() as connection:
            return inspect(connection).has_table(tables.restores.name) and is_there(connection, restore_id)
    except DBAPIError as error:
        why = str(error.orig).strip().partition("\n")[0]
        raise Unavailable(f"--database: it cannot be used: {why}") from error


@contextmanager
def filled(engine: Engine, at_schema: str, given: Iterable[bytes], at: datetime) -> Iterator[Facts]:
    """A database made from lines, at the newest schema, in one transaction that is committed when the block ends.

    The tables are made as they were when the lines were written; the migrations since then bring them, and what is in them,
    forward. Revision and status sequence are moved on. Raises `Invalid` for lines that are not what `lines` gives.
    """
    if at_schema not in versions():
        raise Invalid(FIELD, f"a newer ostiary made it (its schema is {at_schema[:16]!r}); use that one, or a newer one still.")
    try:
        with engine.execution_options(writes=True).begin() as connection:
            bring(connection, at_schema)
            _fill(connection, given)
            if at_schema != newest():
                bring(connection, "head")
            words.keep(connection)  # once everything is there: in one go, not row by row
            move_on(connection, at)
            facts = Facts(connection, at)
            yield facts
            facts.close()
    except DBAPIError as error:
        why = str(error.orig).strip().partition("\n")[0]
        raise Unavailable(f"--database: it does not take what the backup holds: {why}") from error


def _fill(connection: Connection, given: Iterable[bytes]) -> None:
    inspector = inspect(connection)
    missing = set(inspector.get_table_names()) - {_ALEMBIC}
    rest = iter(given)
    for line in rest:
        name, kinds = _beginning(_read(line))
        if name not in missing or {one["name"]: _kind(one["type"]) for one in inspector.get_columns(name)} != kinds:
            raise Invalid(FIELD, f"it holds a table that this schema does not have as it is there: {name[:64]!r}.")
        missing.remove(name)
        filling = _Filling(connection, name, kinds, _own_references(inspector, name))
        filling.all(rest)
    if missing:
        raise Invalid(FIELD, f"it lacks the table {min(missing)}.")


def _own_references(inspector: Any, name: str) -> tuple[str, ...]:
    """The columns of a table that refer to rows of that same table, which may come later."""
    own = (key for key in inspector.get_foreign_keys(name) if key["referred_table"] == name)
    return tuple(column for key in own for column in key["constrained_columns"])


class _Filling:
    """One table being filled."""

    def __init__(self, connection: Connection, name: str, kinds: dict[str, str], later: tuple[str, ...]) -> None:
        self._connection = connection
        self._table = Table(name, MetaData(), *(Column(column, _KINDS[kind].sql()) for column, kind in kinds.items()))
        self._names = list(kinds)
        self._reads = [_KINDS[kind].reads for kind in kinds.values()]
        self._later = later
        self._referring: list[dict[str, Any]] = []
        self._batch: list[dict[str, Any]] = []
        self._octets = 0

    def all(self, given: Iterator[bytes]) -> None:
        """Take its rows, up to the line that says how many they were."""
        self._connection.execute(self._table.delete())  # what a migration put in is in the backup
        count = 0
        for line in given:
            said = _read(line)
            if isinstance(said, list):
                count += 1
                self._take(said, len(line))
                continue
            if said != {"rows": count}:
                raise Invalid(FIELD, f"the table {self._table.name} in it does not have as many rows as it says.")
            break
        else:
            raise Invalid(FIELD, f"it ends within the table {self._table.name}.")
        self._insert()
        self._refer()
        self._count_on()

    def _take(self, row: list[Any], octets: int) -> None:
        if len(row) != len(self._names):
            raise _unreadable()
        try:
            values = [None if value is None else read(value) for read, value in zip(self._reads, row, strict=True)]
        except (ValueError, TypeError):
            raise Invalid(FIELD, f"a row of the table {self._table.name} in it cannot be read.") from None
        made = dict(zip(self._names, values, strict=True))
        if any(made[column] is not None for column in self._later):
            self._referring.append({"its_id": made["id"], **{column: made[column] for column in self._later}})
            made |= dict.fromkeys(self._later)
        self._batch.append(made)
        self._octets += octets
        if len(self._batch) >= _ROWS_AT_ONCE or self._octets >= _OCTETS_AT_ONCE:
            self._insert()

    def _insert(self) -> None:
        if self._batch:
            self._connection.execute(self._table.insert(), self._batch)
        self._batch, self._octets = [], 0

    def _refer(self) -> None:
        if self._referring:
            row = self._table.c.id == bindparam("its_id")
            self._connection.execute(self._table.update().where(row), self._referring)

    def _count_on(self) -> None:
        """A column that PostgreSQL numbers by itself goes on after what is there."""
        if self._connection.dialect.name != "postgresql":
            return
        for name in self._names:
            counter = self._connection.execute(select(func.pg_get_serial_sequence(self._table.name, name))).scalar()
            most = self._connection.execute(select(func.max(self._table.c[name]))).scalar() if counter else None
            if most is not None:
                self._connection.execute(select(func.setval(counter, most)))


def _beginning(said: Any) -> tuple[str, dict[str, str]]:
    """A table's name, and its columns with their kinds."""
    try:
        name, columns = said["table"], [(column, kind) for column, kind in said["columns"]]
        if type(name) is str and all(type(column) is str and kind in _KINDS for column, kind in columns):
            return name, dict(columns)
    except (ValueError, TypeError, KeyError):
        pass
    raise _unreadable()


def _kind(of: Any) -> str:
    """How the values of a column of this type are written."""
    return next((kind for known, kind in _BY_TYPE if isinstance(of, known)), "text")


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _read(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise _unreadable() from None


def _unreadable() -> Invalid:
    return Invalid(FIELD, "a line in it cannot be read; it was not made by ostiary backup, or by a damaged one.")
