"""A revocation list as the engine reads it (BoringSSL, `x_crl.c`)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from ostiary.pki import engine_certificate, engine_name, pem, tlv
from ostiary.pki.engine_certificate import EngineCertificate, KeyIdentifier
from ostiary.pki.engine_name import EngineName
from ostiary.pki.extensions import extension

_UNDERSTOOD: Final = frozenset({ExtensionOID.ISSUING_DISTRIBUTION_POINT, ExtensionOID.AUTHORITY_KEY_IDENTIFIER})

_CRITICAL: Final = b"\x01\x01\xff\x04"  # TRUE, before an OCTET STRING


@dataclass(frozen=True)
class EngineList:
    """One list: whose it is, its time, and what about it the engine minds."""

    held: x509.CertificateRevocationList
    issuer: EngineName
    this_update: datetime
    next_update: datetime | None
    issuer_key: KeyIdentifier | None
    scope: x509.IssuingDistributionPoint | None
    has_unknown_critical: bool

    @property
    def is_understood(self) -> bool:
        """Indirect lists and those of some reasons are never looked at."""
        return self.scope is None or not (self.scope.indirect_crl or self.scope.only_some_reasons)

    def is_current(self, at: datetime) -> bool:
        """Whether it is in its time."""
        return self.this_update <= at and (self.next_update is None or at < self.next_update)

    def is_in_scope_of(self, certificate: EngineCertificate) -> bool:
        """Whether it speaks of such certificates."""
        if self.scope is None:
            return True
        if self.scope.only_contains_attribute_certs:
            return False
        excluded = self.scope.only_contains_user_certs if certificate.is_ca else self.scope.only_contains_ca_certs
        # Of lists for some distribution points we take none for complete, though the engine compares their names.
        return not excluded and self.scope.full_name is None and self.scope.relative_name is None

    def is_signed_by(self, key: object) -> bool:
        """Whether this key made its signature."""
        try:
            return self.held.is_signature_valid(key)  # type: ignore[arg-type]  # another kind of key raises
        except pem.MALFORMED:
            return False

    def names(self, serial: bytes) -> bool:
        """Whether the certificate with this serial number (as encoded) is revoked."""
        number = int.from_bytes(serial, "big", signed=True)
        if number < 0:  # which `cryptography` does not look for
            return any(entry.parts()[0].content == serial for entry in _entries(self.held))
        return self.held.get_revoked_certificate_by_serial_number(number) is not None


def read(held: x509.CertificateRevocationList) -> EngineList:
    """What the engine knows of a list. Raises `NotDER` for what it does not take for one."""
    fields = tlv.only(held.tbs_certlist_bytes).parts()
    issuer = fields[2] if fields[0].kind == tlv.INTEGER else fields[1]
    try:
        scope = extension(held, x509.IssuingDistributionPoint)
        critical = {one.oid for one in held.extensions if one.critical}
        key = extension(held, x509.AuthorityKeyIdentifier)
    except pem.MALFORMED:
        raise tlv.NotDER("an extension that cannot be read") from None
    return EngineList(
        held=held,
        issuer=engine_name.read(issuer),
        this_update=held.last_update_utc,
        next_update=held.next_update_utc,
        issuer_key=engine_certificate.issuer_key(key.public_bytes()) if key else None,
        scope=scope,
        has_unknown_critical=bool(critical - _UNDERSTOOD) or _has_critical_entry(held, len(critical)),
    )


def _entries(held: x509.CertificateRevocationList) -> list[tlv.Value]:
    """What is revoked, as it is encoded: the second list of the whole, after the issuer, when it is there."""
    lists = [field for field in tlv.only(held.tbs_certlist_bytes).parts() if field.kind == tlv.SEQUENCE]
    return lists[2].parts(tlv.SEQUENCE) if len(lists) > 2 else []


def _has_critical_entry(held: x509.CertificateRevocationList, critical: int) -> bool:
    """Whether an entry has a critical extension. Of a million entries each is looked at only where one may have."""
    if held.tbs_certlist_bytes.count(_CRITICAL) <= critical:
        return False
    try:
        return any(one.critical for entry in held for one in entry.extensions)
    except pem.MALFORMED:
        return True
