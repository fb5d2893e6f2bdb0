"""What is in a server certificate, for people to read. Whether it may be used is asked elsewhere (`pki.chain`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from ostiary.pki import signatures
from ostiary.pki.keys import describe
from ostiary.pki.names import fingerprint_sha256, name_text, sans_text, serial_hex, subject_text
from ostiary.pki.trust_rules import is_self_issued


@dataclass(frozen=True)
class Link:
    """One certificate of the chain above."""

    subject: str
    not_after: datetime


@dataclass(frozen=True)
class Presented:
    """A certificate and the chain above it that is sent along. `names` are as in `DNS:www.example.com`."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    key: str
    serial: str
    fingerprint_sha256: str
    chain: tuple[Link, ...]
    is_self_issued: bool

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host names and addresses that it is for."""
        return tuple(name.partition(":")[2] for name in self.names if name.startswith(("DNS:", "IP:")))

    @property
    def ends(self) -> datetime:
        """When the first of all of them ends: from then on clients refuse it."""
        return min([self.not_after, *(one.not_after for one in self.chain)])


def presented(certificates: Sequence[x509.Certificate]) -> Presented:
    """Of these, in any order: the certificate that signed none of the others, and all others as its chain."""
    leaf = next((one for one in certificates if not _signed_any(one, certificates)), certificates[0])
    chain = [one for one in certificates if one is not leaf]
    return Presented(
        subject=subject_text(leaf),
        issuer=name_text(leaf.issuer),
        names=sans_text(leaf),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        key=describe(leaf.public_key()),
        serial=serial_hex(leaf),
        fingerprint_sha256=fingerprint_sha256(leaf),
        chain=tuple(Link(subject_text(one), one.not_valid_after_utc) for one in chain),
        is_self_issued=is_self_issued(leaf),
    )


def _signed_any(one: x509.Certificate, certificates: Sequence[x509.Certificate]) -> bool:
    below = (other for other in certificates if other is not one and other.issuer == one.subject)
    return any(signatures.is_signed_by(other, one) for other in below)
