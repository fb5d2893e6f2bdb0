"""What a gateway serves when no control plane answers, on disk: encrypted, and whole or not there at all.

Written before Envoy is told of a change, so that a keeper that comes back never takes back what Envoy has. So it has to be quick:
what is long (revocation lists, who is in which group) lies in files of its own beside it, each written once; and what changed
since the whole was written is noted in a second file, whose room is there already: one wait for the disk is all it takes.
"""

import contextlib
import hashlib
import itertools
import json
import os
import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ostiary.envoy.resources import Key, Resource
from ostiary.errors import Invalid
from ostiary.files import write_private
from ostiary.gateway.ledger import Contents
from ostiary.gateway.notes import Notes
from ostiary.xds import wire

_log = structlog.get_logger(source="keeper")

_MAGIC: Final = b"ostiary last-good 2\n"
_BEFORE: Final = b"ostiary last-good 1\n"
_LONG: Final = 64 * 1024  # octets; what is as long has a file of its own
_IN_A_ROOM: Final = 16  # notes of the longest that may be noted
_NONCE: Final = 12  # octets; NIST SP 800-38D 8.2.2: random nonces are good for 2^32 writes under one key
_KEY: Final = 32
Resources = Mapping[Key, Resource]


class LastGood:
    """One gateway's files, and the key beside them that opens them."""

    def __init__(self, file: Path, key_file: Path) -> None:
        self._file = file
        self._folder = file.with_name(file.name + ".long")
        self._key = _key(key_file)
        self._cipher = AESGCM(self._key)
        self._names: dict[bytes, str] = {}  # of what is long and on the disk, by content
        self._wanted: Resources = {}
        self._good: Resources = {}
        self._notes: Notes | None = None  # None until the whole was written by us: what is there may be damaged

    def save(self, contents: Contents) -> None:
        """Keep this in place of what was kept. On the disk when it returns. Raises `OSError`."""
        self.keep({one.key: one for one in contents.wanted}, {one.key: one for one in contents.good})

    def keep(self, wanted: Resources, good: Resources) -> None:
        """The same, for who has them by name. Neither may change afterwards."""
        news = _News.between((self._wanted, self._good), (wanted, good))
        if self._notes is None or self._is_long(news) or (news.is_any and not self._notes.add(news.written())):
            self._notes = None
            self._write_whole(Contents(tuple(wanted.values()), tuple(good.values())))
        self._wanted, self._good = wanted, good

    def _is_long(self, news: "_News") -> bool:
        """Too long to be noted: what a whole that is longer still has room for is noted all the same."""
        return news.longest >= max(_LONG, self._notes.room // _IN_A_ROOM if self._notes else 0)

    def _write_whole(self, contents: Contents) -> None:
        both = (*contents.wanted, *contents.good)
        long = {one.body: self._kept_apart(one.body) for one in both if len(one.body) >= _LONG}
        names = [long.get(one.body, "") for one in both]
        listed = (wire.dump(_without(part, long)) for part in (contents.wanted, contents.good))
        plain = b"".join(map(_framed, (*listed, json.dumps(names).encode())))
        nonce = self._write(self._file, plain, _MAGIC)
        self._names = long
        self._forget_others()
        self._notes = Notes(self._file, self._cipher, nonce)
        self._notes.begin(len(plain))

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

    def _write(self, file: Path, plain: bytes, purpose: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        sealed = _MAGIC + nonce + self._cipher.encrypt(nonce, plain, purpose)
        fresh = file.with_name(file.name + ".new")
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()  # left by a keeper that died while it wrote
        write_private(fresh, sealed)
        fresh.replace(file)
        _sync(file.parent)
        return nonce

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
            while True:
                sealed = self._file.read_bytes()
                notes = Notes(self._file, self._cipher, _nonce(sealed)).read()
                if _nonce(self._file.read_bytes()) == _nonce(sealed):  # else its keeper wrote the whole anew meanwhile
                    break
            contents = self._opened(sealed)
            return _News.applied(contents, notes) if notes else contents
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


@dataclass(frozen=True)
class _News:
    """What is other than it was, of what is wanted and of what is good."""

    others: tuple[tuple[Resource, ...], tuple[Resource, ...]]
    gone: tuple[tuple[Key, ...], tuple[Key, ...]]
    longest: int  # octets of one thing that is or was there

    @classmethod
    def between(cls, before: tuple[Resources, Resources], now: tuple[Resources, Resources]) -> "_News":
        """From the one to the other."""
        pairs = tuple(zip(before, now, strict=True))
        others = tuple(tuple(one for key, one in here.items() if was.get(key) is not one) for was, here in pairs)
        gone = tuple(tuple(key for key in was if key not in here) for was, here in pairs)
        lost = (was[key] for (was, _), keys in zip(pairs, gone, strict=True) for key in keys)
        replaced = (was[one.key] for (was, _), part in zip(pairs, others, strict=True) for one in part if one.key in was)
        touched = itertools.chain(*others, lost, replaced)
        return cls((others[0], others[1]), (gone[0], gone[1]), max((len(one.body) for one in touched), default=0))

    @property
    def is_any(self) -> bool:
        """Whether there is any."""
        return any((*self.others, *self.gone))

    def written(self) -> bytes:
        """As bytes."""
        return b"".join(map(_framed, (*map(wire.dump, self.others), json.dumps(self.gone).encode())))

    @staticmethod
    def applied(contents: Contents, notes: Iterable[bytes]) -> Contents:
        """What was kept whole, with all that was noted after it. Raises `Invalid`."""
        parts = [{one.key: one for one in part} for part in (contents.wanted, contents.good)]
        for note in notes:
            wanted, rest = _unframed(note)
            good, rest = _unframed(rest)
            for part, others, gone in zip(parts, (wanted, good), json.loads(_unframed(rest)[0]), strict=True):
                part.update((one.key, one) for one in wire.load(others))
                for kind, name in gone:
                    part.pop((kind, name), None)
        return Contents(*(tuple(part.values()) for part in parts))


def _without(resources: Iterable[Resource], long: Collection[bytes]) -> list[Resource]:
    return [replace(one, body=b"") if one.body in long else one for one in resources]


def _nonce(sealed: bytes) -> bytes:
    return sealed[len(_MAGIC) : len(_MAGIC) + _NONCE]


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
