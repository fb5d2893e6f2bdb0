"""What was restored from backups, in SQL: what goes on above which numbers, and what of the past counts no longer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from ostiary.model.fields import Data
from ostiary.store import tables
from ostiary.store.store import Reader, Transaction

# Whoever kept what we said since the backup must not meet its numbers again with another meaning.
_REVISIONS: Final = 1000  # the next round thousand but one: people read them
_STATUS: Final = 1_000_000

_TABLE: Final = tables.restores


@dataclass(frozen=True)
class Restored:
    """One time that all this came out of a backup. `numbers` are those of the lists in it, by authority."""

    id: str
    at: datetime
    made_at: datetime
    backup_sha256: str
    status_sequence: int
    least_number: int
    numbers: dict[str, int]


class Ended(Data):
    """How many of what let people in is gone."""

    sessions: int
    sign_in_links: int


def of(reader: Reader) -> tuple[Restored, ...]:
    """All of them, the first one first."""
    rows = reader.connection.execute(select(_TABLE).order_by(_TABLE.c.at)).mappings()
    return tuple(
        Restored(
            **{
                **row,
                "least_number": int(row["least_number"]),
                "numbers": {name: int(number) for name, number in row["numbers"].items()},
            }
        )
        for row in rows
    )


def least_number(reader: Reader) -> int:
    """What any list that is signed now has to be numbered at least; 0 where nothing was ever restored."""
    return max((int(number) for number in reader.connection.execute(select(_TABLE.c.least_number)).scalars()), default=0)


def put(transaction: Transaction, restored: Restored) -> None:
    """Put one on record."""
    numbers = {name: str(number) for name, number in restored.numbers.items()}
    values = {**vars(restored), "least_number": str(restored.least_number), "numbers": numbers}
    transaction.connection.execute(_TABLE.insert(), values)


def move_on(connection: Connection, at: datetime) -> None:
    """Take revision and status sequence beyond all that was given out after the backup; the gap is a revision of its own.

    How soon gateways have what was said before is not measured any more: they may have had it for long.
    """
    head = tables.head
    number = int(connection.execute(select(head.c.revision)).scalar_one())
    number = (number // _REVISIONS + 2) * _REVISIONS
    connection.execute(tables.revisions.insert().values(number=number, at=at, actor="ostiary", action="backup:restore"))
    connection.execute(head.update().values(revision=number, status_sequence=head.c.status_sequence + _STATUS))
    connection.execute(tables.effect_marks.delete())


def end_visits(transaction: Transaction) -> Ended:
    """Sign everybody out, and have no sign-in link lead anywhere."""
    gone = [int(transaction.connection.execute(table.delete()).rowcount) for table in (tables.sessions, tables.sign_in_links)]
    return Ended(sessions=gone[0], sign_in_links=gone[1])


def is_there(connection: Connection, restore_id: str) -> bool:
    """Whether the restore of this id was committed to this database."""
    found = connection.execute(select(func.count()).select_from(_TABLE).where(_TABLE.c.id == restore_id)).scalar_one()
    return bool(found)
