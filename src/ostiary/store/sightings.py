"""Who was seen by gateways, in SQL."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, false, func, not_, or_, select

from ostiary.model.sighting import ADDRESSES, MANY_ADDRESSES, MANY_WITHIN, Client, ClientQuery, Sighting
from ostiary.store import tables
from ostiary.store.queries import named
from ostiary.store.store import Reader, Transaction
from ostiary.store.summed import parts

_SEEN: Final = tables.sightings
_CERTIFICATES: Final = tables.certificates


def merge(transaction: Transaction, sightings: Sequence[Sighting]) -> None:
    """Add these to what is known, of our own certificates too."""
    known = {
        (row["fingerprint_sha256"], row["listener_id"]): row
        for some in parts({one.fingerprint_sha256 for one in sightings})
        for row in transaction.connection.execute(select(_SEEN).where(_SEEN.c.fingerprint_sha256.in_(some))).mappings()
    }
    new, changed = [], []
    for one in sightings:
        before = known.get((one.fingerprint_sha256, one.listener_id))
        if before is None:
            new.append({**one.model_dump(exclude={"addresses", "more_addresses"}), **_places({}, 0, one)})
        else:
            changed.append(_added(before, one))
    if new:
        transaction.connection.execute(_SEEN.insert(), new)
    if changed:
        which = and_(_SEEN.c.fingerprint_sha256 == bindparam("b_fingerprint"), _SEEN.c.listener_id == bindparam("b_listener"))
        transaction.connection.execute(_SEEN.update().where(which), changed)
    _note_crowds(transaction, known.values(), sightings)
    _note_on_certificates(transaction, sightings)


def describe(transaction: Transaction, certificates: Mapping[str, tuple[str, str, str]]) -> None:
    """What certificates look like: PEM, subject and issuer by fingerprint. Only of those that were seen."""
    if certificates:
        transaction.connection.execute(
            _SEEN.update().where(_SEEN.c.fingerprint_sha256 == bindparam("b_fingerprint")),
            [
                {"b_fingerprint": fingerprint, "certificate": pem, "subject": subject, "issuer": issuer}
                for fingerprint, (pem, subject, issuer) in certificates.items()
            ],
        )


def last_seen(reader: Reader, fingerprints: Iterable[str]) -> dict[str, datetime]:
    """When each of these was last seen anywhere; those that never were are left out."""
    found: dict[str, datetime] = {}
    for some in parts(fingerprints):
        statement = (
            select(_SEEN.c.fingerprint_sha256, func.max(_SEEN.c.last_seen))
            .where(_SEEN.c.fingerprint_sha256.in_(some))
            .group_by(_SEEN.c.fingerprint_sha256)
        )
        found.update((fingerprint, at) for fingerprint, at in reader.connection.execute(statement))
    return found


def count(reader: Reader, at: datetime) -> tuple[int, int]:
    """How many certificates were seen, at each listener, and how many of them are used from many places at this time."""
    # Apart: to count all takes no look at them, and those few are found by an index.
    seen = select(func.count()).select_from(_SEEN).scalar_subquery()
    crowds = select(func.count()).select_from(_SEEN).where(_SEEN.c.crowded_at > at - MANY_WITHIN).scalar_subquery()
    found = reader.connection.execute(select(seen, crowds)).one()
    return int(found[0]), int(found[1])


def crowded(reader: Reader, at: datetime, most: int) -> tuple[str, ...]:
    """Some of the certificates that are used from many places, by subject and fingerprint."""
    since = at - MANY_WITHIN
    statement = (
        select(_SEEN.c.subject, _SEEN.c.fingerprint_sha256).distinct().where(_SEEN.c.crowded_at > since).order_by(_SEEN.c.subject)
    )
    return tuple(f"{subject} ({print_[:16]}…)" for subject, print_ in reader.connection.execute(statement.limit(most)))


def clients(reader: Reader, query: ClientQuery, at: datetime) -> tuple[tuple[Client, ...], bool]:
    """One page, and whether more follow; at this time."""
    names = [name for name in Client.model_fields if name not in {"certificate_id", "addresses", "many_addresses"}]
    many = func.coalesce(_SEEN.c.crowded_at > at - MANY_WITHIN, false())
    ours = _SEEN.c.fingerprint_sha256 == _CERTIFICATES.c.fingerprint_sha256
    statement = (
        select(
            *(_SEEN.c[name] for name in names),
            _SEEN.c.places.label("addresses"),
            many.label("many_addresses"),
            _CERTIFICATES.c.id.label("certificate_id"),
        )
        .select_from(_SEEN.outerjoin(_CERTIFICATES, ours))
        .where(*_asked(query, many))
        .order_by(_SEEN.c.last_seen.desc(), _SEEN.c.fingerprint_sha256, _SEEN.c.listener_id)
        .limit(query.limit + 1)
    )
    rows = reader.connection.execute(statement).mappings()
    found = tuple(Client.model_validate({**row, "addresses": _latest(row["addresses"])}) for row in rows)
    return found[: query.limit], len(found) > query.limit


def _asked(query: ClientQuery, many: ColumnElement[bool]) -> Iterator[ColumnElement[bool]]:
    if query.many_addresses is not None:
        yield many if query.many_addresses else not_(many)
    if query.listener_id is not None:
        yield _SEEN.c.listener_id == query.listener_id
    if query.fingerprint_sha256 is not None:
        yield _SEEN.c.fingerprint_sha256 == query.fingerprint_sha256
    if query.certificate_id is not None:
        yield _CERTIFICATES.c.id == query.certificate_id
    if query.seen_after is not None:
        yield _SEEN.c.last_seen >= query.seen_after
    if query.seen_before is not None:
        yield _SEEN.c.last_seen < query.seen_before
    for word in query.search:
        yield named(_SEEN, _SEEN.c.subject, word)
    if query.marker is not None:
        at, fingerprint, listener_id = query.marker
        later = or_(
            _SEEN.c.fingerprint_sha256 > fingerprint,
            and_(_SEEN.c.fingerprint_sha256 == fingerprint, _SEEN.c.listener_id > listener_id),
        )
        yield or_(_SEEN.c.last_seen < at, and_(_SEEN.c.last_seen == at, later))


def _added(before: Mapping[Any, Any], one: Sighting) -> dict[str, Any]:
    return {
        "b_fingerprint": one.fingerprint_sha256,
        "b_listener": one.listener_id,
        "first_seen": min(before["first_seen"], one.first_seen),
        "last_seen": max(before["last_seen"], one.last_seen),
        "requests": before["requests"] + one.requests,
        **_places(before["places"], before["address_count"], one),
    }


def _places(before: Mapping[str, str], count: int, one: Sighting) -> dict[str, Any]:
    """The last places, and how many there were in all. One that was forgotten and comes back counts again."""
    joined = dict(before)
    for address, at in one.addresses.items():
        joined[address] = max(_text(at), joined.get(address, ""))
    kept = {address: joined[address] for address in _latest(joined)[:ADDRESSES]}
    return {"places": kept, "address_count": count + len(joined) - len(before) + one.more_addresses}


def _latest(places: Mapping[str, str]) -> tuple[str, ...]:
    """Addresses, the last one first."""
    return tuple(sorted(places, key=lambda address: (places[address], address), reverse=True))


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")  # of one length, so that texts sort as times do


def _note_crowds(transaction: Transaction, known: Iterable[Mapping[Any, Any]], sightings: Iterable[Sighting]) -> None:
    """When each certificate was last seen at the place that is one too many, all listeners together."""
    seen: dict[str, dict[str, str]] = {}
    for fingerprint, places in (
        *((row["fingerprint_sha256"], row["places"]) for row in known),
        *((one.fingerprint_sha256, {address: _text(at) for address, at in one.addresses.items()}) for one in sightings),
    ):
        joined = seen.setdefault(fingerprint, {})
        joined.update({address: max(at, joined.get(address, "")) for address, at in places.items()})
    times = {fingerprint: sorted(places.values(), reverse=True) for fingerprint, places in seen.items()}
    crowds = [
        {"b_fingerprint": fingerprint, "crowded_at": datetime.fromisoformat(latest[MANY_ADDRESSES])}
        for fingerprint, latest in times.items()
        if len(latest) > MANY_ADDRESSES
    ]
    if crowds:
        transaction.connection.execute(_SEEN.update().where(_SEEN.c.fingerprint_sha256 == bindparam("b_fingerprint")), crowds)


def _note_on_certificates(transaction: Transaction, sightings: Sequence[Sighting]) -> None:
    """When each of our own certificates was last seen, where certificates are searched."""
    newest: dict[str, datetime] = {}
    for one in sightings:
        newest[one.fingerprint_sha256] = max(one.last_seen, newest.get(one.fingerprint_sha256, one.last_seen))
    if newest:
        which = and_(
            _CERTIFICATES.c.fingerprint_sha256 == bindparam("b_fingerprint"),
            or_(_CERTIFICATES.c.last_seen.is_(None), _CERTIFICATES.c.last_seen < bindparam("b_at", type_=tables.UTCDateTime())),
        )
        transaction.connection.execute(
            _CERTIFICATES.update().where(which).values(last_seen=bindparam("b_at", type_=tables.UTCDateTime())),
            [{"b_fingerprint": fingerprint, "b_at": at} for fingerprint, at in newest.items()],
        )
