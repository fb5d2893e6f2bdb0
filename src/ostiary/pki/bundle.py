"""Put certificates and keys into the files that devices import: PKCS#12, PEM, PKCS#7 and Apple's configuration profiles."""

import plistlib
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, pkcs7, pkcs12

from ostiary.errors import Invalid
from ostiary.pki import keys
from ostiary.pki.chain import to_pem
from ostiary.pki.name_rules import plain
from ostiary.pki.names import fingerprint_sha256, name_text
from ostiary.pki.trust_rules import is_self_issued

Pkcs12Form = Literal["modern", "compatible"]

# A file is as safe as its passphrase: `cryptography` lets the MAC iterate 2,048 times whatever the encryption does, so whoever
# guesses need not do more. Six groups of four from 31 letters and digits none of which looks like another are 118 bits, above
# the 112 that NIST SP 800-57 part 1 (5.6.1) asks for without any iteration.
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS: Final = 6
_GROUP: Final = 4
_PASSPHRASE_MIN: Final = 16  # one that somebody thought of
_PASSPHRASE_MAX: Final = 128
_ITERATIONS: Final = 20_000  # of the encryption; every reader takes that many (.NET and Java have ceilings)
_NAME_MAX: Final = 120

# So that the same certificates always make the same profile, and installing it again replaces it rather than adding one.
_NAMESPACE: Final = uuid.UUID("6f8d3c1e-7f5c-5a0e-9d38-0d5f0f0a7a31")


@dataclass(frozen=True)
class _Protection:
    """How a PKCS#12 file is encrypted and authenticated."""

    encryption: pkcs12.PBES
    mac: hashes.HashAlgorithm


_PROTECTIONS: Final[Mapping[Pkcs12Form, _Protection]] = {
    # RFC 8018 (PBES2, PBKDF2 with HMAC-SHA-256, AES-256-CBC) and RFC 7292's MAC with SHA-256: what OpenSSL 3 and Windows (since
    # 10 1709 and Server 2019) write by themselves. PBMAC1 (RFC 9579) would be better still, but few read it yet.
    "modern": _Protection(pkcs12.PBES.PBESv2SHA256AndAES256CBC, hashes.SHA256()),
    # RFC 7292 appendix B and C. What knows nothing else, and calls the modern form a wrong password: Windows Server 2016
    # (chris2511/xca#559), macOS at least up to 14 (pyca/cryptography#7293, chris2511/xca#474) and iOS alike, Android up to 13
    # (strongswan/strongswan-docs#5).
    "compatible": _Protection(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC, hashes.SHA1()),  # noqa: S303 (see above)
}


@dataclass(frozen=True)
class Holding:
    """What a holder is handed: a certificate, the key to it, and the authorities above, nearest first, with or without a root."""

    leaf: x509.Certificate
    key: keys.PrivateKey = field(repr=False)
    authorities: tuple[x509.Certificate, ...] = ()


def new_passphrase() -> str:
    """A passphrase to be read out and typed once, such as `k7mq-x2fd-…`: 118 random bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))


def checked_passphrase(text: str, field: str) -> str:
    """A caller's own passphrase; `Invalid` when it is too short to withstand guessing, or cannot be typed everywhere.

    ASCII alone, because readers disagree on how anything else is encoded (RFC 7292 B.1 says BMPString, RFC 8018 leaves it open).
    """
    if not (text.isascii() and text.isprintable()):
        raise Invalid(field, "it may hold only letters, digits and signs that every keyboard has (ASCII).")
    if not _PASSPHRASE_MIN <= len(text) <= _PASSPHRASE_MAX:
        raise Invalid(field, f"it must be {_PASSPHRASE_MIN} to {_PASSPHRASE_MAX} characters; leave it out to have one made.")
    return text


def pkcs12_file(held: Holding, passphrase: str, form: Pkcs12Form, name: str) -> bytes:
    """Certificate, key and authorities as one PKCS#12 file (RFC 7292). `name` is what stores show it as.

    Takes 5 ms of CPU in the modern form and 24 ms in the compatible one: keep it off the event loop.
    """
    protection = _PROTECTIONS[form]
    encryption = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(_ITERATIONS)
        .key_cert_algorithm(protection.encryption)
        .hmac_hash(protection.mac)
        .build(passphrase.encode("ascii"))
    )
    above = [pkcs12.PKCS12Certificate(authority, _title(authority).encode()) for authority in held.authorities]
    return pkcs12.serialize_key_and_certificates(_short(name).encode(), held.key, held.leaf, above or None, encryption)


def pem_bundle(held: Holding, *, with_key: bool = False) -> str:
    """The certificate, then those above it, then (when asked for) the key, not encrypted: as web servers and curl take it."""
    certificates = to_pem((held.leaf, *held.authorities))
    return certificates + keys.to_pem(held.key).decode("ascii") if with_key else certificates


def pkcs7_file(certificates: Sequence[x509.Certificate]) -> bytes:
    """Certificates without a key as DER PKCS#7 (`.p7b`), which Windows and Java import in one step."""
    return pkcs7.serialize_certificates(list(certificates), Encoding.DER)


def mobileconfig_of_certificates(certificates: Sequence[x509.Certificate], name: str) -> bytes:
    """An Apple configuration profile that installs certificates without keys: roots as anchors, others to build chains with."""
    return _profile("certificates", name, [_certificate_payload(one) for one in certificates], certificates)


def mobileconfig_of_identity(held: Holding, pkcs12_data: bytes, name: str) -> bytes:
    """An Apple configuration profile with a client certificate, its key and the authorities above it.

    The passphrase is left out, so that the device asks for it: with it inside, whoever has the file would have the key.
    `pkcs12_data` should be of the compatible form.
    """
    identity = _payload(
        "com.apple.security.pkcs12",
        held.leaf,
        _short(name),
        PayloadCertificateFileName="identity.p12",
        PayloadContent=pkcs12_data,
    )
    payloads = [*(_certificate_payload(authority) for authority in held.authorities), identity]
    return _profile("identity", name, payloads, (held.leaf, *held.authorities))


def _certificate_payload(certificate: x509.Certificate) -> dict[str, Any]:
    return _payload(
        "com.apple.security.root" if is_self_issued(certificate) else "com.apple.security.pkcs1",
        certificate,
        _title(certificate),
        PayloadCertificateFileName="certificate.cer",
        PayloadContent=certificate.public_bytes(Encoding.DER),
    )


def _payload(kind: str, certificate: x509.Certificate, name: str, **content: Any) -> dict[str, Any]:
    fingerprint = fingerprint_sha256(certificate)
    return {
        "PayloadType": kind,
        "PayloadVersion": 1,
        "PayloadIdentifier": f"ostiary.{kind.rpartition('.')[2]}.{fingerprint[:32]}",
        "PayloadUUID": _uuid(kind, fingerprint),
        "PayloadDisplayName": name,
        **content,
    }


def _profile(kind: str, name: str, payloads: Sequence[Mapping[str, Any]], certificates: Sequence[x509.Certificate]) -> bytes:
    # Not signed: until the authority in it is trusted, a device could not verify a signature by it, and would say so in red.
    fingerprints = [fingerprint_sha256(certificate) for certificate in certificates]
    return plistlib.dumps(
        {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadIdentifier": f"ostiary.{kind}.{fingerprints[0][:32]}",
            "PayloadUUID": _uuid(kind, *fingerprints),
            "PayloadDisplayName": _short(name),
            "PayloadContent": list(payloads),
        }
    )


def _uuid(*parts: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, " ".join(parts))).upper()


def _title(certificate: x509.Certificate) -> str:
    return _short(name_text(certificate.subject))


def _short(name: str) -> str:
    return plain(name)[:_NAME_MAX]
