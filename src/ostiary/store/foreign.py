"""What is known of certificates that others issued, in SQL: which were seen, what became of them; and lists set aside."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, or_, select, update

from ostiary.model.revocation import ListKind
from ostiary.model.status_check import ForeignStatus
from ostiary.store import tables
from ostiary.store.store import Reader, Transaction

_SEEN = tables.sightings
_STATUSES = tables.foreign_statuses
_LISTS = tables.crls


@dataclass(frozen=True)
class Seen:
    """A certificate that some gateway was shown. Whether one of them told all of it says `is_whole`."""

    fingerprint_sha256: str
    serial: str
    issuer: str
    is_whole: bool


def seen_since(reader: Reader, since: datetime, at: datetime) -> tuple[Seen, ...]:
    """The certificates that were seen at `since` or later, each once, and all known to be not good: who is refused is not seen.

    None that has expired `at` this time.
    """
    not_good = select(_STATUSES.c.fingerprint_sha256).where(_STATUSES.c.status != "good")
    wanted = or_(_SEEN.c.last_seen >= since, _SEEN.c.fingerprint_sha256.in_(not_good))
    unexpired = or_(_SEEN.c.not_after.is_(None), _SEEN.c.not_after > at)
    statement = select(
        _SEEN.c.fingerprint_sha256, _SEEN.c.serial, _SEEN.c.issuer, _SEEN.c.certificate.is_not(None).label("is_whole")
    ).where(wanted, unexpired)
    found: dict[str, Seen] = {}
    for fingerprint, serial, issuer, is_whole in reader.connection.execute(statement):
        known = found.get(fingerprint)
        if known is None or not known.is_whole:
            found[fingerprint] = Seen(fingerprint, serial, issuer, bool(is_whole))
    return tuple(found.values())


def whole(reader: Reader, fingerprint: str) -> str | None:
    """A certificate that was seen, PEM, where a gateway told all of it."""
    statement = select(_SEEN.c.certificate).where(_SEEN.c.fingerprint_sha256 == fingerprint, _SEEN.c.certificate.is_not(None))
    found: str | None = reader.connection.execute(statement.limit(1)).scalar()
    return found


def statuses(reader: Reader) -> dict[str, ForeignStatus]:
    """What is known, by fingerprint."""
    return {row["fingerprint_sha256"]: ForeignStatus(**row) for row in reader.connection.execute(select(_STATUSES)).mappings()}


def expired(reader: Reader, at: datetime) -> tuple[str, ...]:
    """Those of whom something is known though they have expired: the handshake refuses them."""
    statement = select(_STATUSES.c.fingerprint_sha256).join(
        _SEEN, and_(_SEEN.c.fingerprint_sha256 == _STATUSES.c.fingerprint_sha256, _SEEN.c.not_after <= at)
    )
    return tuple(reader.connection.execute(statement.distinct()).scalars())


def put_statuses(transaction: Transaction, known: Iterable[ForeignStatus]) -> None:
    """Keep these, each in place of what was known of that certificate before."""
    for one in known:
        transaction.connection.execute(delete(_STATUSES).where(_STATUSES.c.fingerprint_sha256 == one.fingerprint_sha256))
        transaction.connection.execute(_STATUSES.insert(), asdict(one))


def forget_statuses(transaction: Transaction, fingerprints: Iterable[str]) -> None:
    """Nothing is known of these any longer."""
    for fingerprint in fingerprints:
        transaction.connection.execute(delete(_STATUSES).where(_STATUSES.c.fingerprint_sha256 == fingerprint))


def set_aside(transaction: Transaction, authority_id: str) -> None:
    """Keep an authority's list, but from the engines: it has ended, and its clients are let in meanwhile."""
    _move(transaction, authority_id, "complete", "set_aside")


def put_back(transaction: Transaction, authority_id: str) -> None:
    """Hand the engines the list that was set aside: it has ended, so they refuse."""
    _move(transaction, authority_id, "set_aside", "complete")


def forget_set_aside(transaction: Transaction, authority_id: str) -> None:
    """There is a newer one than the list that was set aside."""
    transaction.connection.execute(delete(_LISTS).where(_is(authority_id, "set_aside")))


def _move(transaction: Transaction, authority_id: str, before: ListKind, after: ListKind) -> None:
    transaction.connection.execute(delete(_LISTS).where(_is(authority_id, after)))
    transaction.connection.execute(update(_LISTS).where(_is(authority_id, before)).values(kind=after))
    transaction.move_status()


def _is(authority_id: str, kind: ListKind) -> ColumnElement[bool]:
    return and_(_LISTS.c.authority_id == authority_id, _LISTS.c.kind == kind)
