"""The inventory of certificates, searched in SQL: there may be very many, and what is asked about them is more than equality."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, literal_column, not_, or_, select

from ostiary.model.authority import Certificate
from ostiary.model.inventory import Status, Wanted
from ostiary.model.query import Page
from ostiary.model.revocation import HOLD
from ostiary.store import ends as ends_kept
from ostiary.store import few, tables
from ostiary.store.kinds import CERTIFICATE
from ostiary.store.queries import paged
from ostiary.store.rows import from_row
from ostiary.store.store import Reader
from ostiary.store.summed import parts
from ostiary.store.tables import UTCDateTime

_TABLE: Final = tables.certificates
_DOCUMENT: Final[Any] = _TABLE.c.document
_HELD: Final = select(tables.revocations.c.fingerprint_sha256).where(tables.revocations.c.reason == literal_column(f"'{HOLD}'"))


def page(reader: Reader, wanted: Wanted) -> Page[Certificate]:
    """One page of the certificates that match."""
    conditions = _conditions(reader, wanted)
    for places in few.places(reader, wanted):
        rows, more = paged(reader.connection, CERTIFICATE, wanted.query, {}, [*conditions, places.where])
        if more or places.is_all:
            break
    else:
        rows, more = paged(reader.connection, CERTIFICATE, wanted.query, {}, conditions)
    return Page(tuple(from_row(CERTIFICATE, row) for row in rows), more)


def expiring(reader: Reader, profile: str, ends: Sequence[datetime]) -> tuple[int, ...]:
    """How many certificates of a profile, of those that are in force, expire between each of these moments and the next."""
    if reader.keeps_words:
        return ends_kept.counted(reader.connection, profile, ends)
    given = {"profile": profile, **{f"end{number}": at for number, at in enumerate(ends)}}
    return tuple(map(int, reader.connection.execute(_between(len(ends)), given).one()))


@lru_cache(maxsize=8)
def _between(ends: int) -> Select[Any]:
    """One count for each two of so many moments. Made once: it takes longer to write down than to answer."""
    moments = [bindparam(f"end{number}", type_=UTCDateTime()) for number in range(ends)]
    live = and_(_TABLE.c.profile == bindparam("profile"), _TABLE.c.revoked_at.is_(None))
    return select(
        *(
            select(func.count()).where(live, _TABLE.c.not_after >= begin, _TABLE.c.not_after < end).scalar_subquery()
            for begin, end in pairwise(moments)
        )
    )


def authorities_expiring(reader: Reader, ends: Sequence[datetime]) -> tuple[int, ...]:
    """How many authorities, of those that are in force, expire between each of these moments and the next."""
    table = tables.authorities
    document: Any = table.c.document
    statement = select(table.c.not_after).where(
        table.c.not_after >= ends[0], table.c.not_after < ends[-1], document["revoked_at"].as_string().is_(None)
    )
    found = tuple(reader.connection.execute(statement).scalars())
    return tuple(sum(begin <= at < end for at in found) for begin, end in pairwise(ends))


def known(reader: Reader, fingerprints: Iterable[str]) -> frozenset[str]:
    """Those of these that are in the inventory."""
    return frozenset(
        found
        for some in parts(fingerprints)
        for found in reader.connection.execute(
            select(_TABLE.c.fingerprint_sha256).where(_TABLE.c.fingerprint_sha256.in_(some))
        ).scalars()
    )


def _conditions(reader: Reader, wanted: Wanted) -> list[ColumnElement[bool]]:
    found = [_matches(reader, word) for word in wanted.search]
    if wanted.status is not None:
        found.append(_has_status(wanted.status, wanted.at))
    if wanted.authority_id is not None:
        found.append(_issued_under_the_name_of(wanted.authority_id))
    if wanted.serial is not None:
        found.append(_TABLE.c.serial == wanted.serial)
    if wanted.fingerprint_sha256 is not None:
        found.append(_begins(_TABLE.c.fingerprint_sha256, wanted.fingerprint_sha256))
    if wanted.expires_before is not None:
        found.append(_TABLE.c.not_after < wanted.expires_before)
    if wanted.expires_after is not None:
        found.append(_TABLE.c.not_after >= wanted.expires_after)
    if wanted.seen_before is not None:
        found.append(or_(_TABLE.c.last_seen.is_(None), _TABLE.c.last_seen < wanted.seen_before))
    if wanted.seen_after is not None:
        found.append(_TABLE.c.last_seen >= wanted.seen_after)
    return found


def _has_status(status: Status, at: datetime) -> ColumnElement[bool]:
    """As `ops.certificates.status` tells it of one certificate; the two are held together by a test."""
    revoked = _TABLE.c.revoked_at.is_not(None)
    on_hold = _DOCUMENT["revocation_reason"].as_string() == HOLD
    # Not by the index of when they end: those that have ended may be most, and are the first in the order they were made.
    expired = func.coalesce(_TABLE.c.not_after, at, type_=UTCDateTime()) < at
    # In the document, whole seconds of UTC in one form: their order as text is their order in time.
    not_yet = _DOCUMENT["not_before"].as_string() > at.strftime("%Y-%m-%dT%H:%M:%SZ")
    table: dict[Status, ColumnElement[bool]] = {
        "REVOKED": and_(revoked, not_(on_hold)),
        # Few are on hold, and they are told apart by an index (ix_revocations_held); what the certificate itself says decides.
        "ON_HOLD": and_(revoked, on_hold, _TABLE.c.fingerprint_sha256.in_(_HELD)),
        "EXPIRED": and_(not_(revoked), expired),
        "NOT_YET_VALID": and_(not_(revoked), not_(expired), not_yet),
        "VALID": and_(not_(revoked), not_(expired), not_(not_yet)),
    }
    return table[status]


def _issued_under_the_name_of(authority_id: str) -> ColumnElement[bool]:
    """By any of the issuing CAs of the authority's series."""
    series = select(tables.authorities.c.series_id).where(tables.authorities.c.id == authority_id)
    return _TABLE.c.authority_id.in_(select(tables.authorities.c.id).where(tables.authorities.c.series_id.in_(series)))


def _matches(reader: Reader, word: str) -> ColumnElement[bool]:
    places = [_contains(reader, column, word) for column in (_TABLE.c.subject, _TABLE.c.owner, _TABLE.c.name)]
    # A list within the document is JSON there too, with its own way of writing quotes.
    places.append(_contains(reader, _DOCUMENT["sans"].as_string(), few.escaped_as_json(word)))
    digits = few.digits(word)
    if digits is not None:
        places += [_begins(_TABLE.c.serial, digits), _begins(_TABLE.c.fingerprint_sha256, digits)]
    return or_(*places)


def _contains(reader: Reader, column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """In any case, as far as the database knows letters: SQLite those of ASCII, PostgreSQL all."""
    pattern = f"%{_escaped(text)}%"
    if reader.connection.dialect.name == "sqlite":
        return column.like(pattern, escape="\\")  # which is blind to case by itself: to have it made lower takes twice as long
    return column.ilike(pattern, escape="\\")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _begins(column: ColumnElement[Any], digits: str) -> ColumnElement[bool]:
    """A range, which an index serves on every database; `g` comes after every hexadecimal digit."""
    return and_(column >= digits, column < f"{digits}g")
