"""Keys: make them, read them, say what they are, and refuse the weak ones. Every way into the system comes past here."""

import functools
import hashlib
from typing import Final, Literal, TypeGuard

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ostiary.errors import Invalid
from ostiary.pki import kdf_work, pem

KeySpec = Literal["EC-P256", "EC-P384", "ED25519", "RSA-3072", "RSA-4096"]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_FILE_LIMIT: Final = 64 * 1024
_KEY_LABELS: Final = ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")

# Envoy 1.40 cannot load or verify secp224r1 and secp256k1 ("UNSUPPORTED_ALGORITHM", seen); NIST SP 800-186 lists these.
_CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}

# NIST SP 800-131A: at least 2048 bits; BoringSSL refuses more than 8192 (and uses CPU for every one of them).
_RSA_BITS: Final = (2048, 8192)
# FIPS 186-5 A.1.1 asks for an odd exponent above 2^16; BoringSSL refuses more than 33 bits (rsa_impl.cc).
_RSA_EXPONENT_MIN: Final = 65537
_RSA_EXPONENT_BITS_MAX: Final = 33

# The checks of badkeys that need nothing but the key itself (its blocklist is a download).
_RSA_CHECKS: Final = ("rsainvalid", "smallfactors", "fermat", "roca", "rsapoly", "smalld", "sharedprimes")
_INSTEAD: Final = "make a new key, such as EC P-256 or RSA 3072"


def generate(spec: KeySpec) -> PrivateKey:
    """A new key. RSA takes up to a second or two: keep it off the event loop."""
    match spec:
        case "EC-P256":
            return ec.generate_private_key(ec.SECP256R1())
        case "EC-P384":
            return ec.generate_private_key(ec.SECP384R1())
        case "ED25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "RSA-3072":
            return rsa.generate_private_key(65537, 3072)
        case "RSA-4096":
            return rsa.generate_private_key(65537, 4096)


def to_pem(key: PrivateKey) -> bytes:
    """The key as PKCS#8 PEM, unencrypted: for sealing, and for the engine."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def load(pem_text: bytes, password: bytes | None, field: str) -> PrivateKey:
    """Read one private key, PKCS#8 or the older forms. Weak keys and kinds the engine cannot use are refused.

    Nothing of what `cryptography` says about a key is passed on: its messages may hold parts of it.
    """
    # `openssl ecparam -genkey` writes the curve in a block of its own before the key.
    found = [block for block in pem.blocks(pem_text, field, limit=_FILE_LIMIT) if block.label != "EC PARAMETERS"]
    if len(found) != 1 or found[0].label not in _KEY_LABELS:
        raise Invalid(field, "it must hold one private key in PEM form (-----BEGIN PRIVATE KEY-----) and nothing else.")
    encrypted = found[0].label == "ENCRYPTED PRIVATE KEY" or any(line.endswith(",ENCRYPTED") for line in found[0].lines[:2])
    if encrypted and not password:
        raise Invalid(field, "it is encrypted; give its passphrase too, or give it unencrypted.")
    if password and not encrypted:
        raise Invalid(field, "it is not encrypted, so it takes no passphrase; leave the passphrase out.")
    reason = "it cannot be decrypted with this passphrase" if encrypted else "it is not a private key that can be read"
    unreadable = f"{reason}; check it with 'openssl pkey -check'."
    if found[0].label == "ENCRYPTED PRIVATE KEY":
        kdf_work.refuse_excessive(found[0].octets(field), field, unreadable)
    try:
        key = serialization.load_pem_private_key(found[0].text, password or None)
    except pem.MALFORMED:
        raise Invalid(field, unreadable) from None
    return usable(key, field)


def usable(key: object, field: str) -> PrivateKey:
    """The key itself when it is of a kind and strength we use."""
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise Invalid(field, f"keys of this kind are not supported; {_INSTEAD}.")
    refuse_weak(key.public_key(), field)
    return key


def describe(public_key: object) -> str:
    """Such as "EC P-256", "RSA 3072" or "Ed25519"."""
    match public_key:
        case rsa.RSAPublicKey():
            return f"RSA {public_key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"EC {_CURVES.get(public_key.curve.name, public_key.curve.name)}"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
    return type(public_key).__name__.removesuffix("PublicKey")


def refuse_weak(public_key: object, field: str) -> PublicKey:
    """The key itself; `Invalid` unless it is of a kind the engine can verify and not known to be weak."""
    if not is_supported(public_key):
        raise Invalid(field, f"a key of kind {describe(public_key)} is not supported; {_INSTEAD}.")
    if isinstance(public_key, rsa.RSAPublicKey):
        _refuse_weak_rsa(public_key, field)
    return public_key


def is_supported(public_key: object) -> TypeGuard[PublicKey]:
    """Whether it is of a kind we know: RSA, Ed25519, or EC on a curve the engine can verify."""
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return public_key.curve.name in _CURVES
    return isinstance(public_key, rsa.RSAPublicKey | ed25519.Ed25519PublicKey)


def matches(certificate: x509.Certificate, key: PrivateKey) -> bool:
    """Whether the certificate is for this key."""
    try:
        return spki(certificate.public_key()) == spki(key.public_key())
    except pem.MALFORMED:
        return False  # a key we cannot read is not the one we hold


def spki(public_key: object) -> bytes:
    """The public key as DER SubjectPublicKeyInfo: equal exactly when the keys are."""
    return public_key.public_bytes(  # type: ignore[attr-defined, no-any-return]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def key_sha256(public_key: object) -> str:
    """SHA-256 of the public key as SubjectPublicKeyInfo, hexadecimal: what a key is known by, whatever certificate it is in."""
    return hashlib.sha256(spki(public_key)).hexdigest()


def _refuse_weak_rsa(public_key: rsa.RSAPublicKey, field: str) -> None:
    fewest, most = _RSA_BITS
    if not fewest <= public_key.key_size <= most:
        raise Invalid(field, f"an RSA key of {public_key.key_size} bits is not accepted ({fewest} to {most}); {_INSTEAD}.")
    numbers = public_key.public_numbers()
    if numbers.e < _RSA_EXPONENT_MIN or numbers.e % 2 == 0 or numbers.e.bit_length() > _RSA_EXPONENT_BITS_MAX:
        raise Invalid(field, f"the RSA key's public exponent must be 65537, or odd and a little larger; {_INSTEAD}.")
    if weaknesses := _ways_to_break(numbers.n, numbers.e):
        raise Invalid(field, f"the RSA key is known to be breakable ({', '.join(weaknesses)}); {_INSTEAD}.")


@functools.lru_cache(maxsize=4096)  # 7 ms a key, and a Client CA may hold hundreds that are read again with every change
def _ways_to_break(modulus: int, exponent: int) -> tuple[str, ...]:
    # Imported here because it is needed for RSA only and brings a big-number library with it.
    from badkeys.checks import checkrsa  # noqa: PLC0415 (see above)

    return tuple(checkrsa(modulus, e=exponent, checks=_RSA_CHECKS))
