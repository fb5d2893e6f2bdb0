"""Which signatures count: none by a hash that can be forged."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ostiary.errors import Invalid
from ostiary.pki import pem

Signed = x509.Certificate | x509.CertificateSigningRequest | x509.CertificateRevocationList


def refuse_forgeable(signed: Signed, what: str, field: str) -> None:
    """Refuse MD5, SHA-1 (NIST SP 800-131A rev. 2, 3) and algorithms that are not known; `what` names it for the message."""
    try:
        algorithm = signed.signature_hash_algorithm
    except pem.MALFORMED:
        raise Invalid(field, f"{what} is signed with an algorithm that is not known; have it signed with SHA-256.") from None
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        raise Invalid(field, f"{what} is signed with {algorithm.name.upper()}, which can be forged; have it signed with SHA-256.")


def is_signed_by(signed: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` is named in it and its key made the signature."""
    try:
        signed.verify_directly_issued_by(issuer)
    except pem.MALFORMED:
        return False
    return True
