"""From a request to a certificate in one step that needs nothing but what it is given: it may run in a process of its own."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ostiary.errors import Invalid
from ostiary.pki.issue import Issuer, issue
from ostiary.pki.keys import key_sha256
from ostiary.pki.names import Names, fingerprint_sha256, sans_text, serial_hex, subject_text
from ostiary.pki.policy import Approved, approve
from ostiary.pki.profile import Profile
from ostiary.pki.request import SigningRequest
from ostiary.pki.urls import NOWHERE, Urls


@dataclass(frozen=True)
class Bench:
    """What an authority signs with: itself, those above it, where it answers, and which keys are authorities'."""

    issuer: Issuer = field(repr=False)
    above: tuple[x509.Certificate, ...] = ()
    urls: Urls = NOWHERE
    authority_keys: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Made:
    """A certificate, and what is known it by. `names` are those that were approved, in canonical form."""

    certificate: str  # PEM
    names: Names
    key_sha256: str
    serial: str
    fingerprint_sha256: str
    subject: str
    sans: tuple[str, ...]
    not_before: datetime
    not_after: datetime


def granted(
    asked: SigningRequest, profile: Profile, names: Names | None, lifetime: timedelta | None, bench: Bench, at: datetime
) -> Approved:
    """What policy grants. Raises `Invalid` for the first thing that it does not."""
    approved = approve(
        asked,
        profile,
        names=names,
        lifetime=lifetime,
        issuer=bench.issuer.certificate,
        above=bench.above,
        at=at,
    )
    if key_sha256(approved.public_key) in bench.authority_keys:
        raise Invalid("csr", "its key is that of an authority; make a key for each certificate.")
    return approved


def made(approved: Approved, bench: Bench, at: datetime) -> Made:
    """The certificate, signed. Nobody may get to see it before it is on record."""
    certificate = issue(approved, bench.issuer, at, bench.urls)
    return Made(
        certificate=certificate.public_bytes(Encoding.PEM).decode("ascii"),
        names=approved.names,
        key_sha256=key_sha256(approved.public_key),
        serial=serial_hex(certificate),
        fingerprint_sha256=fingerprint_sha256(certificate),
        subject=subject_text(certificate),
        sans=sans_text(certificate),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )
