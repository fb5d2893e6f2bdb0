"""Which public keys the engine can use: those of holders at the handshake, and of authorities in a chain (all seen)."""

from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ostiary.pki import pem, tlv

_RSA_BITS_MAX: Final = 16_384
_RSA_EXPONENT_BITS_MAX: Final = 33

_OF_HOLDERS: Final = ("secp256r1", "secp384r1", "secp521r1")
_OF_AUTHORITIES: Final = ("secp224r1", *_OF_HOLDERS)

# 2.16.840.1.101.3.4.3.17 to 19, ML-DSA: the engine reads such keys, but no handshake may be signed with them (`envoy.tls`).
_ML_DSA: Final = frozenset((2, 16, 840, 1, 101, 3, 4, 3, last) for last in (17, 18, 19))
_RSA: Final = (1, 2, 840, 113549, 1, 1, 1)
_EC: Final = (1, 2, 840, 10045, 2, 1)


def of_authority(spki: bytes) -> object | None:
    """The key, when the engine can verify with it."""
    key = _read(spki)
    match key:
        case rsa.RSAPublicKey():
            return key if _is_bearable(key) else None
        case ec.EllipticCurvePublicKey():
            return key if key.curve.name in _OF_AUTHORITIES else None
        case ed25519.Ed25519PublicKey():
            return key
    return None


def fault_of_holder(spki: bytes) -> str | None:
    """Why the engine does not take a certificate for this key, in its libraries' words; None when it does."""
    kind = algorithm(spki)
    if kind not in (_RSA, _EC, (1, 3, 101, 112), *_ML_DSA):
        return "UNSUPPORTED_ALGORITHM"
    key = _read(spki)
    match key:
        case rsa.RSAPublicKey():
            return None if _is_bearable(key) else "DECODE_ERROR"
        case ec.EllipticCurvePublicKey():
            return None if key.curve.name in _OF_HOLDERS else "UNSUPPORTED_ALGORITHM"
    return None if kind in _ML_DSA or key is not None else "DECODE_ERROR"


def may_sign_handshakes(spki: bytes) -> bool:
    """Whether a holder of this key can prove it with a signature that we accept."""
    return algorithm(spki) not in _ML_DSA


def algorithm(spki: bytes) -> tuple[int, ...]:
    """The kind of key, as an object identifier. Raises `NotDER`."""
    about, _ = tlv.only(spki).parts()
    return tlv.object_identifier(about.parts()[0].content)


def _is_bearable(key: rsa.RSAPublicKey) -> bool:
    exponent = key.public_numbers().e
    return key.key_size <= _RSA_BITS_MAX and exponent.bit_length() <= _RSA_EXPONENT_BITS_MAX


def _read(spki: bytes) -> object | None:
    try:
        return serialization.load_der_public_key(spki)
    except pem.MALFORMED:
        return None
