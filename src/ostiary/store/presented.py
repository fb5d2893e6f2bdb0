"""Server certificates as they are stored: containers, and secrets that may hold a PKCS#12 file; a page at a time, by name."""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, exists, func, literal, or_, select, union_all

from ostiary.errors import Invalid
from ostiary.model.query import Query
from ostiary.model.secret import Secret
from ostiary.store import tables
from ostiary.store.kinds import SECRET, Kind, R
from ostiary.store.rows import from_row
from ostiary.store.store import Reader
from ostiary.store.summed import parts

_SECRETS: Final = tables.secrets
_CONTAINERS: Final = tables.containers
_USES: Final = tables.material_uses
_DOCUMENT: Final[Any] = _SECRETS.c.document


def page(reader: Reader, query: Query, without: Iterable[str] = ()) -> tuple[tuple[tuple[str, str], ...], bool]:
    """Kind and id of each of one page, by name, and whether more follow; without those whose names begin so."""
    every = union_all(
        select(_CONTAINERS.c.id, func.lower(_CONTAINERS.c.name).label("name"), literal("container").label("kind")),
        select(_SECRETS.c.id, func.lower(_SECRETS.c.name).label("name"), literal("secret").label("kind")).where(_may_be_pkcs12()),
    ).subquery()
    its = every.c
    wanted: list[ColumnElement[bool]] = [
        or_(its.name.contains(word.lower(), autoescape=True), its.id.startswith(word, autoescape=True)) for word in query.search
    ]
    wanted += [~its.name.startswith(begin.lower(), autoescape=True) for begin in without]
    if query.marker is not None:
        last = reader.connection.execute(select(its.name).where(its.id == query.marker)).first()
        if last is None:
            raise Invalid("marker", f"there is no server certificate {query.marker}")
        name = last[0]
        if query.reverse:
            wanted.append(or_(its.name < name, and_(its.name == name, its.id < query.marker)))
        else:
            wanted.append(or_(its.name > name, and_(its.name == name, its.id > query.marker)))
    order = (its.name.desc(), its.id.desc()) if query.reverse else (its.name, its.id)
    statement = select(its.kind, its.id).where(*wanted).order_by(*order).limit(query.limit + 1)
    rows = [(str(kind), str(one)) for kind, one in reader.connection.execute(statement)]
    found = rows[: query.limit]
    return tuple(found[::-1] if query.reverse else found), len(rows) > query.limit


def texts(reader: Reader, query: Query) -> tuple[Secret, ...]:
    """Secrets with text in them that are part of no container, by name: what revocation lists and CA certificates are kept in."""
    apart = (_DOCUMENT["payload_content_type"].as_string().in_(("text/plain", "application/pkix-cert")), ~_is_part())
    words = [func.lower(_SECRETS.c.name).contains(word.lower(), autoescape=True) for word in query.search]
    kinds = _DOCUMENT["secret_type"].as_string().in_(("opaque", "certificate"))
    statement = select(_SECRETS).where(*apart, kinds, *words).order_by(func.lower(_SECRETS.c.name), _SECRETS.c.id)
    rows = reader.connection.execute(statement.limit(query.limit)).mappings()
    return tuple(from_row(SECRET, row) for row in rows)


def many(reader: Reader, kind: Kind[R], ids: Iterable[str]) -> dict[str, R]:
    """By id; those that are not there are left out."""
    table = kind.table
    return {
        row["id"]: from_row(kind, row)
        for some in parts(set(ids))
        for row in reader.connection.execute(select(table).where(table.c.id.in_(some))).mappings()
    }


def holders(reader: Reader, ids: Iterable[str]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Who refers to each: (kind, id), each once."""
    found: dict[str, dict[tuple[str, str], None]] = {}
    for some in parts(set(ids)):
        statement = select(_USES.c.target_id, _USES.c.holder_kind, _USES.c.holder_id).where(_USES.c.target_id.in_(some))
        for target, kind, holder in reader.connection.execute(statement.order_by(_USES.c.holder_kind, _USES.c.holder_id)):
            found.setdefault(str(target), {})[str(kind), str(holder)] = None
    return {target: tuple(those) for target, those in found.items()}


def _may_be_pkcs12() -> ColumnElement[bool]:
    is_bytes = _DOCUMENT["payload_content_type"].as_string() == "application/octet-stream"
    return and_(is_bytes, _DOCUMENT["secret_type"].as_string().in_(("opaque", "certificate")), ~_is_part())


def _is_part() -> ColumnElement[bool]:
    held = and_(_USES.c.target_id == _SECRETS.c.id, _USES.c.holder_kind == "container")
    return exists(select(_USES.c.target_id).where(held))
