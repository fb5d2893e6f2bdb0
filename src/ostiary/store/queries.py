"""Lists: filters, order and keyset paging, all in SQL."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    String,
    Table,
    and_,
    cast,
    func,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.engine import RowMapping

from ostiary.errors import Invalid
from ostiary.model.fields import Private
from ostiary.model.query import Query
from ostiary.store.kinds import Kind
from ostiary.store.tables import TextList, UTCDateTime

_TRUE = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def paged(
    connection: Connection,
    kind: Kind[Any],
    query: Query,
    where: Mapping[str, Any],
    also: Sequence[ColumnElement[bool]] = (),
) -> tuple[Sequence[RowMapping], bool]:
    """The rows of one page, and whether more follow. `also` are conditions that are more than a field's value.

    Raises `Invalid` naming the parameter that makes no sense.
    """
    conditions = [*also, *(kind.table.c[name] == value for name, value in where.items())]
    conditions += [_equals(kind, field, text) for field, text in query.filters]
    conditions += _tagged(kind, query)
    conditions += [_named(kind, word) for word in query.search]
    order = _order(kind, query)
    if query.marker is not None:
        conditions.append(_beyond(connection, kind, order, query.marker))
    by = [key.desc() if descending else key.asc() for key, descending in order]
    if query.limit:
        # Which they are is found first, by what is small: to sort whole rows, the documents of all that match would be read.
        its = _address(connection, kind)
        found = select(its.label("its")).select_from(kind.table).where(*conditions).order_by(*by).limit(query.limit + 1)
        conditions = [its.in_(found.subquery().select())]
    rows = connection.execute(select(kind.table).where(*conditions).order_by(*by)).mappings().all()
    more = bool(query.limit) and len(rows) > query.limit
    page = list(rows[: query.limit] if query.limit else rows)
    return (page[::-1] if query.reverse else page), more


def _address(connection: Connection, kind: Kind[Any]) -> ColumnElement[Any]:
    """By what a row is got again: in SQLite its place in the table, which an index tells and an id is looked up to."""
    return literal_column(f"{kind.table.name}.rowid") if connection.dialect.name == "sqlite" else kind.table.c.id


def _value_type(kind: Kind[Any], field: str, parameter: str) -> type:
    """bool, int or str: how values of a field compare. Raises `Invalid` for a field that cannot be asked for."""
    info = kind.model.model_fields.get(field)
    if info is None:
        raise Invalid(parameter, f"{kind.title} has no field '{field}'")
    annotation = info.annotation
    options = {annotation, *get_args(annotation)}
    if Private in options:
        raise Invalid(parameter, f"'{field}' cannot be searched")
    if bool in options:
        return bool
    return int if int in options or any(int in get_args(option) for option in options) else str


def _expression(kind: Kind[Any], field: str, value_type: type) -> ColumnElement[Any]:
    if field in kind.table.c:
        return kind.table.c[field]
    document: Any = kind.table.c.document[field]
    as_its_type: ColumnElement[Any] = (
        document.as_boolean() if value_type is bool else document.as_integer() if value_type is int else document.as_string()
    )
    return as_its_type


def _equals(kind: Kind[Any], field: str, text: str) -> ColumnElement[bool]:
    value_type = _value_type(kind, field, field)
    expression = _expression(kind, field, value_type)
    if isinstance(expression.type, TextList):
        return holds(expression, text)
    if isinstance(expression.type, UTCDateTime):
        raise Invalid(field, "times cannot be filtered for")
    if value_type is bool:
        if text.lower() not in _TRUE:
            raise Invalid(field, f"'{text}' is neither true nor false")
        return expression == _TRUE[text.lower()]
    if value_type is int or isinstance(expression.type, Integer | BigInteger):
        if not text.removeprefix("-").isdecimal() or len(text) > 18:
            raise Invalid(field, f"'{text}' is not a number")
        return expression == int(text)
    return expression == text


def holds(column: ColumnElement[Any], word: str) -> ColumnElement[bool]:
    """Whether a list of words holds this one."""
    return cast(column, String).contains(json.dumps(word, ensure_ascii=False), autoescape=True)


def named(table: Table, subject: ColumnElement[Any], word: str) -> ColumnElement[bool]:
    """Whether a certificate is called like this: the word is in its subject, or begins its serial number or its fingerprint."""
    digits = word.replace(":", "").lower()
    return or_(
        func.lower(subject).contains(word.lower(), autoescape=True),
        table.c.serial.startswith(digits, autoescape=True),
        table.c.fingerprint_sha256.startswith(digits, autoescape=True),
    )


def _named(kind: Kind[Any], word: str) -> ColumnElement[bool]:
    """Whether its name holds this word, in any case as far as the database knows letters, or its id begins with it."""
    name = _expression(kind, "name", str)
    return or_(func.lower(name).contains(word.lower(), autoescape=True), kind.table.c.id.startswith(word, autoescape=True))


def _tagged(kind: Kind[Any], query: Query) -> list[ColumnElement[bool]]:
    if not (query.tags or query.tags_any or query.not_tags or query.not_tags_any):
        return []
    if "tags" not in kind.table.c:
        raise Invalid("tags", f"{kind.title} has no tags")
    column = kind.table.c.tags
    conditions = [holds(column, tag) for tag in query.tags]
    if query.tags_any:
        conditions.append(or_(*(holds(column, tag) for tag in query.tags_any)))
    if query.not_tags:
        conditions.append(not_(and_(*(holds(column, tag) for tag in query.not_tags))))
    if query.not_tags_any:
        conditions.append(not_(or_(*(holds(column, tag) for tag in query.not_tags_any))))
    return conditions


def _order(kind: Kind[Any], query: Query) -> list[tuple[ColumnElement[Any], bool]]:
    """The keys to sort by, ending in the id so that the order is total; each without NULLs, which compare to nothing."""
    keys: list[tuple[ColumnElement[Any], bool]] = []
    for field, descending in query.sort or (("created_at", False),):
        expression = _expression(kind, field, _value_type(kind, field, "sort"))
        if getattr(expression, "nullable", True):  # what may be NULL; all that is in the document may
            nothing = kind.table.c.created_at if isinstance(expression.type, UTCDateTime) else _empty(expression)
            expression = func.coalesce(expression, nothing)
        keys.append((expression, descending))
    keys.append((kind.table.c.id, False))
    return [(key, descending != query.reverse) for key, descending in keys]


def _empty(expression: ColumnElement[Any]) -> str | int:
    return "" if isinstance(expression.type, String) else 0


def _beyond(
    connection: Connection, kind: Kind[Any], order: list[tuple[ColumnElement[Any], bool]], marker: str
) -> ColumnElement[bool]:
    """Strictly after the marker in this order."""
    values = connection.execute(select(*(key for key, _ in order)).where(kind.table.c.id == marker)).first()
    if values is None:
        raise Invalid("marker", f"there is no {kind.title} {marker}")
    alternatives = []
    for position, (key, descending) in enumerate(order):
        equal_so_far = [earlier == values[index] for index, (earlier, _) in enumerate(order[:position])]
        alternatives.append(and_(*equal_so_far, key < values[position] if descending else key > values[position]))
    # Said once more of the first key alone: no index serves alternatives, but one leads to where they begin.
    key, descending = order[0]
    return and_(key <= values[0] if descending else key >= values[0], or_(*alternatives))
