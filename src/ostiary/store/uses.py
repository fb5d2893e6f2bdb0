"""Who refers to what, told for many at once; in SQL."""

from collections.abc import Sequence

from sqlalchemy import func, select

from ostiary.store import tables
from ostiary.store.store import Reader


def one_of_each(reader: Reader, kinds: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Of all of these kinds that refer to the same thing in the same field, one: its kind and id."""
    uses = tables.material_uses
    statement = (
        select(uses.c.holder_kind, func.min(uses.c.holder_id))
        .where(uses.c.holder_kind.in_(tuple(kinds)))
        .group_by(uses.c.holder_kind, uses.c.field, uses.c.target_id)
    )
    return tuple((row[0], row[1]) for row in reader.connection.execute(statement))


def with_rules(reader: Reader) -> tuple[str, ...]:
    """The listeners that have access rules."""
    return tuple(reader.connection.execute(select(tables.access_rules.c.listener_id).distinct()).scalars())
