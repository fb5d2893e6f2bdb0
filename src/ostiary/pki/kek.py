"""What the file `kek` holds: the key-encryption key as it is, or sealed under a passphrase.

The plain form is the key in base64, and nothing else. Every other form is JSON with a version. There may be two keys: while one
takes the place of the other, either may be the one the database was written with (`ops.rekey`).
"""

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from ostiary.errors import Invalid, Unavailable
from ostiary.pki.sealing import KEK_BYTES, Sealer

FILE_LIMIT: Final = 16 * 1024
SHORTEST: Final = 12
LONGEST: Final = 1024

_VERSION: Final = 1
_CONTEXT: Final = "kek"
_KEYS_MAX: Final = 2
_SALT_BYTES: Final = 16  # RFC 9106 3.1
_MEMORY_MAX: Final = 4 * 1024 * 1024  # 4 GiB: a file that asks for more was not written by us
_ITERATIONS_MAX: Final = 64
_LANES_MAX: Final = 64


@dataclass(frozen=True)
class Cost:
    """How dear a guess is: Argon2id's parameters, memory in KiB. The default is twice the memory of RFC 9106's second choice."""

    iterations: int = 3
    lanes: int = 4
    memory: int = 128 * 1024


def plain(keys: Sequence[bytes]) -> bytes:
    """The file without a passphrase: whoever can read it has the keys."""
    if len(keys) == 1:
        return base64.b64encode(keys[0])
    return _json({"keys": [_text(key) for key in keys]})


def protected(keys: Sequence[bytes], passphrase: bytes, cost: Cost | None = None) -> bytes:
    """The file under a passphrase. Takes most of a second and a lot of memory, which is what it is for."""
    refuse_short(passphrase)
    cost, salt = cost or Cost(), secrets.token_bytes(_SALT_BYTES)
    sealer = _sealer(passphrase, salt, cost)
    protection = {"kdf": "argon2id", "salt": _text(salt), **asdict(cost)}
    return _json({"protection": protection, "sealed": [_text(sealer.seal(key, _CONTEXT)) for key in keys]})


def needs_passphrase(content: bytes) -> bool:
    """Whether it is of no use without one."""
    return b'"protection"' in content


def read(content: bytes, passphrase: bytes | None) -> tuple[bytes, ...]:
    """The key, or both while one takes the place of the other. Raises `Unavailable`; nothing of the content is in the message."""
    try:
        return _read(content, passphrase)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Unavailable("it does not hold a key-encryption key; restore it from your backup.") from None


def refuse_short(passphrase: bytes) -> None:
    """Raises `Invalid` for one that Argon2id could not make up for."""
    if not SHORTEST <= len(passphrase) <= LONGEST:
        raise Invalid("passphrase", f"it must have {SHORTEST} to {LONGEST} bytes; five or more random words are a good one")


def _read(content: bytes, passphrase: bytes | None) -> tuple[bytes, ...]:
    if not content.lstrip().startswith(b"{"):
        return (_key(base64.b64decode(content, validate=True)),)
    held = json.loads(content)
    if held["version"] != _VERSION:
        raise Unavailable("a newer ostiary wrote it; use that one.")
    if "protection" not in held:
        return _some([_key(_bytes(text)) for text in held["keys"]])
    if passphrase is None:
        raise Unavailable("it is protected by a passphrase; set OSTIARY_PASSPHRASE_FILE to a file that holds it.")
    how = held["protection"]
    if how["kdf"] != "argon2id":
        raise ValueError(how["kdf"])
    sealer = _sealer(passphrase, _bytes(how["salt"]), Cost(how["iterations"], how["lanes"], how["memory"]))
    try:
        return _some([_key(sealer.open(_bytes(text), _CONTEXT)) for text in held["sealed"]])
    except Unavailable:
        raise Unavailable("it does not open with this passphrase.") from None


def _sealer(passphrase: bytes, salt: bytes, cost: Cost) -> Sealer:
    if not (0 < cost.iterations <= _ITERATIONS_MAX and 0 < cost.lanes <= _LANES_MAX and 0 < cost.memory <= _MEMORY_MAX):
        raise ValueError(cost)
    kdf = Argon2id(
        salt=salt, length=KEK_BYTES, iterations=cost.iterations, lanes=cost.lanes, memory_cost=cost.memory, ad=_CONTEXT.encode()
    )
    return Sealer(kdf.derive(passphrase))


def _some(keys: list[bytes]) -> tuple[bytes, ...]:
    if not 1 <= len(keys) <= _KEYS_MAX:
        raise ValueError(len(keys))
    return tuple(keys)


def _key(key: bytes) -> bytes:
    if len(key) != KEK_BYTES:
        raise ValueError(len(key))
    return key


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps({"version": _VERSION, **value}, indent=1).encode()


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
