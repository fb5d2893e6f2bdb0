"""Online certificate status: read a question, and sign the answer (RFC 6960, RFC 5019, nonces by RFC 9654)."""

import base64
import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ostiary.errors import Invalid
from ostiary.pki import keys, pem, signing
from ostiary.pki.extensions import authority_key_identifier
from ostiary.pki.issue import Issuer
from ostiary.pki.profile import BACKDATE

# A request for one certificate with the longest nonce takes some 300 octets. More is room for a signature that nobody looks at.
REQUEST_MAX: Final = 4096
_TEXT_MAX: Final = 3 * REQUEST_MAX  # in a URL: base64 of that, with some of it percent-encoded
_NONCE: Final = range(1, 129)  # RFC 9654 2.1: other lengths must be refused as malformed

ALGORITHMS: Final[Mapping[str, hashes.HashAlgorithm]] = MappingProxyType(
    # SHA-1 only names the issuer here; nothing rests on it, and it is what most clients send (RFC 5019 2.1.1).
    {"sha1": hashes.SHA1(), "sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}  # noqa: S303 (see above)
)

Failure = Literal["malformedRequest", "internalError", "tryLater", "unauthorized"]
_FAILURES: Final[Mapping[Failure, ocsp.OCSPResponseStatus]] = MappingProxyType(
    {
        "malformedRequest": ocsp.OCSPResponseStatus.MALFORMED_REQUEST,
        "internalError": ocsp.OCSPResponseStatus.INTERNAL_ERROR,
        "tryLater": ocsp.OCSPResponseStatus.TRY_LATER,
        "unauthorized": ocsp.OCSPResponseStatus.UNAUTHORIZED,  # RFC 5019 2.2.3: not one of ours, so we cannot say
    }
)

_RESPONDER: Final = "OCSP responder"


@dataclass(frozen=True)
class Subject:
    """Of which certificate the status is asked: its issuer, by the hashes of its name and key, and its serial number."""

    algorithm: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int

    def is_from(self, authority: x509.Certificate) -> bool:
        """Whether it is this authority's to answer for."""
        return (self.issuer_name_hash, self.issuer_key_hash) == issuer_hashes(authority, self.algorithm)


@dataclass(frozen=True)
class Asked:
    """A question. An answer to one with a nonce is for whoever sent it; one without may be kept and given to others."""

    subject: Subject
    nonce: bytes | None


@dataclass(frozen=True)
class Good:
    """It was issued, and its authority stands by it."""


@dataclass(frozen=True)
class Revoked:
    """Its authority no longer stands by it; `reason` is one of `crl.REASONS`."""

    at: datetime
    reason: str | None = None


@dataclass(frozen=True)
class Unknown:
    """It was never issued, as far as we know. That is not "good": its serial number may be a forger's choice."""


Status = Good | Revoked | Unknown


def read(der: bytes) -> Asked:
    """A request as it came. `Invalid` for what has to be answered `malformedRequest`; what was wrong is for the log."""
    if len(der) > REQUEST_MAX:
        raise Invalid("request", f"it is larger than {REQUEST_MAX} bytes; ask about one certificate.")
    try:
        request = ocsp.load_der_ocsp_request(der)
        nonce = _nonce(request)
        algorithm, hashed = request.hash_algorithm.name, (request.issuer_name_hash, request.issuer_key_hash)
        serial = request.serial_number
    except NotImplementedError:
        raise Invalid("request", "it asks about no certificate or several; ask about one at a time.") from None
    except pem.MALFORMED:
        raise Invalid("request", "it is not an OCSP request that can be read; check it with 'openssl ocsp -reqin'.") from None
    if algorithm not in ALGORITHMS:
        raise Invalid("request", f"the issuer is hashed with {algorithm}; use SHA-1 or SHA-256.")
    if serial < 0:  # no certificate of ours has such a number, and no answer could name it
        raise Invalid("request", "it asks about a negative serial number, which no certificate may have (RFC 5280 4.1.2.2).")
    if {len(value) for value in hashed} != {ALGORITHMS[algorithm].digest_size}:
        raise Invalid("request", f"the hashes of the issuer are not as long as {algorithm} makes them.")
    return Asked(Subject(algorithm, *hashed, serial), nonce)


def from_path(text: str) -> bytes:
    """The request that a URL ends in, DER (RFC 6960 A.1). Forgives the ways in which clients get the base64 wrong.

    `text` may be percent-decoded already or not. Seen in the wild: encoded twice, the alphabet for URLs, padding left out, '+'
    that became a space, and a slash too many before it.
    """
    if len(text) > _TEXT_MAX:
        raise Invalid("request", f"it is longer than {_TEXT_MAX} characters; send it with POST.")
    text = re.sub(r"^/+", "", unquote(unquote(text))).replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        raise Invalid("request", "it is not base64 of an OCSP request; encode it, or send it with POST.") from None


@functools.lru_cache(maxsize=1024)
def issuer_hashes(authority: x509.Certificate, algorithm: str) -> tuple[bytes, bytes]:
    """By which requests name the authority (RFC 6960 4.1.1): hashes of its name, and of its key without what kind it is."""
    octets = (authority.subject.public_bytes(), _key_octets(authority))
    name, key = (hashlib.new(algorithm, part, usedforsecurity=False).digest() for part in octets)
    return name, key


def answer(
    asked: Asked,
    status: Status,
    signer: Issuer,
    authority: x509.Certificate,
    this_update: datetime,
    next_update: datetime,
) -> bytes:
    """A signed answer, DER: the status as known at `this_update`, to be relied on until `next_update`.

    `signer` is the authority itself, or one with a certificate from `signer_certificate`, which then travels with the answer. A
    nonce is given back. When it was made (`producedAt`) is the one thing the library asks the machine's clock for. Raises
    `Invalid` for a question about another authority's certificate, which is to be answered `unauthorized`.
    """
    subject = asked.subject
    if not subject.is_from(authority):
        raise Invalid("request", "it asks about a certificate of another authority; ask that one.")
    code, revoked_at, reason = _said(status)
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response_by_hash(
            subject.issuer_name_hash,
            subject.issuer_key_hash,
            subject.serial,
            ALGORITHMS[subject.algorithm],
            code,
            this_update.replace(microsecond=0),
            next_update.replace(microsecond=0),
            revoked_at,
            reason,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    )
    if signer.certificate != authority:
        builder = builder.certificates([signer.certificate])
    if asked.nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(asked.nonce), critical=False)
    return builder.sign(signer.key, signing.hash_for(signer.key)).public_bytes(Encoding.DER)


def failure(kind: Failure) -> bytes:
    """An answer that says nothing of any certificate, and is not signed (RFC 6960 2.3)."""
    return ocsp.OCSPResponseBuilder.build_unsuccessful(_FAILURES[kind]).public_bytes(Encoding.DER)


def signer_certificate(issuer: Issuer, public_key: keys.PublicKey, at: datetime, lifetime: timedelta) -> x509.Certificate:
    """A certificate that lets another key answer for the issuer (RFC 6960 4.2.2.2), so that the issuer's own is used seldom.

    Nobody asks whether it was revoked (id-pkix-ocsp-nocheck), so its lifetime is to be short. It ends no later than the issuer.
    """
    above = issuer.certificate
    at = at.replace(microsecond=0)
    if not above.not_valid_before_utc <= at < above.not_valid_after_utc:
        raise Invalid("authority", f"it is valid only until {above.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; renew it first.")
    return (
        x509.CertificateBuilder()
        .subject_name(_responder_name(above.subject))
        .issuer_name(above.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(at - BACKDATE, above.not_valid_before_utc))
        .not_valid_after(min(at + lifetime, above.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_DIGITAL_SIGNATURE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
        .add_extension(x509.OCSPNoCheck(), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(authority_key_identifier(above), critical=False)
        .sign(issuer.key, signing.hash_for(issuer.key))
    )


def _nonce(request: ocsp.OCSPRequest) -> bytes | None:
    nonce = None
    for held in request.extensions:
        if isinstance(held.value, x509.OCSPNonce):
            nonce = held.value.nonce
            if len(nonce) not in _NONCE:
                raise Invalid("request", f"its nonce has {len(nonce)} octets; send {_NONCE.start} to {_NONCE.stop - 1}.")
        elif held.critical:
            # RFC 6960 4.4: what is not known is ignored, unless it is critical.
            raise Invalid("request", f"it has a critical extension that is not known ({held.oid.dotted_string}).")
    return nonce


def _said(status: Status) -> tuple[ocsp.OCSPCertStatus, datetime | None, x509.ReasonFlags | None]:
    match status:
        case Good():
            return ocsp.OCSPCertStatus.GOOD, None, None
        case Revoked(at, reason):
            flag = x509.ReasonFlags(reason or "unspecified")
            # As in lists (RFC 5280 5.3.1), no reason is given rather than "unspecified".
            return (
                ocsp.OCSPCertStatus.REVOKED,
                at.replace(microsecond=0),
                None if flag is x509.ReasonFlags.unspecified else flag,
            )
        case Unknown():
            return ocsp.OCSPCertStatus.UNKNOWN, None, None


def _key_octets(authority: x509.Certificate) -> bytes:
    """What the BIT STRING in its SubjectPublicKeyInfo holds."""
    match key := authority.public_key():
        case ec.EllipticCurvePublicKey():
            return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        case ed25519.Ed25519PublicKey():
            return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)


def _responder_name(authority: x509.Name) -> x509.Name:
    """Within the authority's own name, so that constraints on names below it are kept."""
    parts = [x509.RelativeDistinguishedName(part) for part in authority.rdns if not _names(part, NameOID.COMMON_NAME)]
    return x509.Name([*parts, x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, _RESPONDER)])])


def _names(part: x509.RelativeDistinguishedName, kind: x509.ObjectIdentifier) -> bool:
    return any(attribute.oid == kind for attribute in part)


_DIGITAL_SIGNATURE: Final = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
