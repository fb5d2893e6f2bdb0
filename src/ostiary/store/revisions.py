"""The history of the configuration a page at a time, and what differs between then and now, in SQL."""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import and_, func, select

from ostiary.store import tables
from ostiary.store.kinds import Kind
from ostiary.store.store import Change, Reader, Revision

_REVISIONS: Final = tables.revisions
_CHANGES: Final = tables.changes


def page(reader: Reader, limit: int, *, before: int | None = None, after: int | None = None) -> tuple[Revision, ...]:
    """Revisions, newest first: the newest before that number; with `after`, those that follow it next."""
    statement = select(_REVISIONS).limit(limit)
    if after is not None:
        statement = statement.where(_REVISIONS.c.number > after).order_by(_REVISIONS.c.number)
    else:
        statement = statement.order_by(_REVISIONS.c.number.desc())
    if before is not None:
        statement = statement.where(_REVISIONS.c.number < before)
    found = tuple(Revision(*row) for row in reader.connection.execute(statement))
    return found[::-1] if after is not None else found


def of(reader: Reader, resource_id: str, limit: int) -> tuple[Revision, ...]:
    """The last revisions that changed this thing, newest first."""
    its = select(_CHANGES.c.revision).where(_CHANGES.c.resource_id == resource_id).distinct()
    statement = select(_REVISIONS).where(_REVISIONS.c.number.in_(its)).order_by(_REVISIONS.c.number.desc()).limit(limit)
    return tuple(Revision(*row) for row in reader.connection.execute(statement))


def counts(reader: Reader, numbers: Iterable[int]) -> dict[int, int]:
    """How many things each of these revisions changed."""
    statement = (
        select(_CHANGES.c.revision, func.count()).where(_CHANGES.c.revision.in_(tuple(numbers))).group_by(_CHANGES.c.revision)
    )
    return {int(number): int(count) for number, count in reader.connection.execute(statement)}


def changes(reader: Reader, number: int, limit: int, offset: int) -> tuple[Change, ...]:
    """What a revision changed, in order, some of it."""
    statement = (
        select(_CHANGES.c.kind, _CHANGES.c.resource_id, _CHANGES.c.before, _CHANGES.c.after)
        .where(_CHANGES.c.revision == number)
        .order_by(_CHANGES.c.position)
        .limit(limit)
        .offset(offset)
    )
    return tuple(Change(*row) for row in reader.connection.execute(statement))


def between(reader: Reader, number: int, kinds: Iterable[str]) -> tuple[Change, ...]:
    """What differs between now (`before`) and after that revision (`after`), of these kinds.

    However often something was changed since, only its first and its last change are read.
    """
    first, last = _ends(number, kinds, newest=False), _ends(number, kinds, newest=True)
    then, now = _CHANGES.alias("then"), _CHANGES.alias("now")
    statement = (
        select(then.c.kind, then.c.resource_id, now.c.after, then.c.before)
        .select_from(first)
        .join(last, and_(first.c.kind == last.c.kind, first.c.resource_id == last.c.resource_id))
        .join(then, and_(then.c.revision == first.c.revision, then.c.position == first.c.position))
        .join(now, and_(now.c.revision == last.c.revision, now.c.position == last.c.position))
        .where(first.c.place == 1, last.c.place == 1)
        .order_by(then.c.kind, then.c.resource_id)
    )
    found = (Change(*row) for row in reader.connection.execute(statement))
    return tuple(one for one in found if one.before is not None or one.after is not None)


def called(reader: Reader, kind: Kind[Any], ids: Iterable[str]) -> dict[str, str]:
    """By id, what people call those that are there; a certificate or authority without a name by its subject."""
    table = kind.table
    subject = table.c.subject if "subject" in table.c else table.c.document["subject"].as_string()
    statement = select(table.c.id, table.c.name, subject).where(table.c.id.in_(tuple(ids)))
    return {str(row[0]): str(row[1] or row[2] or "") for row in reader.connection.execute(statement)}


def _ends(number: int, kinds: Iterable[str], *, newest: bool) -> Any:
    order = (_CHANGES.c.revision, _CHANGES.c.position)
    place = func.row_number().over(
        partition_by=(_CHANGES.c.kind, _CHANGES.c.resource_id),
        order_by=tuple(column.desc() for column in order) if newest else order,
    )
    return (
        select(_CHANGES.c.kind, _CHANGES.c.resource_id, *order, place.label("place"))
        .where(_CHANGES.c.revision > number, _CHANGES.c.kind.in_(tuple(kinds)))
        .subquery("newest" if newest else "oldest")
    )
