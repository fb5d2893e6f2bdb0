"""What a gateway serves when no control plane answers, on disk: encrypted, and whole or not there at all.

Written before Envoy is told of a change, so that a keeper that comes back never takes back what Envoy has.
"""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ostiary.errors import Invalid
from ostiary.files import write_private
from ostiary.gateway.ledger import Contents
from ostiary.xds import wire

_log = structlog.get_logger(source="keeper")

_MAGIC: Final = b"ostiary last-good 1\n"
_NONCE: Final = 12  # octets; NIST SP 800-38D 8.2.2: random nonces are good for 2^32 writes under one key
_KEY: Final = 32


class LastGood:
    """One gateway's file, and the key beside it that opens it."""

    def __init__(self, file: Path, key_file: Path) -> None:
        self._file = file
        self._cipher = AESGCM(_key(key_file))

    def save(self, contents: Contents) -> None:
        """Keep this in place of what was kept. On the disk when it returns. Raises `OSError`."""
        plain = _framed(wire.dump(contents.wanted)) + _framed(wire.dump(contents.good))
        nonce = secrets.token_bytes(_NONCE)
        sealed = _MAGIC + nonce + self._cipher.encrypt(nonce, plain, _MAGIC)
        fresh = self._file.with_name(self._file.name + ".new")
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()  # left by a keeper that died while it wrote
        write_private(fresh, sealed)
        fresh.replace(self._file)
        _sync(self._file.parent)

    def load(self) -> Contents | None:
        """What was kept; None if there is nothing, or nothing that can be trusted (which is logged, never raised)."""
        try:
            return self._opened(self._file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, InvalidTag, Invalid) as err:
            _log.error("the last good configuration cannot be read and is ignored", file=str(self._file), reason=repr(err))
            return None

    def _opened(self, sealed: bytes) -> Contents:
        start = len(_MAGIC) + _NONCE
        if not sealed.startswith(_MAGIC) or len(sealed) < start:
            raise Invalid("last-good", "not a file of ours")
        plain = self._cipher.decrypt(sealed[len(_MAGIC) : start], sealed[start:], _MAGIC)
        wanted, rest = _unframed(plain)
        good, _ = _unframed(rest)
        return Contents(wire.load(wanted), wire.load(good))


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(8) + data


def _unframed(data: bytes) -> tuple[bytes, bytes]:
    end = 8 + int.from_bytes(data[:8])
    return data[8:end], data[end:]


def _key(file: Path) -> bytes:
    """The key, made at first use. A damaged one is replaced: what it sealed is lost, and the control plane has it all."""
    with contextlib.suppress(FileNotFoundError):
        if len(key := file.read_bytes()) == _KEY:
            return key
        _log.error("the gateway's key is damaged; making a new one", file=str(file))
        file.unlink()
    key = AESGCM.generate_key(_KEY * 8)
    write_private(file, key)
    _sync(file.parent)
    return key


def _sync(folder: Path) -> None:
    """A new name in a folder is on the disk once the folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
