"""Keep private keys unreadable at rest: encrypted under the key-encryption key, and bound to the place they belong to."""

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ostiary.errors import Unavailable

KEK_BYTES: Final = 32
_NONCE_BYTES: Final = 12  # NIST SP 800-38D 8.2.2: a random 96-bit nonce, good for 2^32 messages under one key.
_VERSION: Final = b"\x01"  # AES-256-GCM: version, nonce, ciphertext and tag.


def new_kek() -> bytes:
    """A new key-encryption key."""
    return secrets.token_bytes(KEK_BYTES)


class Sealer:
    """Seals and opens with one key-encryption key."""

    __slots__ = ("_cipher",)

    def __init__(self, kek: bytes) -> None:
        if len(kek) != KEK_BYTES:
            raise Unavailable(
                f"The key-encryption key has {len(kek)} bytes and must have {KEK_BYTES}: restore the file it is kept in."
            )
        self._cipher = AESGCM(kek)

    def __repr__(self) -> str:
        return "<Sealer>"

    def seal(self, plain: bytes, context: str) -> bytes:
        """Encrypt `plain`. `context` says where it is kept (table, id), so that it cannot be moved elsewhere unnoticed."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, _bound_to(context))

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what `seal` made for the same context; `Unavailable` for another key, another context or changed bytes."""
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        refused = Unavailable(f"{context} cannot be decrypted with this key-encryption key.")
        if sealed[:1] != _VERSION or len(nonce) != _NONCE_BYTES:
            raise refused
        try:
            return self._cipher.decrypt(nonce, ciphertext, _bound_to(context))
        except InvalidTag:
            raise refused from None


def _bound_to(context: str) -> bytes:
    # The version is bound too, so that a later format cannot be passed off as this one.
    return _VERSION + context.encode()
