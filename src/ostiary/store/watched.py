"""What ends soon, or ended lately, in SQL: of each kind the columns that a warning needs, and never more than so many rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, func, or_, select

from ostiary.model.access import AccessException
from ostiary.model.approval import Approval
from ostiary.model.authority import Authority
from ostiary.model.token import Token
from ostiary.store import tables
from ostiary.store.kinds import ACCESS_EXCEPTION, APPROVAL, AUTHORITY, TOKEN
from ostiary.store.rows import from_row
from ostiary.store.store import Reader
from ostiary.store.summed import parts

_SEEN: Final = tables.sightings
_OURS: Final = tables.certificates
_DOCUMENT: Final[Any] = _OURS.c.document
MOST: Final = 10_000  # of one kind, the first to end


@dataclass(frozen=True)
class InUse:
    """A certificate of a client that was seen lately. `certificate_id` is empty where another issued it.

    `renewed_before`: it is the successor of another, so whoever holds it knows how.
    """

    fingerprint_sha256: str
    subject: str
    issuer: str
    not_after: datetime
    last_seen: datetime
    certificate_id: str = ""
    name: str = ""
    owner: str = ""
    not_before: datetime | None = None
    renewed_before: bool = False


def ours_in_use(reader: Reader, since: datetime, after: datetime, before: datetime) -> tuple[InUse, ...]:
    """Certificates issued here, in force, seen since then, that end between these times; the first to end first."""
    statement = (
        select(
            *(_OURS.c[name] for name in ("id", "name", "fingerprint_sha256", "subject", "owner", "not_after", "last_seen")),
            _OURS.c.authority_id,
            _DOCUMENT["not_before"].as_string().label("not_before"),
            _OURS.c.replaces,
        )
        .where(
            _OURS.c.not_after > after,
            _OURS.c.not_after <= before,
            _OURS.c.last_seen >= since,
            _OURS.c.revoked_at.is_(None),
        )
        .order_by(_OURS.c.not_after, _OURS.c.id)
        .limit(MOST)
    )
    return tuple(
        InUse(
            fingerprint_sha256=row["fingerprint_sha256"],
            subject=row["subject"],
            issuer=row["authority_id"],
            not_after=row["not_after"],
            last_seen=row["last_seen"],
            certificate_id=row["id"],
            name=row["name"],
            owner=row["owner"],
            not_before=datetime.fromisoformat(row["not_before"]) if row["not_before"] else None,
            renewed_before=row["replaces"] is not None,
        )
        for row in reader.connection.execute(statement).mappings()
    )


def others_in_use(reader: Reader, since: datetime, after: datetime, before: datetime) -> tuple[InUse, ...]:
    """Certificates that others issued, likewise."""
    ends, last = func.max(_SEEN.c.not_after), func.max(_SEEN.c.last_seen)
    statement = (
        select(
            _SEEN.c.fingerprint_sha256,
            func.max(_SEEN.c.subject).label("subject"),
            func.max(_SEEN.c.issuer).label("issuer"),
            ends.label("not_after"),
            last.label("last_seen"),
        )
        .select_from(_SEEN.outerjoin(_OURS, _OURS.c.fingerprint_sha256 == _SEEN.c.fingerprint_sha256))
        .where(_SEEN.c.not_after > after, _SEEN.c.not_after <= before, _SEEN.c.last_seen >= since, _OURS.c.id.is_(None))
        .group_by(_SEEN.c.fingerprint_sha256)
        .order_by(ends, _SEEN.c.fingerprint_sha256)
        .limit(MOST)
    )
    return tuple(InUse(**row) for row in reader.connection.execute(statement).mappings())


def later_of(reader: Reader, found: Iterable[InUse], since: datetime) -> dict[str, datetime]:
    """Of subjects of these, when the last one ends that was seen since then under the same name and issuer."""
    wanted = {one.subject for one in found if one.subject}
    later: dict[str, datetime] = {}
    for some in parts(wanted):
        statement = (
            select(_SEEN.c.subject, _SEEN.c.issuer, func.max(_SEEN.c.not_after))
            .where(_SEEN.c.last_seen >= since, _SEEN.c.subject.in_(some), _SEEN.c.not_after.is_not(None))
            .group_by(_SEEN.c.subject, _SEEN.c.issuer)
        )
        later |= {f"{subject}\n{issuer}": ends for subject, issuer, ends in reader.connection.execute(statement)}
    return later


def told_whole(reader: Reader, fingerprints: Iterable[str]) -> dict[str, str]:
    """These certificates, PEM, where a gateway told all of them."""
    found: dict[str, str] = {}
    for some in parts(fingerprints):
        whole = and_(_SEEN.c.fingerprint_sha256.in_(some), _SEEN.c.certificate.is_not(None))
        statement = select(_SEEN.c.fingerprint_sha256, _SEEN.c.certificate).where(whole)
        found.update((row[0], row[1]) for row in reader.connection.execute(statement))
    return found


def seen_at(reader: Reader, fingerprints: Iterable[str], since: datetime) -> dict[str, tuple[str, ...]]:
    """The ids of listeners where each of these was seen since then."""
    found: dict[str, list[str]] = {}
    for some in parts(fingerprints):
        statement = (
            select(_SEEN.c.fingerprint_sha256, _SEEN.c.listener_id)
            .where(_SEEN.c.fingerprint_sha256.in_(some), _SEEN.c.last_seen >= since)
            .order_by(_SEEN.c.listener_id)
        )
        for fingerprint, listener_id in reader.connection.execute(statement):
            found.setdefault(fingerprint, []).append(listener_id)
    return {fingerprint: tuple(ids) for fingerprint, ids in found.items()}


def authorities(reader: Reader, after: datetime, before: datetime) -> tuple[Authority, ...]:
    """Authorities that were not revoked and end between these times, without those that another of their name follows."""
    table, next_one = tables.authorities, tables.authorities.alias()
    document: Any = table.c.document
    followed = (
        select(next_one.c.id)
        .where(next_one.c.series_id == table.c.series_id, next_one.c.not_after > table.c.not_after)
        .correlate(table)
        .exists()
    )
    statement = (
        select(table)
        .where(
            table.c.not_after > after,
            table.c.not_after <= before,
            document["revoked_at"].as_string().is_(None),
            # What was imported together under one name is a bundle: none of it follows another.
            or_(document["kind"].as_string() == "imported", ~followed),
        )
        .order_by(table.c.not_after, table.c.id)
        .limit(MOST)
    )
    return tuple(from_row(AUTHORITY, row) for row in reader.connection.execute(statement).mappings())


def exceptions(reader: Reader, after: datetime, before: datetime) -> tuple[AccessException, ...]:
    """Access exceptions that end between these times."""
    table = tables.access_exceptions
    statement = (
        select(table).where(table.c.not_after > after, table.c.not_after <= before).order_by(table.c.not_after).limit(MOST)
    )
    return tuple(from_row(ACCESS_EXCEPTION, row) for row in reader.connection.execute(statement).mappings())


def access_tokens(reader: Reader, after: datetime, before: datetime) -> tuple[Token, ...]:
    """Access tokens that end between these times."""
    table = tables.tokens
    ends = and_(table.c.kind == "access", table.c.expires_at > after, table.c.expires_at <= before)
    statement = select(table).where(ends).order_by(table.c.expires_at).limit(MOST)
    return tuple(from_row(TOKEN, row) for row in reader.connection.execute(statement).mappings())


def known_authorities(reader: Reader, fingerprints: Iterable[str]) -> frozenset[str]:
    """Those of these certificates that are on record as authorities."""
    column = tables.authorities.c.fingerprint_sha256
    return frozenset(
        found
        for some in parts(fingerprints)
        for found in reader.connection.execute(select(column).where(column.in_(some))).scalars()
    )


def waiting_requests(reader: Reader, at: datetime, most: int) -> tuple[tuple[str, str, str], ...]:
    """Certificate requests that somebody has to decide, the first to lapse first: id, what they are called, who asked."""
    table = tables.certificate_requests
    document: Any = table.c.document
    statement = (
        select(table.c.id, table.c.name, table.c.requested_by, document["asked_for"])
        .where(table.c.status == "PENDING", table.c.expires_at > at)
        .order_by(table.c.expires_at, table.c.id)
        .limit(most)
    )
    rows = reader.connection.execute(statement)
    return tuple((one, name or ", ".join(names or ()) or one, asked_by) for one, name, asked_by, names in rows)


def waiting_approvals(reader: Reader, at: datetime, most: int) -> tuple[Approval, ...]:
    """What another person has to agree to, the first to lapse first."""
    table = tables.approvals
    statement = (
        select(table)
        .where(table.c.status == "PENDING", table.c.expires_at > at)
        .order_by(table.c.expires_at, table.c.id)
        .limit(most)
    )
    return tuple(from_row(APPROVAL, row) for row in reader.connection.execute(statement).mappings())


def signers(reader: Reader) -> dict[str, datetime]:
    """When the certificate ends that answers OCSP for each authority."""
    table = tables.ocsp_signers
    return {row[0]: row[1] for row in reader.connection.execute(select(table.c.authority_id, table.c.not_after))}


def renewed(reader: Reader, ids: Iterable[str]) -> set[str]:
    """Which of these certificates have a successor that is in force."""
    found: set[str] = set()
    for some in parts(ids):
        # Whether it was revoked is not asked in SQL: SQLite would go through all that were not.
        statement = select(_OURS.c.replaces, _OURS.c.revoked_at).where(_OURS.c.replaces.in_(some))
        found |= {str(before) for before, revoked_at in reader.connection.execute(statement) if revoked_at is None}
    return found
