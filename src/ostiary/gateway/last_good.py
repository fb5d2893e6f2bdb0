"""What a gateway serves when no control plane answers, on disk: encrypted, and whole or not there at all.

Written before Envoy is told of a change, so that a keeper that comes back never takes back what Envoy has. So it has to be quick:
what is long (revocation lists, who is in which group) lies in files of its own beside it, each written once.
"""

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ostiary.envoy.resources import Resource
from ostiary.errors import Invalid
from ostiary.files import write_private
from ostiary.gateway.ledger import Contents
from ostiary.xds import wire

_log = structlog.get_logger(source="keeper")

_MAGIC: Final = b"ostiary last-good 2\n"
_BEFORE: Final = b"ostiary last-good 1\n"
_LONG: Final = 64 * 1024  # octets; what is as long has a file of its own
_NONCE: Final = 12  # octets; NIST SP 800-38D 8.2.2: random nonces are good for 2^32 writes under one key
_KEY: Final = 32


class LastGood:
    """One gateway's file, and the key beside it that opens it."""

    def __init__(self, file: Path, key_file: Path) -> None:
        self._file = file
        self._folder = file.with_name(file.name + ".long")
        self._key = _key(key_file)
        self._cipher = AESGCM(self._key)
        self._names: dict[bytes, str] = {}  # of what is long and on the disk, by content

    def save(self, contents: Contents) -> None:
        """Keep this in place of what was kept. On the disk when it returns. Raises `OSError`."""
        both = (*contents.wanted, *contents.good)
        long = {one.body: self._kept_apart(one.body) for one in both if len(one.body) >= _LONG}
        names = [long.get(one.body, "") for one in both]
        listed = (wire.dump(_without(part, long)) for part in (contents.wanted, contents.good))
        plain = b"".join(map(_framed, (*listed, json.dumps(names).encode())))
        self._write(self._file, plain, _MAGIC)
        self._names = long
        self._forget_others()

    def _kept_apart(self, body: bytes) -> str:
        """The name of the file that holds this, written if it is not there."""
        if body in self._names:
            return self._names[body]
        # Keyed, so that the name says nothing of the content.
        name = hashlib.blake2b(body, digest_size=32, key=self._key).hexdigest()
        if not (self._folder / name).exists():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._write(self._folder / name, body, name.encode())
        return name

    def _write(self, file: Path, plain: bytes, purpose: bytes) -> None:
        nonce = secrets.token_bytes(_NONCE)
        sealed = _MAGIC + nonce + self._cipher.encrypt(nonce, plain, purpose)
        fresh = file.with_name(file.name + ".new")
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()  # left by a keeper that died while it wrote
        write_private(fresh, sealed)
        fresh.replace(file)
        _sync(file.parent)

    def _forget_others(self) -> None:
        """Delete what nothing refers to any more, or a keeper that died had begun."""
        if self._folder.exists():
            for file in self._folder.iterdir():
                if file.name not in self._names.values():
                    file.unlink()

    def load(self) -> Contents | None:
        """What was kept; None if there is nothing, or nothing that can be trusted (which is logged, never raised)."""
        if not self._file.exists():
            return None
        try:
            return self._opened(self._file.read_bytes())
        except (OSError, InvalidTag, Invalid) as err:
            _log.error("the last good configuration cannot be read and is ignored", file=str(self._file), reason=repr(err))
            return None

    def _opened(self, sealed: bytes) -> Contents:
        # Before version 2 nothing was kept apart.
        magic = _BEFORE if sealed.startswith(_BEFORE) else _MAGIC
        wanted, rest = _unframed(self._plain(sealed, magic, magic))
        good, rest = _unframed(rest)
        names, _ = _unframed(rest)
        parts = wire.load(wanted), wire.load(good)
        apart = iter(json.loads(names) if names else [""] * sum(map(len, parts)))
        return Contents(*(tuple(self._whole(one, next(apart)) for one in part) for part in parts))

    def _whole(self, resource: Resource, name: str) -> Resource:
        if not name:
            return resource
        body = self._plain((self._folder / name).read_bytes(), _MAGIC, name.encode())
        self._names[body] = name
        return replace(resource, body=body)

    def _plain(self, sealed: bytes, magic: bytes, purpose: bytes) -> bytes:
        start = len(magic) + _NONCE
        if not sealed.startswith(magic) or len(sealed) < start:
            raise Invalid("last-good", "not a file of ours")
        return self._cipher.decrypt(sealed[len(magic) : start], sealed[start:], purpose)


def _without(resources: Iterable[Resource], long: Collection[bytes]) -> list[Resource]:
    return [replace(one, body=b"") if one.body in long else one for one in resources]


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
