"""What OCSP answers rest on, in SQL: what became of a serial number, and who signs the answers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from sqlalchemy import and_, literal, select, union_all

from ostiary.model.revocation import RELEASED
from ostiary.pki.ocsp import Good, Revoked, Status, Unknown
from ostiary.store import tables
from ostiary.store.store import Reader, Transaction

_SIGNERS = tables.ocsp_signers


@dataclass(frozen=True)
class Signer:
    """The key that answers for an authority, and the authority's word that it may. The key is sealed."""

    authority_id: str
    certificate: str
    not_after: datetime
    sealed_key: bytes = field(repr=False)


def status(reader: Reader, authority_ids: Sequence[str], serial: str) -> Status:
    """What became of the certificate of this serial number, by one authority's ids (those of its cross-signed twins too).

    Authorities that it signed are known here only once they are revoked.
    """
    revoked, issued = tables.revocations, tables.certificates
    withdrawn = and_(revoked.c.authority_id.in_(authority_ids), revoked.c.serial == serial, revoked.c.reason != RELEASED)
    known = and_(issued.c.authority_id.in_(authority_ids), issued.c.serial == serial)
    found = reader.connection.execute(
        union_all(
            select(revoked.c.revoked_at, revoked.c.reason).where(withdrawn),
            select(literal(None, revoked.c.revoked_at.type), literal(None, revoked.c.reason.type)).where(
                select(issued.c.id).where(known).exists()
            ),
        )
    ).all()
    for revoked_at, reason in found:
        if revoked_at is not None:
            return Revoked(revoked_at, reason)
    return Good() if found else Unknown()


def signer(reader: Reader, authority_id: str) -> Signer | None:
    """Who answers for this authority; None when nobody does yet."""
    found = reader.connection.execute(select(_SIGNERS).where(_SIGNERS.c.authority_id == authority_id)).mappings().first()
    return None if found is None else Signer(**found)


def put_signer(transaction: Transaction, made: Signer) -> None:
    """Have this one answer, in place of the one before."""
    transaction.connection.execute(_SIGNERS.delete().where(_SIGNERS.c.authority_id == made.authority_id))
    transaction.connection.execute(_SIGNERS.insert(), asdict(made))


def signer_context(authority_id: str) -> str:
    """What the key of an authority's signer is bound to when encrypted."""
    return f"ocsp-signer:{authority_id}"
