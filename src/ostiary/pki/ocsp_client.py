"""Ask another authority's OCSP responder about a certificate, and believe its answer only when all of it holds (RFC 6960)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, OCSPExtensionOID
from cryptography.x509.oid import SignatureAlgorithmOID as Signature

from ostiary.errors import Invalid
from ostiary.pki import keys, pem, signatures
from ostiary.pki.crl_rules import CRL
from ostiary.pki.extensions import extension
from ostiary.pki.ocsp import ALGORITHMS, issuer_hashes
from ostiary.pki.trust_rules import who

Status = Literal["good", "revoked", "unknown"]

FIELD: Final = "ocsp_urls"  # the setting that led there
REQUEST_TYPE: Final = "application/ocsp-request"
ANSWER_LIMIT: Final = 64 * 1024
NONCE_OCTETS: Final = 32  # RFC 9654 2.1
SKEW: Final = timedelta(minutes=5)
# Without nextUpdate newer news is always to be had (RFC 6960 4.2.2.1), so an answer like that is believed for a short while only.
_WITHOUT_NEXT: Final = timedelta(days=1)
_ANSWERS_MAX: Final = 100
_CERTIFICATES_MAX: Final = 10

_STATUSES: Final[Mapping[ocsp.OCSPCertStatus, Status]] = {
    ocsp.OCSPCertStatus.GOOD: "good",
    ocsp.OCSPCertStatus.REVOKED: "revoked",
    ocsp.OCSPCertStatus.UNKNOWN: "unknown",
}
_HASHES: Final[Mapping[x509.ObjectIdentifier, hashes.HashAlgorithm]] = {
    Signature.RSA_WITH_SHA256: hashes.SHA256(),
    Signature.RSA_WITH_SHA384: hashes.SHA384(),
    Signature.RSA_WITH_SHA512: hashes.SHA512(),
    Signature.ECDSA_WITH_SHA256: hashes.SHA256(),
    Signature.ECDSA_WITH_SHA384: hashes.SHA384(),
    Signature.ECDSA_WITH_SHA512: hashes.SHA512(),
}


@dataclass(frozen=True)
class Question:
    """What to send, and what the answer must fit: the certificate with this number that this authority issued."""

    issuer: x509.Certificate
    serial: int
    nonce: bytes
    der: bytes


@dataclass(frozen=True)
class Answer:
    """What the authority says of a certificate. `next_update` is None when it does not say when there will be more."""

    status: Status
    revoked_at: datetime | None
    reason: str | None
    this_update: datetime
    next_update: datetime | None
    has_nonce: bool


def question(issuer: x509.Certificate, serial: int, nonce: bytes) -> Question:
    """A request about one certificate; `nonce` are `NONCE_OCTETS` random octets, new for each.

    The issuer is named by SHA-1, as RFC 5019 2.1.1 has it and every responder knows it: it serves to find, not to protect.
    """
    name_hash, key_hash = issuer_hashes(issuer, "sha1")
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(name_hash, key_hash, serial, ALGORITHMS["sha1"])
    request = builder.add_extension(x509.OCSPNonce(nonce), critical=False).build()
    return Question(issuer, serial, nonce, request.public_bytes(Encoding.DER))


def answer(der: bytes, asked: Question, at: datetime, crl: CRL | None = None) -> Answer:
    """What a responder says about `asked`. Raises `Invalid` unless every part of the answer holds.

    `crl` is the issuer's current revocation list where there is one: a responder's own certificate that is not marked as
    exempt (id-pkix-ocsp-nocheck) must not be on it.
    """
    response = _successful(der)
    try:
        single = _about(response, asked)
        _refuse_other_times(single, at)
        has_nonce = _has_nonce(response, asked)
        _refuse_unless_signed(response, asked.issuer, at, crl)
        revoked = single.certificate_status is ocsp.OCSPCertStatus.REVOKED
        return Answer(
            status=_STATUSES[single.certificate_status],
            revoked_at=single.revocation_time_utc if revoked else None,
            reason=single.revocation_reason.value if revoked and single.revocation_reason else None,
            this_update=single.this_update_utc,
            next_update=single.next_update_utc,
            has_nonce=has_nonce,
        )
    except pem.MALFORMED:
        raise Invalid(FIELD, "the OCSP responder's answer cannot be read in full.") from None


def _successful(der: bytes) -> ocsp.OCSPResponse:
    if len(der) > ANSWER_LIMIT:
        raise Invalid(FIELD, f"the OCSP responder's answer is larger than {ANSWER_LIMIT // 1024} KiB.")
    try:
        response = ocsp.load_der_ocsp_response(der)
    except pem.MALFORMED:
        raise Invalid(FIELD, "the OCSP responder's answer cannot be read.") from None
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise Invalid(FIELD, f"the OCSP responder did not answer ({response.response_status.name.lower()}).")
    return response


def _about(response: ocsp.OCSPResponse, asked: Question) -> ocsp.OCSPSingleResponse:
    """The one part of the answer that is about this certificate of this issuer."""
    found = []
    for number, single in enumerate(response.responses):
        if number >= _ANSWERS_MAX:
            raise Invalid(FIELD, f"the OCSP responder's answer is about more than {_ANSWERS_MAX} certificates.")
        if single.serial_number == asked.serial and _names_issuer(single, asked.issuer):
            found.append(single)
    if len(found) != 1:
        raise Invalid(FIELD, "the OCSP responder's answer is not about the certificate that was asked after.")
    return found[0]


def _names_issuer(single: ocsp.OCSPSingleResponse, issuer: x509.Certificate) -> bool:
    algorithm = single.hash_algorithm.name
    return algorithm in ALGORITHMS and (single.issuer_name_hash, single.issuer_key_hash) == issuer_hashes(issuer, algorithm)


def _refuse_other_times(single: ocsp.OCSPSingleResponse, at: datetime) -> None:
    this, following = single.this_update_utc, single.next_update_utc
    if this > at + SKEW:
        raise Invalid(FIELD, f"the OCSP responder's answer begins only at {this:%Y-%m-%d %H:%M} UTC; check this machine's clock.")
    ends = this + _WITHOUT_NEXT if following is None else following
    if at >= ends:
        raise Invalid(FIELD, f"the OCSP responder's answer ended at {ends:%Y-%m-%d %H:%M} UTC.")


def _has_nonce(response: ocsp.OCSPResponse, asked: Question) -> bool:
    """Whether the nonce came back. A responder may leave it out (it hands out answers made before), not change it."""
    has_nonce = False
    for held in response.extensions:
        if held.oid == OCSPExtensionOID.NONCE and isinstance(held.value, x509.OCSPNonce):
            if held.value.nonce != asked.nonce:
                raise Invalid(FIELD, "the OCSP responder's answer is to another question (its nonce differs).")
            has_nonce = True
        elif held.critical:
            oid = held.oid.dotted_string
            raise Invalid(FIELD, f"the OCSP responder's answer has a critical extension that is not known here ({oid}).")
    return has_nonce


def _refuse_unless_signed(response: ocsp.OCSPResponse, issuer: x509.Certificate, at: datetime, crl: CRL | None) -> None:
    """RFC 6960 4.2.2.2: by the issuer itself, or by one whom the issuer itself made its responder."""
    why = "is not signed by the authority, nor by a responder that it named"
    for signer in _signers(response, issuer):
        if not _is_signed_by(response, signer):
            continue
        if signer == issuer:
            return
        reason = _unfit(signer, issuer, at, crl)
        if reason is None:
            return
        why = f"is signed by {who(signer)}, {reason}"
    raise Invalid(FIELD, f"the OCSP responder's answer {why}.")


def _signers(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> Iterator[x509.Certificate]:
    """Who may have signed: those whom the answer names as its responder."""
    for candidate in (issuer, *response.certificates[:_CERTIFICATES_MAX]):
        if response.responder_name is not None:
            named = candidate.subject == response.responder_name
        else:
            named = issuer_hashes(candidate, "sha1")[1] == response.responder_key_hash  # RFC 6960 4.2.1 byKey
        if named:
            yield candidate


def _unfit(responder: x509.Certificate, issuer: x509.Certificate, at: datetime, crl: CRL | None) -> str | None:
    """Why a responder may not speak for an issuer; None when it may."""
    purposes = extension(responder, x509.ExtendedKeyUsage) or ()
    usage = extension(responder, x509.KeyUsage)
    if not signatures.is_signed_by(responder, issuer):
        return "which that authority did not issue"
    if ExtendedKeyUsageOID.OCSP_SIGNING not in purposes or (usage is not None and not usage.digital_signature):
        return "which was not made a responder (extended key usage OCSPSigning)"
    if not responder.not_valid_before_utc <= at <= responder.not_valid_after_utc:
        return "which is not valid now"
    try:
        signatures.refuse_forgeable(responder, "it", FIELD)
        keys.refuse_weak(responder.public_key(), FIELD)
    except Invalid as weakness:
        return f"which is not strong enough: {weakness.message.rstrip('.')}"
    return _withdrawn(responder, crl)


def _withdrawn(responder: x509.Certificate, crl: CRL | None) -> str | None:
    """RFC 6960 4.2.2.2.1: whether a responder was revoked is asked too, unless its authority said not to."""
    if extension(responder, x509.OCSPNoCheck) is not None:
        return None
    if crl is None:
        return "of which nothing says that it is not revoked (no id-pkix-ocsp-nocheck, and no revocation list of the authority)"
    return "which is revoked" if crl.get_revoked_certificate_by_serial_number(responder.serial_number) else None


def _is_signed_by(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, algorithm = signer.public_key(), response.signature_algorithm_oid
    signature, content = response.signature, response.tbs_response_bytes
    digest = _HASHES.get(algorithm)
    try:
        match key:
            case rsa.RSAPublicKey() if digest is not None:
                key.verify(signature, content, padding.PKCS1v15(), digest)
            case ec.EllipticCurvePublicKey() if digest is not None:
                key.verify(signature, content, ec.ECDSA(digest))
            case ed25519.Ed25519PublicKey() if algorithm == Signature.ED25519:
                key.verify(signature, content)
            case _:
                return False  # SHA-1, MD5, and what is not known
    except pem.MALFORMED:
        return False
    return True
