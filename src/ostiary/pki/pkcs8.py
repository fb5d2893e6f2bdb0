"""A private key under a passphrase, as every tool reads it: PKCS#8 with PBES2 (RFC 5958, RFC 8018).

`cryptography` writes the same, but lets whoever guesses the passphrase off with 2,048 rounds. For the key of an authority, kept
for years where others may copy it, that is too cheap.
"""

import base64
import secrets
import textwrap
from typing import Final

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ostiary.pki import der
from ostiary.pki.keys import PrivateKey

ROUNDS: Final = 1_000_000  # above OWASP's 600,000 for PBKDF2 with HMAC-SHA-256 (2023)
_SALT_BYTES: Final = 16
_KEY_BYTES: Final = 32
_BLOCK_BYTES: Final = 16

_PBES2: Final = "1.2.840.113549.1.5.13"
_PBKDF2: Final = "1.2.840.113549.1.5.12"
_HMAC_SHA256: Final = "1.2.840.113549.2.9"
_AES_256_CBC: Final = "2.16.840.1.101.3.4.1.42"


def encrypted(key: PrivateKey, passphrase: str, rounds: int = ROUNDS) -> str:
    """The key as PEM, encrypted. Takes half a second of CPU: keep it off the event loop."""
    salt, vector = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_BLOCK_BYTES)
    derived = PBKDF2HMAC(hashes.SHA256(), _KEY_BYTES, salt, rounds).derive(passphrase.encode())
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    padder = padding.PKCS7(8 * _BLOCK_BYTES).padder()
    cipher = Cipher(algorithms.AES256(derived), modes.CBC(vector)).encryptor()
    sealed = cipher.update(padder.update(plain) + padder.finalize()) + cipher.finalize()
    derivation = der.sequence(
        der.oid(_PBKDF2),
        der.sequence(_octets(salt), der.integer(rounds), der.sequence(der.oid(_HMAC_SHA256), der.NULL)),
    )
    scheme = der.sequence(der.oid(_AES_256_CBC), _octets(vector))
    how = der.sequence(der.oid(_PBES2), der.sequence(derivation, scheme))
    body = "\n".join(textwrap.wrap(base64.b64encode(der.sequence(how, _octets(sealed))).decode("ascii"), 64))
    return f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}\n-----END ENCRYPTED PRIVATE KEY-----\n"


def _octets(content: bytes) -> bytes:
    return der.tlv(der.OCTET_STRING, content)
