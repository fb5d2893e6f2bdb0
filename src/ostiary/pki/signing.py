"""How one of our keys signs: with which hash, and what a signature of that kind is called on the wire."""

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.x509.oid import SignatureAlgorithmOID

from ostiary.pki import der, keys

Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512

_ECDSA: Final = {
    "sha256": SignatureAlgorithmOID.ECDSA_WITH_SHA256,
    "sha384": SignatureAlgorithmOID.ECDSA_WITH_SHA384,
    "sha512": SignatureAlgorithmOID.ECDSA_WITH_SHA512,
}


def hash_for(key: keys.PrivateKey) -> Hash | None:
    """As strong as the key (RFC 5758, NIST SP 800-57): Ed25519 brings its own."""
    match key:
        case ed25519.Ed25519PrivateKey():
            return None
        case ec.EllipticCurvePrivateKey():
            return _hash_for_curve(key.curve)
    return hashes.SHA256()


def sign(key: keys.PrivateKey, message: bytes) -> bytes:
    """The signature, as `algorithm` says. Asks of the key nothing but `sign`, so it may live in a token."""
    match key:
        case ed25519.Ed25519PrivateKey():
            return key.sign(message)
        case ec.EllipticCurvePrivateKey():
            return key.sign(message, ec.ECDSA(_hash_for_curve(key.curve)))
    return key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def algorithm(key: keys.PrivateKey) -> bytes:
    """The AlgorithmIdentifier of what `sign` makes, DER. RSA's has NULL parameters (RFC 4055 5), the others' none."""
    match key:
        case ed25519.Ed25519PrivateKey():
            return der.sequence(der.oid(SignatureAlgorithmOID.ED25519.dotted_string))  # RFC 8410 3
        case ec.EllipticCurvePrivateKey():
            return der.sequence(der.oid(_ECDSA[_hash_for_curve(key.curve).name].dotted_string))  # RFC 5758 3.2
    return der.sequence(der.oid(SignatureAlgorithmOID.RSA_WITH_SHA256.dotted_string), der.NULL)


def _hash_for_curve(curve: ec.EllipticCurve) -> Hash:
    if curve.key_size > 384:
        return hashes.SHA512()
    return hashes.SHA384() if curve.key_size > 256 else hashes.SHA256()
