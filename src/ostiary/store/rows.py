"""Row ↔ model. The one place where a field finds its column or goes into the document."""

from typing import Any

from pydantic import ValidationError
from sqlalchemy import LargeBinary, RowMapping, Table

from ostiary.errors import Unavailable
from ostiary.model.fields import Private
from ostiary.store.kinds import Kind, R


def column_names(table: Table) -> frozenset[str]:
    """The columns a model's fields may live in."""
    return frozenset(column.name for column in table.columns) - {"document"}


def to_row(kind: Kind[R], thing: R) -> dict[str, Any]:
    """The row that holds a thing."""
    columns = column_names(kind.table) & set(kind.model.model_fields)
    row: dict[str, Any] = {name: getattr(thing, name) for name in columns}
    row["document"] = thing.model_dump(mode="json", exclude=set(columns))
    return row


def from_row(kind: Kind[R], row: RowMapping) -> R:
    """The thing a row holds. Fields added since it was written take their defaults.

    Raises `Unavailable` for one that we never wrote: to leave it out or to guess could open a door.
    """
    values = dict(row["document"])
    for column in kind.table.columns:
        if column.name in kind.model.model_fields:
            value = row[column.name]
            values[column.name] = Private(value) if isinstance(column.type, LargeBinary) else value
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
