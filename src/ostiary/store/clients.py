"""Who still holds certificates of an authority: counted in SQL, for there may be many."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select

from ostiary.model.authority import Certificate
from ostiary.store import tables
from ostiary.store.kinds import CERTIFICATE
from ostiary.store.rows import from_row
from ostiary.store.store import Reader

_TABLE = tables.certificates


@dataclass(frozen=True)
class Left:
    """Holders of good certificates that have no successor elsewhere. `active` were seen or issued lately, `dormant` were not."""

    active: int
    seen: int
    dormant: int
    last_seen: datetime | None
    some: tuple[Certificate, ...]


def of_series(reader: Reader, series_id: str, at: datetime, since: datetime, show: int) -> Left:
    """Who is left on the certificates of a series, at this time; lately is after `since`. `show` of them, last seen first."""
    good = _good(series_id, at)
    lately = or_(_TABLE.c.last_seen >= since, _TABLE.c.created_at >= since)
    seen = _TABLE.c.last_seen >= since
    # All at once: who has a successor is asked of every certificate there is.
    counts = select(func.count(), func.count().filter(lately), func.count().filter(seen), func.max(_TABLE.c.last_seen))
    every, active, lately_seen, last = reader.connection.execute(counts.where(good)).one()
    order = (func.coalesce(_TABLE.c.last_seen, _TABLE.c.created_at).desc(), _TABLE.c.id)
    rows = reader.connection.execute(select(_TABLE).where(good, lately).order_by(*order).limit(show)).mappings()
    return Left(
        active=int(active),
        seen=int(lately_seen),
        dormant=int(every) - int(active),
        last_seen=last,
        some=tuple(from_row(CERTIFICATE, row) for row in rows),
    )


def strangers(reader: Reader, issuers: tuple[str, ...], since: datetime) -> int:
    """How many certificates of these issuers (names per RFC 4514) were seen since then that are not on record here."""
    table = tables.sightings
    ours = exists(select(_TABLE.c.id).where(_TABLE.c.fingerprint_sha256 == table.c.fingerprint_sha256))
    statement = select(func.count(func.distinct(table.c.fingerprint_sha256))).where(
        table.c.issuer.in_(issuers), table.c.last_seen >= since, ~ours
    )
    return int(reader.connection.execute(statement).scalar_one())


def _good(series_id: str, at: datetime) -> ColumnElement[bool]:
    successor = _TABLE.alias("successor")
    replaces = successor.c.replaces
    # Read once, and not for each certificate anew.
    elsewhere = select(replaces).where(replaces.is_not(None), successor.c.authority_id.not_in(_of(series_id)))
    valid = and_(_TABLE.c.revoked_at.is_(None), _TABLE.c.not_after > at)
    return and_(_TABLE.c.authority_id.in_(_of(series_id)), valid, _TABLE.c.id.not_in(elsewhere))


def _of(series_id: str) -> Select[tuple[str]]:
    return select(tables.authorities.c.id).where(tables.authorities.c.series_id == series_id)
