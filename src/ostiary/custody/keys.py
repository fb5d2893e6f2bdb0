"""Keys that stay where they are: to `cryptography` they are private keys like any other, but all they do is sign.

`CertificateBuilder.sign` and its siblings accept any subclass of the abstract key classes. What would need the private part
raises `Conflict`, for it is not here.
"""

from collections.abc import Callable
from typing import Any, Final, NoReturn, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.utils import Buffer

from ostiary.errors import Conflict, Unavailable
from ostiary.pki.keys import PrivateKey, PublicKey

# What the place where the key is makes of bytes: r and s, one after the other, for ECDSA of a digest; RSASSA-PKCS1-v1_5 without
# the hashing for RSA; EdDSA of the message.
Signs = Callable[[bytes], bytes]

# RFC 8017 9.2, note 1: the DER of a DigestInfo up to the digest.
_DIGEST_INFO: Final = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


def held(public_key: PublicKey, signs: Signs) -> PrivateKey:
    """The key to this public key, which signs elsewhere. Each signature is verified before anybody gets to see it."""
    match public_key:
        case ec.EllipticCurvePublicKey():
            return _HeldECKey(public_key, signs)
        case rsa.RSAPublicKey():
            return _HeldRSAKey(public_key, signs)
    return _HeldEd25519Key(public_key, signs)


class _Held:
    """What they have in common: no private part, and nothing to copy."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__.strip('_')}>"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def _not_here(self, *_: object, **__: object) -> NoReturn:
        raise Conflict("This key is in a PKCS#11 token and never leaves it.")

    private_bytes = private_numbers = private_bytes_raw = exchange = decrypt = _not_here


class _HeldECKey(_Held, ec.EllipticCurvePrivateKey):
    def __init__(self, public_key: ec.EllipticCurvePublicKey, signs: Signs) -> None:
        self._public_key = public_key
        self._signs = signs

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        return self._public_key.key_size

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        if not isinstance(signature_algorithm, ec.ECDSA):
            raise UnsupportedAlgorithm("only ECDSA")
        digest, algorithm = _digest(data, signature_algorithm.algorithm)
        # FIPS 186-5 6.4.1: only as many bits of the digest as the order has. Tokens differ in whether they cut it themselves.
        pair = self._signs(digest[: (self.key_size + 7) // 8])
        half = (self.key_size + 7) // 8
        if len(pair) != 2 * half:
            raise _wrong()
        signature = encode_dss_signature(int.from_bytes(pair[:half]), int.from_bytes(pair[half:]))
        _verified(lambda: self._public_key.verify(signature, digest, ec.ECDSA(Prehashed(algorithm))))
        return signature


class _HeldRSAKey(_Held, rsa.RSAPrivateKey):
    def __init__(self, public_key: rsa.RSAPublicKey, signs: Signs) -> None:
        self._public_key = public_key
        self._signs = signs

    def public_key(self) -> rsa.RSAPublicKey:
        return self._public_key

    @property
    def key_size(self) -> int:
        return self._public_key.key_size

    def sign(self, data: Buffer, padding_: Any, algorithm: Any) -> bytes:
        if not isinstance(padding_, padding.PKCS1v15):
            raise UnsupportedAlgorithm("only PKCS #1 v1.5")
        digest, hash_ = _digest(data, algorithm)
        if hash_.name not in _DIGEST_INFO:
            raise UnsupportedAlgorithm("only SHA-256, SHA-384 and SHA-512")
        signature = self._signs(_DIGEST_INFO[hash_.name] + digest)
        _verified(lambda: self._public_key.verify(signature, digest, padding.PKCS1v15(), Prehashed(hash_)))
        return signature


class _HeldEd25519Key(_Held, ed25519.Ed25519PrivateKey):
    def __init__(self, public_key: ed25519.Ed25519PublicKey, signs: Signs) -> None:
        self._public_key = public_key
        self._signs = signs

    def public_key(self) -> ed25519.Ed25519PublicKey:
        return self._public_key

    def sign(self, data: Buffer) -> bytes:
        signature = self._signs(bytes(data))
        _verified(lambda: self._public_key.verify(signature, data))
        return signature


def _digest(data: Buffer, algorithm: Any) -> tuple[bytes, hashes.HashAlgorithm]:
    """Hashed here, so that a revocation list of 50 MB does not travel; or as it was given."""
    if isinstance(algorithm, Prehashed):
        if len(data) != algorithm.digest_size:
            raise ValueError("The digest is not as long as its algorithm says.")
        return bytes(data), algorithm._algorithm  # noqa: SLF001 (it has no other way to say which)
    if not isinstance(algorithm, hashes.HashAlgorithm):
        raise UnsupportedAlgorithm("only a hash algorithm, or what was hashed with one")
    hashing = hashes.Hash(algorithm)
    hashing.update(data)
    return hashing.finalize(), algorithm


def _verified(verify: Callable[[], None]) -> None:
    # A token that was exchanged, or that computes wrongly, must not get a signature out: a faulty RSA signature gives the key
    # away (Boneh, DeMillo, Lipton 1997).
    try:
        verify()
    except InvalidSignature:
        raise _wrong() from None


def _wrong() -> Unavailable:
    return Unavailable("The PKCS#11 token signed with another key than this authority's; is it the right token?")
