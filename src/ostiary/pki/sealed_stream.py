"""A stream that is sealed under a passphrase: of any length, in bounded memory, and whole or refused.

The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015) as age has it: pieces of 64 KiB, each sealed with
ChaCha20-Poly1305 under a nonce that counts them and says which is the last. So pieces that were changed, left out, put in another
order, taken from another stream or added are refused, and so is a stream that was cut at the edge of one. The key comes from the
passphrase by Argon2id with a new salt, so no two streams share a key. What is sealed is compressed before.
"""

import base64
import hmac
import json
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, astuple, dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from ostiary.errors import Invalid
from ostiary.pki import kek

MAGIC: Final = b"ostiary sealed stream 1\n"
FIELD: Final = "file"

_HEADER_MAX: Final = 1024
_PIECE: Final = 64 * 1024
_TAG: Final = 16  # octets, RFC 8439 2.8
_MARK: Final = 32
_SALT: Final = 16  # octets, RFC 9106 3.1
_KEY: Final = 32
_PIECES_MAX: Final = 1 << 88  # what 11 octets count
# Four times what we ask for: a file that anybody may hand in must not choose what it costs to refuse it.
_COST_MAX: Final = kek.Cost(iterations=12, lanes=16, memory=512 * 1024)
_AT_ONCE: Final = 1024 * 1024  # of what was compressed: a little of it may stand for very much

Reads = Callable[[int], bytes]


@dataclass(frozen=True)
class _Keys:
    """What is derived from the passphrase: one key to know it again by the header, one for what is sealed."""

    mark: bytes
    content: ChaCha20Poly1305


def sealed(pieces: Iterable[bytes], passphrase: bytes, cost: kek.Cost | None = None) -> Iterator[bytes]:
    """The stream. Takes most of a second and a lot of memory before its first piece, which is what that is for."""
    kek.refuse_short(passphrase)
    cost, salt = cost or kek.Cost(), secrets.token_bytes(_SALT)
    header = _header(salt, cost)
    keys = _keys(passphrase, salt, cost)
    yield MAGIC + len(header).to_bytes(4) + header + _mark(keys, header)
    yield from _sealed(keys.content, _cut(_compressed(pieces)))


def opened(reads: Reads, passphrase: bytes) -> Iterator[bytes]:
    """What was sealed, in pieces of at most 1 MiB. `reads` is as a file's `read`.

    Raises `Invalid` at the first thing that is not as it was written: nothing that was given before then counts unless this ends.
    """
    keys = _opened_header(reads, passphrase)
    inflater = zlib.decompressobj()
    try:
        for plain in _opened(keys.content, reads):
            rest = plain
            while rest:
                yield inflater.decompress(rest, _AT_ONCE)
                rest = inflater.unconsumed_tail
    except zlib.error:
        raise Invalid(FIELD, "what is sealed in it is not as ostiary writes it; it was not made by ostiary backup.") from None
    if not inflater.eof or inflater.unused_data:
        raise Invalid(FIELD, "what is sealed in it does not end as ostiary ends it; it was not made by ostiary backup.")


def _header(salt: bytes, cost: kek.Cost) -> bytes:
    return json.dumps({"kdf": "argon2id", "salt": base64.b64encode(salt).decode("ascii"), **asdict(cost)}).encode()


def _opened_header(reads: Reads, passphrase: bytes) -> _Keys:
    if reads(len(MAGIC)) != MAGIC:
        raise Invalid(FIELD, "it is no backup of ostiary's, or a newer ostiary made it; give a file that ostiary backup wrote.")
    length = int.from_bytes(reads(4))
    header = reads(length) if 0 < length <= _HEADER_MAX else b""
    mark = reads(_MARK)
    if not header or len(header) != length or len(mark) != _MARK:
        raise Invalid(FIELD, "its beginning is damaged; use another copy of it.")
    try:
        keys = _keys(passphrase, *_said(header))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Invalid(FIELD, "its beginning is damaged; use another copy of it.") from None
    if not hmac.compare_digest(mark, _mark(keys, header)):
        raise Invalid(FIELD, "it does not open with this passphrase, or its beginning was altered.")
    return keys


def _said(header: bytes) -> tuple[bytes, kek.Cost]:
    """Salt and cost. Raises `ValueError`, `TypeError` or `KeyError` for what we would not have written."""
    said = json.loads(header)
    salt = base64.b64decode(said["salt"], validate=True)
    cost = kek.Cost(said["iterations"], said["lanes"], said["memory"])
    within = all(0 < asked <= most for asked, most in zip(astuple(cost), astuple(_COST_MAX), strict=True))
    if said["kdf"] != "argon2id" or len(salt) != _SALT or not within:
        raise ValueError
    return salt, cost


def _keys(passphrase: bytes, salt: bytes, cost: kek.Cost) -> _Keys:
    kdf = Argon2id(salt=salt, length=_KEY, iterations=cost.iterations, lanes=cost.lanes, memory_cost=cost.memory, ad=MAGIC)
    key = kdf.derive(passphrase)
    mark, content = (HKDFExpand(SHA256(), _KEY, purpose).derive(key) for purpose in (b"mark", b"content"))
    return _Keys(mark, ChaCha20Poly1305(content))


def _mark(keys: _Keys, header: bytes) -> bytes:
    return hmac.digest(keys.mark, MAGIC + header, "sha256")


def _compressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    deflater = zlib.compressobj(1)
    for piece in pieces:
        yield deflater.compress(piece)
    yield deflater.flush()


def _cut(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The same in pieces of one length, and which is the last. Only the last may be shorter; it is never empty."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) > _PIECE:
            yield bytes(held[:_PIECE]), False
            del held[:_PIECE]
    yield bytes(held), True


def _sealed(cipher: ChaCha20Poly1305, pieces: Iterable[tuple[bytes, bool]]) -> Iterator[bytes]:
    for number, (piece, is_last) in enumerate(pieces):
        yield cipher.encrypt(_nonce(number, is_last), piece, None)


def _opened(cipher: ChaCha20Poly1305, reads: Reads) -> Iterator[bytes]:
    number, piece = 0, _full(reads, _PIECE + _TAG)
    while True:
        following = _full(reads, _PIECE + _TAG)
        yield _piece(cipher, piece, number, is_last=not following)
        if not following:
            return
        number, piece = number + 1, following


def _full(reads: Reads, size: int) -> bytes:
    """As many octets, unless there are fewer left: a pipe gives what it has."""
    found = bytearray()
    while len(found) < size and (more := reads(size - len(found))):
        found += more
    return bytes(found)


def _piece(cipher: ChaCha20Poly1305, piece: bytes, number: int, *, is_last: bool) -> bytes:
    try:
        return cipher.decrypt(_nonce(number, is_last), piece, None)
    except InvalidTag:
        pass
    try:
        cipher.decrypt(_nonce(number, not is_last), piece, None)
    except InvalidTag:
        why = "was altered, is out of its order, or is not there whole" if piece else "is missing"
        raise Invalid(FIELD, f"piece {number + 1} of it {why}; use another copy of it.") from None
    if is_last:
        raise Invalid(FIELD, f"it is cut short after piece {number + 1}; use a copy that is whole.")
    raise Invalid(FIELD, f"something was added to it after its end (piece {number + 1}); use another copy of it.")


def _nonce(number: int, is_last: bool) -> bytes:  # noqa: FBT001 (it is the flag in the nonce)
    if number >= _PIECES_MAX:
        raise Invalid(FIELD, "it is too long")
    return number.to_bytes(11) + bytes([is_last])
