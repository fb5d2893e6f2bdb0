"""Who was let in by a listener lately, with what is on record of their certificates."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import distinct, func, select

from ostiary.model.what_if import Visitor
from ostiary.store import tables
from ostiary.store.store import Reader

_SEEN = tables.sightings
_OURS = tables.certificates


def count(reader: Reader, listener_id: str, since: datetime) -> int:
    """How many certificates."""
    return count_of_all(reader, [listener_id], since)


def count_of_all(reader: Reader, listener_ids: Sequence[str], since: datetime) -> int:
    """How many certificates at any of these, each once."""
    lately = (_SEEN.c.listener_id.in_(listener_ids), _SEEN.c.last_seen >= since)
    statement = select(func.count(distinct(_SEEN.c.fingerprint_sha256))).where(*lately)
    return int(reader.connection.execute(statement).scalar_one())


def lately(reader: Reader, listener_id: str, since: datetime, most: int) -> tuple[Visitor, ...]:
    """So many of them, last seen first."""
    statement = (
        select(
            *(_SEEN.c[name] for name in ("fingerprint_sha256", "subject", "last_seen", "certificate")),
            *(_OURS.c[name] for name in ("id", "owner", "groups", "profile")),
            _OURS.c.document["certificate"].as_string().label("issued"),
        )
        .select_from(_SEEN.outerjoin(_OURS, _SEEN.c.fingerprint_sha256 == _OURS.c.fingerprint_sha256))
        .where(_SEEN.c.listener_id == listener_id, _SEEN.c.last_seen >= since)
        .order_by(_SEEN.c.last_seen.desc(), _SEEN.c.fingerprint_sha256)
        .limit(most)
    )
    return tuple(
        Visitor(
            fingerprint_sha256=row["fingerprint_sha256"],
            certificate_id=row["id"],
            subject=row["subject"],
            owner=row["owner"] or "",
            last_seen=row["last_seen"],
            certificate=row["issued"] or row["certificate"] or "",
            groups=row["groups"] or (),
            profile=row["profile"] or "",
        )
        for row in reader.connection.execute(statement).mappings()
    )
