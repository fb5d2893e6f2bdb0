"""Which public keys the engine can use: those of holders at the handshake, and of authorities in a chain (all seen)."""

from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ostiary.pki import pem, tlv

_RSA_BITS_MAX: Final = 16_384
_RSA_EXPONENT_BITS_MAX: Final = 33

_CURVES_OF_AUTHORITIES: Final = ("secp224r1", "secp256r1", "secp384r1", "secp521r1")

# Object identifiers, as they are encoded. Of a kind that it does not know the engine does not ask whether it is one at all.
_RSA: Final = bytes.fromhex("2a864886f70d010101")
_EC: Final = bytes.fromhex("2a8648ce3d0201")
_ED25519: Final = bytes.fromhex("2b6570")
_CURVES_OF_HOLDERS: Final = frozenset(map(bytes.fromhex, ("2a8648ce3d030107", "2b81040022", "2b81040023")))
# ML-DSA: the engine reads such keys, but no handshake may be signed with them (`envoy.tls`).
_ML_DSA: Final = frozenset(map(bytes.fromhex, ("608648016503040311", "608648016503040312", "608648016503040313")))


def of_authority(spki: bytes) -> object | None:
    """The key, when the engine can verify with it."""
    key = _read(spki)
    match key:
        case rsa.RSAPublicKey():
            return key if _is_bearable(key) else None
        case ec.EllipticCurvePublicKey():
            return key if key.curve.name in _CURVES_OF_AUTHORITIES else None
        case ed25519.Ed25519PublicKey():
            return key
    return None


def fault_of_holder(spki: bytes) -> str | None:
    """Why the engine does not take a certificate for this key, in its libraries' words; None when it does."""
    try:
        kind, parameters = _algorithm(spki)
        curve = _object_identifier(parameters)[0] if kind == _EC else None
    except ValueError:
        return "DECODE_ERROR"
    if kind not in (_RSA, _EC, _ED25519, *_ML_DSA) or (curve is not None and curve not in _CURVES_OF_HOLDERS):
        return "UNSUPPORTED_ALGORITHM"
    if kind in _ML_DSA:
        return None
    key = _read(spki)
    if key is None or (isinstance(key, rsa.RSAPublicKey) and not _is_bearable(key)):
        return "DECODE_ERROR"
    return None


def may_sign_handshakes(spki: bytes) -> bool:
    """Whether a holder of this key can prove it with a signature that we accept."""
    return _algorithm(spki)[0] not in _ML_DSA


def _algorithm(spki: bytes) -> tuple[bytes, bytes]:
    """The kind of key, and its parameters, not yet read."""
    about, key = tlv.sequence(spki).parts()
    if about.kind != tlv.SEQUENCE or key.kind != tlv.BIT_STRING or key.content[:1] != b"\x00":
        raise tlv.NotDER("no public key")
    return _object_identifier(about.content)


def _object_identifier(data: bytes) -> tuple[bytes, bytes]:
    kind, rest = tlv.first(data)
    if kind.kind != tlv.OBJECT_IDENTIFIER:
        raise tlv.NotDER("no kind")
    return kind.content, rest


def _is_bearable(key: rsa.RSAPublicKey) -> bool:
    exponent = key.public_numbers().e
    return key.key_size <= _RSA_BITS_MAX and exponent.bit_length() <= _RSA_EXPONENT_BITS_MAX


def _read(spki: bytes) -> object | None:
    try:
        return serialization.load_der_public_key(spki)
    except pem.MALFORMED:
        return None
