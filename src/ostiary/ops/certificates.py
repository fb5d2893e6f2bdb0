"""Certificates: issue from a request, read, search."""

from ostiary.errors import Invalid
from ostiary.ids import new_id
from ostiary.model.authority import Certificate, NewCertificate, RequestedNames
from ostiary.model.query import Page, Query
from ostiary.ops.caller import Caller
from ostiary.ops.change import change
from ostiary.ops.signing import chain_above, open_issuer, pem_text
from ostiary.ops.system import System
from ostiary.pki import request
from ostiary.pki.issue import issue as sign
from ostiary.pki.names import Names, fingerprint_sha256, sans_text, serial_hex, subject_text
from ostiary.pki.policy import approve
from ostiary.pki.profile import BUILT_IN
from ostiary.store.kinds import AUTHORITY, CERTIFICATE


def issue(system: System, caller: Caller, wanted: NewCertificate) -> Certificate:
    """Issue a certificate: read the request, prove possession, approve by profile, sign, store, record."""
    profile = BUILT_IN.get(wanted.profile)
    if profile is None:
        raise Invalid("profile", f"there is no profile '{wanted.profile}'; choose from {', '.join(sorted(BUILT_IN))}")
    asked = request.read(wanted.csr)  # before the lock: parsing hostile input is nobody else's wait
    with change(system, caller, "certificate:issue") as transaction:
        authority = transaction.get(AUTHORITY, wanted.authority_id)
        if authority is None:
            raise Invalid("authority_id", f"there is no authority {wanted.authority_id}")
        issuer = open_issuer(system, authority)
        approved = approve(
            asked,
            profile,
            names=_names(wanted.names),
            lifetime=wanted.lifetime,
            issuer=issuer.certificate,
            at=transaction.at,
        )
        signed = sign(approved, issuer, transaction.at)
        return transaction.insert(
            CERTIFICATE,
            Certificate(
                id=new_id(),
                name=wanted.name,
                project_id=wanted.project_id,
                authority_id=authority.id,
                profile=profile.name,
                serial=serial_hex(signed),
                fingerprint_sha256=fingerprint_sha256(signed),
                subject=subject_text(signed),
                sans=sans_text(signed),
                not_before=signed.not_valid_before_utc,
                not_after=signed.not_valid_after_utc,
                owner=wanted.owner,
                groups=wanted.groups,
                certificate=pem_text(signed),
                chain=chain_above(transaction, authority),
            ),
        )


def get(system: System, caller: Caller, certificate_id: str) -> Certificate:
    """One certificate. Raises `NotFound`."""
    caller.must("certificate:read")
    with system.store.read() as reader:
        return reader.require(CERTIFICATE, certificate_id)


def find(system: System, caller: Caller, query: Query) -> Page[Certificate]:
    """Certificates that match."""
    caller.must("certificate:read")
    with system.store.read() as reader:
        return reader.find(CERTIFICATE, query)


def status(system: System, certificate: Certificate) -> str:
    """VALID, EXPIRED or NOT_YET_VALID, by the clock."""
    at = system.clock()
    if at > certificate.not_after:
        return "EXPIRED"
    return "NOT_YET_VALID" if at < certificate.not_before else "VALID"


def _names(wanted: RequestedNames | None) -> Names | None:
    if wanted is None:
        return None
    return Names(common_name=wanted.common_name or "", dns=wanted.dns, ip=wanted.ip, uri=wanted.uri, email=wanted.email)
