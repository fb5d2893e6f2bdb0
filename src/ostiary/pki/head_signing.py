"""Heads of the record: signed with a key of the system, so that whoever was given one can tell that the record is still that one.

Ed25519 (RFC 8032): deterministic, and the same answer from every library. The statement that is signed is text, and nothing else
of ours begins like it.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

_FIRST_LINE: Final = "ostiary audit head"


@dataclass(frozen=True)
class Head:
    """Where the record stood: the last entry, its hash, and our word for it (base64)."""

    sequence: int
    at: datetime
    hash: str
    key_id: str
    signature: str


@dataclass(frozen=True)
class NewKey:
    """A key to sign heads with. `private` is to be sealed at once; `id` is the SHA-256 of the public key."""

    id: str
    public_key: str
    private: bytes

    def __repr__(self) -> str:
        return f"NewKey({self.id})"


def new_key() -> NewKey:
    """A new key."""
    key = Ed25519PrivateKey.generate()
    return NewKey(key_id(key.public_key()), _pem(key.public_key()), key.private_bytes_raw())


def signed(private: bytes, sequence: int, hash_: str, at: datetime) -> Head:
    """The head at this entry."""
    key = Ed25519PrivateKey.from_private_bytes(private)
    its_id = key_id(key.public_key())
    signature = key.sign(statement(sequence, hash_, at, its_id))
    return Head(sequence, at, hash_, its_id, base64.b64encode(signature).decode())


def verifies(head: Head, public_key: str) -> bool:
    """Whether that key signed this head."""
    key = load_pem_public_key(public_key.encode())
    if not isinstance(key, Ed25519PublicKey) or key_id(key) != head.key_id:
        return False
    try:
        key.verify(base64.b64decode(head.signature, validate=True), statement(head.sequence, head.hash, head.at, head.key_id))
    except (ValueError, InvalidSignature):
        return False
    return True


def belongs(private: bytes, public_key: str) -> bool:
    """Whether these two are one key."""
    return _pem(Ed25519PrivateKey.from_private_bytes(private).public_key()) == public_key


def statement(sequence: int, hash_: str, at: datetime, its_id: str) -> bytes:
    """What is signed."""
    return "\n".join((_FIRST_LINE, str(sequence), hash_, at.isoformat(), its_id, "")).encode()


def key_id(key: Ed25519PublicKey) -> str:
    """SHA-256 of a public key (SubjectPublicKeyInfo, DER), in hex."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _pem(key: Ed25519PublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
