"""Which signatures the engine finds good: the algorithms of BoringSSL, by `cryptography`'s hands."""

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from ostiary.pki import pem, tlv

OID = tuple[int, ...]

_RSA: Final[OID] = (1, 2, 840, 113549, 1, 1)
_ECDSA: Final[OID] = (1, 2, 840, 10045, 4)
_SHA2: Final[OID] = (2, 16, 840, 1, 101, 3, 4, 2)
_MGF1: Final[OID] = (*_RSA, 8)
_PSS: Final[OID] = (*_RSA, 10)
_ED25519: Final[OID] = (1, 3, 101, 112)

# By what the digest is made. MD5 is not among them, SHA-1 is.
_PKCS1: Final[dict[OID, hashes.HashAlgorithm]] = {
    (*_RSA, 5): hashes.SHA1(),  # noqa: S303 (the engine takes it; our import does not)
    (*_RSA, 14): hashes.SHA224(),
    (*_RSA, 11): hashes.SHA256(),
    (*_RSA, 12): hashes.SHA384(),
    (*_RSA, 13): hashes.SHA512(),
}
_EC: Final[dict[OID, hashes.HashAlgorithm]] = {
    (*_ECDSA, 1): hashes.SHA1(),  # noqa: S303 (see above)
    (*_ECDSA, 3, 1): hashes.SHA224(),
    (*_ECDSA, 3, 2): hashes.SHA256(),
    (*_ECDSA, 3, 3): hashes.SHA384(),
    (*_ECDSA, 3, 4): hashes.SHA512(),
}
_OF_PSS: Final[dict[OID, hashes.HashAlgorithm]] = {
    (*_SHA2, 1): hashes.SHA256(),
    (*_SHA2, 2): hashes.SHA384(),
    (*_SHA2, 3): hashes.SHA512(),
}
_FORGEABLE: Final = frozenset({(*_RSA, 3), (*_RSA, 4)})  # by MD4 and MD5
_FAMILIES: Final[dict[type, frozenset[OID]]] = {
    rsa.RSAPublicKey: frozenset({*_PKCS1, *_FORGEABLE, _PSS}),
    ec.EllipticCurvePublicKey: frozenset(_EC),
    ed25519.Ed25519PublicKey: frozenset({_ED25519}),
}
_NO_PARAMETERS: Final = (b"", b"\x05\x00")


@dataclass(frozen=True)
class Signed:
    """What was signed, by which algorithm (said outside and inside), and the signature (a BIT STRING's content)."""

    content: bytes
    algorithm: tlv.Value
    algorithm_inside: tlv.Value
    bits: bytes

    def algorithm_name(self) -> str:
        """For people."""
        kind = tlv.object_identifier(self.algorithm.parts()[0].content)
        digest = _PKCS1.get(kind) or _EC.get(kind)
        if digest is None:
            return {_PSS: "RSA-PSS", _ED25519: "Ed25519"}.get(kind, ".".join(map(str, kind)))
        return f"{'RSA' if kind in _PKCS1 else 'ECDSA'} with {digest.name.upper()}"


def fault(signed: Signed, key: object) -> str | None:
    """Why the engine does not count a signature as made by this key, in its library's words; None when it does."""
    if signed.algorithm.whole != signed.algorithm_inside.whole:
        return "SIGNATURE_ALGORITHM_MISMATCH"
    kind, *parameters = signed.algorithm.parts()
    number = tlv.object_identifier(kind.content)
    said = b"".join(parameter.whole for parameter in parameters)
    if wrong := _unfit(number, said, key):
        return wrong
    return None if signed.bits[:1] == b"\x00" and _holds(key, number, _of_pss(said), signed) else "BAD_SIGNATURE"


def _unfit(number: OID, parameters: bytes, key: object) -> str | None:
    """What is wrong with an algorithm before anything is computed."""
    wanted = next((family for family, known in _FAMILIES.items() if number in known), None)
    if wanted is None:
        return "UNKNOWN_SIGNATURE_ALGORITHM"
    if not isinstance(key, wanted):
        return "WRONG_PUBLIC_KEY_TYPE"
    if number in _FORGEABLE:
        return "DIGEST_AND_KEY_TYPE_NOT_SUPPORTED"
    if number == _PSS:
        return None if _of_pss(parameters) else "INVALID_PSS_PARAMETERS"
    return None if parameters in (_NO_PARAMETERS if number != _ED25519 else (b"",)) else "INVALID_PARAMETER"


def _holds(key: object, number: OID, of_pss: hashes.HashAlgorithm | None, signed: Signed) -> bool:
    signature, content = signed.bits[1:], signed.content
    try:
        match key:
            case rsa.RSAPublicKey() if number == _PSS and of_pss is not None:
                key.verify(signature, content, padding.PSS(padding.MGF1(of_pss), of_pss.digest_size), of_pss)
            case rsa.RSAPublicKey():
                key.verify(signature, content, padding.PKCS1v15(), _PKCS1[number])
            case ec.EllipticCurvePublicKey():
                key.verify(signature, content, ec.ECDSA(_EC[number]))
            case ed25519.Ed25519PublicKey():
                key.verify(signature, content)
    except pem.MALFORMED:
        return False
    return True


def _of_pss(parameters: bytes) -> hashes.HashAlgorithm | None:
    """The digest of RSA-PSS parameters (RFC 4055 3.1) that use one digest throughout and a salt as long as it."""
    try:
        said = {part.kind[1]: part.inner() for part in tlv.only(parameters).parts()}
        digest = _OF_PSS[_algorithm(said[0])[0]]
        mask, of_mask = _algorithm(said[1])
        same = mask == _MGF1 and of_mask is not None and _OF_PSS[_algorithm(of_mask)[0]] is digest
        fits = said[2].content == bytes((digest.digest_size,)) and (3 not in said or said[3].content == b"\x01")
    except (ValueError, KeyError):
        return None
    return digest if same and fits else None


def _algorithm(value: tlv.Value) -> tuple[OID, tlv.Value | None]:
    kind, *parameters = value.parts()
    return tlv.object_identifier(kind.content), parameters[0] if parameters else None
