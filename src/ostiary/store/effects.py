"""How soon changes were in force at each gateway, and how far each gateway is measured, in SQL."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import and_, select

from ostiary.model.effect import Changed, Effect
from ostiary.store import tables
from ostiary.store.store import Reader, Transaction

_EFFECTS: Final = tables.effects
_MARKS: Final = tables.effect_marks


@dataclass(frozen=True)
class Mark:
    """A configuration, by what it holds: everything up to this revision and this status sequence."""

    revision: int
    status: int


def mark(reader: Reader, gateway_id: str) -> Mark | None:
    """How far this gateway is measured; None when it never was."""
    row = reader.connection.execute(
        select(_MARKS.c.revision, _MARKS.c.status_sequence).where(_MARKS.c.gateway_id == gateway_id)
    ).first()
    return None if row is None else Mark(int(row[0]), int(row[1]))


def set_mark(transaction: Transaction, gateway_id: str, reached: Mark) -> None:
    """It is measured as far as this."""
    values = {"revision": reached.revision, "status_sequence": reached.status}
    done = transaction.connection.execute(_MARKS.update().where(_MARKS.c.gateway_id == gateway_id).values(**values))
    if not done.rowcount:
        transaction.connection.execute(_MARKS.insert().values(gateway_id=gateway_id, **values))


def revocations(reader: Reader, after: int, upto: int, limit: int) -> list[tuple[int, datetime]]:
    """Sequence and time of the revocations, holds and releases between, in order; of those that were not changed again since."""
    revoked, authorities = tables.revocations, tables.authorities
    statement = (
        # Authority by authority, because that is how they are indexed.
        select(revoked.c.sequence, revoked.c.revoked_at)
        .select_from(authorities.join(revoked, revoked.c.authority_id == authorities.c.id))
        .where(revoked.c.sequence > after, revoked.c.sequence <= upto)
        .order_by(revoked.c.sequence)
        .limit(limit)
    )
    return [(int(sequence), at) for sequence, at in reader.connection.execute(statement)]


def revisions(reader: Reader, after: int, upto: int, limit: int) -> list[tuple[int, datetime]]:
    """Number and time of the revisions between, in order."""
    table = tables.revisions
    statement = (
        select(table.c.number, table.c.at)
        .where(table.c.number > after, table.c.number <= upto)
        .order_by(table.c.number)
        .limit(limit)
    )
    return [(int(number), at) for number, at in reader.connection.execute(statement)]


def add(transaction: Transaction, effects: Iterable[Effect]) -> None:
    """Put these on record."""
    if rows := [one.model_dump() for one in effects]:
        transaction.connection.execute(_EFFECTS.insert(), rows)


def of(reader: Reader, changed: Changed, number: int) -> tuple[Effect, ...]:
    """When one change was in force, gateway by gateway."""
    statement = select(_EFFECTS).where(_EFFECTS.c.changed == changed, _EFFECTS.c.number == number).order_by(_EFFECTS.c.gateway_id)
    return tuple(Effect.model_validate(dict(row)) for row in reader.connection.execute(statement).mappings())


def of_revisions(reader: Reader, numbers: Iterable[int]) -> dict[int, tuple[Effect, ...]]:
    """When each of these revisions was in force, gateway by gateway; those that no gateway has yet are left out."""
    wanted = and_(_EFFECTS.c.changed == "revision", _EFFECTS.c.number.in_(tuple(numbers)))
    found: dict[int, list[Effect]] = {}
    for row in reader.connection.execute(select(_EFFECTS).where(wanted).order_by(_EFFECTS.c.gateway_id)).mappings():
        found.setdefault(int(row["number"]), []).append(Effect.model_validate(dict(row)))
    return {number: tuple(those) for number, those in found.items()}


def of_revocation(reader: Reader, authority_id: str, serial: str) -> tuple[Effect, ...]:
    """When what was last said of a certificate was in force, gateway by gateway."""
    table = tables.revocations
    statement = select(table.c.sequence).where(and_(table.c.authority_id == authority_id, table.c.serial == serial))
    sequence = reader.connection.execute(statement).scalar()
    return () if sequence is None else of(reader, "revocation", int(sequence))


def forget(transaction: Transaction, before: datetime) -> int:
    """Delete what was applied before this time; says how many."""
    return int(transaction.connection.execute(_EFFECTS.delete().where(_EFFECTS.c.applied_at < before)).rowcount)
