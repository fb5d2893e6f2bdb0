"""Look at a certificate that was just signed: it is what was approved, to the bit, or nobody gets it.

It is read back from what will be handed out, so what the builder, the library or a token made of the approval does not matter. It
covers all that may differ within one shape of certificate (`pki.lint`), for that is linted only once.
"""

import functools
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtensionOID

from ostiary.errors import Unavailable
from ostiary.pki import keys, pem
from ostiary.pki.extensions import extension
from ostiary.pki.lint import Extensions
from ostiary.pki.names import alternatives, subject
from ostiary.pki.policy import Approved

_KEY_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
# Where to learn of revocation and of the issuer: they grant nothing. Anything else that is not compared below has no business in
# a leaf, whoever put it there.
_HARMLESS: Final = frozenset(
    {ExtensionOID.CRL_DISTRIBUTION_POINTS, ExtensionOID.FRESHEST_CRL, ExtensionOID.AUTHORITY_INFORMATION_ACCESS}
)
_NO_AUTHORITY: Final = x509.BasicConstraints(ca=False, path_length=None)
# CA/Browser Forum BR 7.1 asks for 64 bits from a CSPRNG, RFC 5280 4.1.2.2 for a positive number of at most 20 octets.
_SERIAL_BITS: Final = (65, 159)
_UTC_TIME, _GENERALIZED_TIME, _SEQUENCE = 0x17, 0x18, 0x30


def refuse_anything_else(
    certificate: x509.Certificate, approved: Approved, issuer: x509.Certificate, extensions: Extensions = ()
) -> None:
    """`Unavailable` unless `certificate` is exactly what was approved, and soundly signed by `issuer`.

    `extensions` are those it was built with: what points to revocation lists and the like is compared with them, for no approval
    speaks of it.
    """
    try:
        wrong = next(_differences(certificate, approved, issuer, extensions), None)
    except pem.MALFORMED:
        wrong = "encoding"
    if wrong:
        raise Unavailable(
            f"The certificate that was made is not what was approved (its {wrong}), so it was thrown away; "
            "check the authority's key and token, and report this."
        )


def _differences(
    certificate: x509.Certificate, approved: Approved, issuer: x509.Certificate, extensions: Extensions
) -> Iterator[str]:
    held = {each.oid: each for each in certificate.extensions}
    beside = {value.oid: (critical, value) for value, critical in extensions if value.oid in _HARMLESS}
    yield from (what for what, found, wanted in _compared(certificate, approved, issuer, held) if found != wanted)
    fewest, most = _SERIAL_BITS
    if certificate.serial_number <= 0 or not fewest <= certificate.serial_number.bit_length() <= most:
        yield "serial number"
    if certificate.not_valid_after_utc > issuer.not_valid_after_utc:
        yield "validity, which goes beyond the authority's"
    # RFC 5280 4.1.2.5: only so encoded do all verifiers read it alike. The names beside it cannot hold these octets by accident.
    if _validity(approved.not_before, approved.not_after) not in certificate.tbs_certificate_bytes:
        yield "times, which are encoded in another form"
    for oid in (held.keys() | beside.keys()) - _COMPARED:
        if oid not in held or (held[oid].critical, held[oid].value) != beside.get(oid):
            yield f"extension {oid.dotted_string}"
    try:
        # A token that fails or a computation that is disturbed makes signatures that are wrong, and an RSA one tells the key.
        certificate.verify_directly_issued_by(issuer)
    except InvalidSignature:
        yield "signature"


_COMPARED: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
_Held = dict[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]]


def _compared(
    certificate: x509.Certificate, approved: Approved, issuer: x509.Certificate, held: _Held
) -> Iterator[tuple[str, object, object]]:
    """(what, as found, as approved) of each part."""
    name, names = subject(approved.names), alternatives(approved.names)

    def of(oid: x509.ObjectIdentifier) -> tuple[bool, x509.ExtensionType] | None:
        return (held[oid].critical, held[oid].value) if oid in held else None

    yield "version", certificate.version, x509.Version.v3
    yield "issuer", certificate.issuer.public_bytes(), _name(issuer)
    yield "subject", certificate.subject.public_bytes(), name.public_bytes()
    yield "key", keys.spki(certificate.public_key()), keys.spki(approved.public_key)
    yield (
        "validity",
        (certificate.not_valid_before_utc, certificate.not_valid_after_utc),
        (approved.not_before, approved.not_after),
    )
    yield (
        "basic constraints",
        of(ExtensionOID.BASIC_CONSTRAINTS),
        (True, _NO_AUTHORITY),
    )
    yield "key usages", _usages(held), (True, approved.key_usages)
    yield (
        "purposes",
        of(ExtensionOID.EXTENDED_KEY_USAGE),
        (False, _purposes(approved.profile.extended_key_usages)),
    )
    yield (
        "key identifier",
        of(ExtensionOID.SUBJECT_KEY_IDENTIFIER),
        (False, x509.SubjectKeyIdentifier.from_public_key(approved.public_key)),
    )
    yield "authority key identifier", _authority_key_identifier(held), (False, _key_identifier(issuer))
    yield (
        "names",
        of(ExtensionOID.SUBJECT_ALTERNATIVE_NAME),
        (not list(name), x509.SubjectAlternativeName(names)) if names else None,
    )


def _usages(held: _Held) -> tuple[bool, frozenset[str]] | None:
    usage = held.get(ExtensionOID.KEY_USAGE)
    if usage is None or not isinstance(usage.value, x509.KeyUsage):
        return None
    only = usage.value.key_agreement and (usage.value.encipher_only or usage.value.decipher_only)
    return usage.critical, frozenset(each for each in _KEY_USAGES if getattr(usage.value, each)) | ({"… only"} if only else set())


def _authority_key_identifier(held: _Held) -> tuple[bool, bytes | None] | None:
    identifier = held.get(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
    if identifier is None or not isinstance(identifier.value, x509.AuthorityKeyIdentifier):
        return None
    return identifier.critical, identifier.value.key_identifier


# What does not change from one certificate of an authority to the next is read once.
@functools.lru_cache(maxsize=1024)
def _name(issuer: x509.Certificate) -> bytes:
    return issuer.subject.public_bytes()


@functools.lru_cache(maxsize=1024)
def _purposes(usages: tuple[x509.ObjectIdentifier, ...]) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage(usages)


@functools.lru_cache(maxsize=1024)
def _key_identifier(issuer: x509.Certificate) -> bytes:
    found = extension(issuer, x509.SubjectKeyIdentifier)
    return (found or x509.SubjectKeyIdentifier.from_public_key(issuer.public_key())).digest


def _validity(not_before: datetime, not_after: datetime) -> bytes:
    """DER: UTCTime up to and with 2049, GeneralizedTime after (RFC 5280 4.1.2.5)."""
    times = b"".join(map(_time, (not_before, not_after)))
    return bytes((_SEQUENCE, len(times))) + times


def _time(at: datetime) -> bytes:
    generalized = at.year >= 2050
    text = at.strftime("%Y%m%d%H%M%SZ" if generalized else "%y%m%d%H%M%SZ").encode()
    return bytes((_GENERALIZED_TIME if generalized else _UTC_TIME, len(text))) + text
