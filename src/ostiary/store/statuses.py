"""What OCSP answers rest on, in SQL: what became of a serial number, and who signs the answers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, literal, select, union_all

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


# Built once: to build it takes longer than to ask.
_REVOKED, _ISSUED = tables.revocations.c, tables.certificates.c
_AUTHORITY, _SERIAL = bindparam("authority_id", type_=_REVOKED.authority_id.type), bindparam("serial", type_=_REVOKED.serial.type)
_STATUS: Final = union_all(
    select(_REVOKED.revoked_at, _REVOKED.reason).where(
        _REVOKED.authority_id == _AUTHORITY, _REVOKED.serial == _SERIAL, _REVOKED.reason != RELEASED
    ),
    select(literal(None, _REVOKED.revoked_at.type), literal(None, _REVOKED.reason.type)).where(
        select(_ISSUED.id).where(_ISSUED.authority_id == _AUTHORITY, _ISSUED.serial == _SERIAL).exists()
    ),
)


def status(reader: Reader, authority_ids: Sequence[str], serial: str) -> Status:
    """What became of the certificate of this serial number, by one authority's ids (those of its cross-signed twins too).

    Authorities that it signed are known here only once they are revoked.
    """
    found = [
        row
        for authority_id in authority_ids
        for row in reader.connection.execute(_STATUS, {"authority_id": authority_id, "serial": serial})
    ]
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
