"""Renewal: the same names for the same holder, a new key and a new time. What may be renewed, and when."""

from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from ostiary.errors import Conflict, Invalid
from ostiary.pki import keys
from ostiary.pki.names import NameKind, Names
from ostiary.pki.profile import Profile
from ostiary.pki.request import SigningRequest

_SUBJECT_PARTS: Final[dict[x509.ObjectIdentifier, NameKind]] = {
    NameOID.COMMON_NAME: "common_name",
    NameOID.ORGANIZATION_NAME: "organization",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "organizational_unit",
    NameOID.SERIAL_NUMBER: "serial_number",
}
_ALTERNATIVES: Final[dict[type[x509.GeneralName], NameKind]] = {
    x509.DNSName: "dns",
    x509.IPAddress: "ip",
    x509.UniformResourceIdentifier: "uri",
    x509.RFC822Name: "email",
}


def names_in(certificate: x509.Certificate) -> Names:
    """The names of a certificate that we issued; all of them are of kinds that we know."""
    subject = {_SUBJECT_PARTS[part.oid]: str(part.value) for part in certificate.subject}
    alternatives: dict[NameKind, tuple[str, ...]] = {}
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        found = x509.SubjectAlternativeName([])
    for name in found:
        kind = _ALTERNATIVES[type(name)]
        alternatives[kind] = (*alternatives.get(kind, ()), str(name.value))
    return Names(**subject, **alternatives)  # type: ignore[arg-type]  # each kind holds what its field takes


def opens_at(certificate: x509.Certificate, profile: Profile) -> datetime:
    """From when its holder may renew it: the last part of its life, as the profile says."""
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - life * profile.renewal_window / 100


def refuse_unless_in_window(certificate: x509.Certificate, profile: Profile, at: datetime) -> None:
    """`Conflict` before the window opens, and once the certificate has expired."""
    if at >= certificate.not_valid_after_utc:
        raise Conflict(
            f"The certificate expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC, so it proves nothing any more; "
            "ask for a new one."
        )
    if at < opens_at(certificate, profile):
        raise Conflict(
            f"It is too early: profile '{profile.name}' allows renewal from {opens_at(certificate, profile):%Y-%m-%d %H:%M} UTC."
        )


def refuse_kept_key(asked: SigningRequest, certificate: x509.Certificate, profile: Profile) -> None:
    """`Invalid` when the key stays the same and the profile does not allow that."""
    if not profile.allow_key_reuse and keys.spki(asked.public_key) == keys.spki(certificate.public_key()):
        raise Invalid("csr", f"its key is that of the certificate it renews, but profile '{profile.name}' asks for a new one.")
