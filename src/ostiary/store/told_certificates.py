"""Certificates by their fingerprint, wherever on record: issued here, let in, refused, or in a rehearsal."""

from typing import Any, Final

from sqlalchemy import select

from ostiary.store import tables
from ostiary.store.kinds import CERTIFICATE
from ostiary.store.store import Reader

_SEEN: Final = tables.sightings
_DENIED: Final = tables.denials
_REHEARSED: Final = tables.rehearsed


def of(reader: Reader, fingerprint_sha256: str, listener_id: str) -> str | None:
    """PEM, with the chain it was issued with where it was issued here; None where nobody told it.

    What was rehearsed is looked for at that listener.
    """
    for held in reader.all(CERTIFICATE, fingerprint_sha256=fingerprint_sha256):
        return held.certificate + held.chain
    rehearsed: Any = _REHEARSED.c.document["certificate"].as_string()
    for statement in (
        select(_SEEN.c.certificate).where(_SEEN.c.fingerprint_sha256 == fingerprint_sha256, _SEEN.c.certificate.is_not(None)),
        select(_DENIED.c.certificate).where(
            _DENIED.c.fingerprint_sha256 == fingerprint_sha256, _DENIED.c.certificate.is_not(None)
        ),
        select(rehearsed).where(_REHEARSED.c.listener_id == listener_id, _REHEARSED.c.who == fingerprint_sha256),
    ):
        for pem in reader.connection.execute(statement.limit(50)).scalars():
            if pem:
                return str(pem)
    return None
