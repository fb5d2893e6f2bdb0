"""Server certificates as they are stored: containers, and secrets that may hold a PKCS#12 file; a page at a time, by name."""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import ColumnElement, Subquery, Table, and_, func, or_, select, union_all

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
_TEXT: Final = ("text/plain", "application/pkix-cert")
_DOCUMENT: Final[Any] = _SECRETS.c.document


def page(reader: Reader, query: Query, without: Iterable[str] = ()) -> tuple[tuple[str, ...], bool]:
    """The ids of one page, by name, and whether more follow; without those whose names begin so."""
    last = _last(reader, query.marker)
    begins = tuple(without)
    both = [
        _some(_CONTAINERS, query, last, [~_CONTAINERS.c.name.startswith(begin, autoescape=True) for begin in begins]),
        _some(_SECRETS, query, last, [_may_be_pkcs12()]),
    ]
    # Each in the order of its index and no further than the page: the files are many, and long.
    every = union_all(*(select(one) for one in both)).subquery()
    order = (every.c.name.desc(), every.c.id.desc()) if query.reverse else (every.c.name, every.c.id)
    statement = select(every.c.id).order_by(*order).limit(query.limit + 1)
    rows = [str(one) for one in reader.connection.execute(statement).scalars()]
    found = rows[: query.limit]
    return tuple(found[::-1] if query.reverse else found), len(rows) > query.limit


def unread(reader: Reader) -> tuple[tuple[str, int], ...]:
    """Id and revision of each secret that may be a PKCS#12 file."""
    statement = select(_SECRETS.c.id, _SECRETS.c.revision).where(_may_be_pkcs12())
    return tuple((str(one), int(revision)) for one, revision in reader.connection.execute(statement))


def texts(reader: Reader, limit: int) -> tuple[Secret, ...]:
    """Secrets with text in them that are part of no container, by name: what revocation lists and CA certificates are kept in."""
    statement = select(_SECRETS).where(_apart(_TEXT)).order_by(_SECRETS.c.name, _SECRETS.c.id).limit(limit)
    return tuple(from_row(SECRET, row) for row in reader.connection.execute(statement).mappings())


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


def _some(table: Table, query: Query, last: tuple[str, str] | None, also: Iterable[ColumnElement[bool]]) -> Subquery:
    """As many of one kind as there may be on the page."""
    name, one = table.c.name, table.c.id
    words = (
        or_(func.lower(name).contains(word.lower(), autoescape=True), one.startswith(word, autoescape=True))
        for word in query.search
    )
    wanted = [*also, *words]
    if last is not None and query.reverse:
        wanted.append(or_(name < last[0], and_(name == last[0], one < last[1])))
    elif last is not None:
        wanted.append(or_(name > last[0], and_(name == last[0], one > last[1])))
    order = (name.desc(), one.desc()) if query.reverse else (name, one)
    return select(one, name).where(*wanted).order_by(*order).limit(query.limit + 1).subquery()


def _last(reader: Reader, marker: str | None) -> tuple[str, str] | None:
    """Name and id of the last of the page before. Raises `Invalid` when it is not there any more."""
    if marker is None:
        return None
    for table in (_CONTAINERS, _SECRETS):
        row = reader.connection.execute(select(table.c.name, table.c.id).where(table.c.id == marker)).first()
        if row is not None:
            return str(row[0]), str(row[1])
    raise Invalid("marker", f"there is no server certificate {marker}")


def _may_be_pkcs12() -> ColumnElement[bool]:
    return _apart(("application/octet-stream",))


def _apart(types: tuple[str, ...]) -> ColumnElement[bool]:
    """Whether a secret of one of these types is part of no container."""
    # A list that is made once: to look for each secret by itself, SQLite takes an index that does not help.
    parts_of_others = select(_USES.c.target_id).where(_USES.c.holder_kind == "container")
    return and_(
        _SECRETS.c.id.not_in(parts_of_others),
        _DOCUMENT["payload_content_type"].as_string().in_(types),
        _DOCUMENT["secret_type"].as_string().in_(("opaque", "certificate")),
    )
