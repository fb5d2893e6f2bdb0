"""Row ↔ model. The one place where a field finds its column or goes into the document."""

import functools
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import LargeBinary, RowMapping

from ostiary.errors import Unavailable
from ostiary.kept import Kept
from ostiary.model.fields import Private
from ostiary.store.kinds import Kind, R

_MEANT: Final = Kept(4096)  # by kind and id, a whole row and what it means


@functools.cache
def _shared(kind: Kind[Any]) -> dict[str, bool]:
    """The fields of its model that are columns, each with whether it is bytes that nobody is to see."""
    columns = {column.name: isinstance(column.type, LargeBinary) for column in kind.table.columns if column.name != "document"}
    return {name: is_private for name, is_private in columns.items() if name in kind.model.model_fields}


def to_row(kind: Kind[R], thing: R) -> dict[str, Any]:
    """The row that holds a thing."""
    columns = _shared(kind)
    row: dict[str, Any] = {name: getattr(thing, name) for name in columns}
    row["document"] = {name: value for name, value in thing.model_dump(mode="json").items() if name not in columns}
    return row


def from_row(kind: Kind[R], row: RowMapping) -> R:
    """The thing a row holds. Fields added since it was written take their defaults.

    Raises `Unavailable` for one that we never wrote: to leave it out or to guess could open a door.
    """
    if not kind.kept:
        return _read(kind, row)
    name, cells = f"{kind.name}/{row['id']}", tuple(row.values())
    known: tuple[tuple[Any, ...], R] | None = _MEANT.get(name)
    if known is None or known[0] != cells:
        known = cells, _read(kind, row)
        _MEANT.keep(name, known)
    return known[1]


def _read(kind: Kind[R], row: RowMapping) -> R:
    values = dict(row["document"])
    for name, is_private in _shared(kind).items():
        values[name] = Private(row[name]) if is_private else row[name]
    try:
        # Not strict: the document is JSON, so a tuple comes back as a list.
        return kind.model.model_validate(values, strict=False)
    except ValidationError as error:
        why = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(map(str, why["loc"]))
        raise Unavailable(
            f"{kind.title} {row['id']} in the database is damaged ({field}: {why['msg']}); restore it from your backup."
        ) from None


def public(thing: Any) -> dict[str, Any]:
    """A thing as JSON for the record: without private bytes, even encrypted ones."""
    private = {name for name, value in thing if isinstance(value, Private)}
    return dict(thing.model_dump(mode="json", exclude=private))
