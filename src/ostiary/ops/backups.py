"""Backups: all that is in the database as of one moment, and what it takes to use it again, in one encrypted stream.

Within the sealed stream (`pki.sealed_stream`) are lines of JSON: what the backup says of itself, the small files that go with it,
and the tables (`store.dump`). What is in a PKCS#11 token is not in it, nor what a gateway or a log keeps.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from ostiary.errors import Conflict, Invalid
from ostiary.ids import new_id
from ostiary.model.backup import KeyElsewhere, Manifest
from ostiary.ops import house
from ostiary.ops.caller import Caller
from ostiary.ops.record import note
from ostiary.ops.setup import Setup
from ostiary.ops.system import System
from ostiary.pki import kek
from ostiary.pki.sealed_stream import FIELD, Reads, opened, sealed
from ostiary.store import dump, revocations
from ostiary.store.kinds import AUTHORITY
from ostiary.store.store import Reader, Store

KEK: Final = "kek"
GATEWAY_ID: Final = "gateway-id"

_LINE_MAX: Final = 256 * 1024 * 1024  # a revocation list of a million entries is one value
_KEEPSAKES: Final = frozenset({KEK, GATEWAY_ID})
_KEEPSAKE_MAX: Final = kek.FILE_LIMIT


@dataclass(frozen=True)
class What:
    """What goes into a backup beside the database: when, how this ostiary was started, and small files by name."""

    at: datetime
    setup: Setup
    keepsakes: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True)
class Opened:
    """A backup whose beginning was read. `lines` are its tables; when all were taken, `digest` is the SHA-256 of the file."""

    manifest: Manifest
    keepsakes: Mapping[str, bytes]
    lines: Iterator[bytes]
    digest: Callable[[], str]

    def __repr__(self) -> str:
        return f"Opened({self.manifest.made_at})"


def make(system: System, caller: Caller, passphrase: bytes, *, with_kek: bool) -> Iterator[bytes]:
    """A backup through the API. Raises `Conflict` where another person has to agree before a key leaves: all of them would."""
    caller.must("backup:make")
    with system.store.read() as reader:
        if with_kek and "KEY_EXPORT" in house.read(reader).approval_needed_for:
            raise Conflict(
                "another person must agree here before a key is exported, and this would export all of them: leave the "
                "key-encryption key out, or make the backup on the machine itself while ostiary is stopped.",
                "with_kek",
            )
    return stream(system.store, caller, passphrase, What(system.clock(), system.setup, system.keepsakes()), with_kek=with_kek)


def stream(store: Store, caller: Caller, passphrase: bytes, what: What, *, with_kek: bool) -> Iterator[bytes]:
    """The backup, piece by piece; on record when it is begun, and again once all of it was given. Raises before the first."""
    caller.must("backup:make")
    kek.refuse_short(passphrase)
    kept = {name: content for name, content in what.keepsakes.items() if with_kek or name != KEK}
    backup_id = new_id()
    note(store, caller, "backup:make", "backup", backup_id, {"with_kek": KEK in kept})
    return _made(store, caller, passphrase, replace(what, keepsakes=kept), backup_id)


def is_protected(keepsakes: Mapping[str, bytes]) -> bool:
    """Whether the key-encryption key among these has a passphrase of its own."""
    return kek.needs_passphrase(keepsakes.get(KEK, b""))


def open_backup(reads: Reads, passphrase: bytes) -> Opened:
    """Read the beginning of a backup. Raises `Invalid`; so do its `lines`, for whatever is not as it was written."""
    digest = hashlib.sha256()

    def counted(size: int) -> bytes:
        content = reads(size)
        digest.update(content)
        return content

    lines = _lines(opened(counted, passphrase))
    manifest = _manifest(next(lines, b""))
    return Opened(manifest, _keepsakes(next(lines, b""), manifest), lines, digest.hexdigest)


def _made(store: Store, caller: Caller, passphrase: bytes, what: What, backup_id: str) -> Iterator[bytes]:
    digest, octets = hashlib.sha256(), 0
    with store.read() as reader:
        manifest = _about(reader, what)
        for piece in sealed(_content(reader, manifest, what.keepsakes), passphrase):
            digest.update(piece)
            octets += len(piece)
            yield piece
    about = {"sha256": digest.hexdigest(), "octets": octets, "revision": manifest.revision, "audit": manifest.audit_sequence}
    note(store, caller, "backup:finish", "backup", backup_id, about)


def _about(reader: Reader, what: What) -> Manifest:
    sequence, head = reader.audit_head()
    return Manifest(
        made_at=what.at,
        version=what.setup.version,
        schema_version=dump.schema(),
        revision=reader.revision(),
        audit_sequence=sequence,
        audit_hash=head,
        has_kek=KEK in what.keepsakes,
        needs_kek_passphrase=is_protected(what.keepsakes),
        keys_elsewhere=tuple(_elsewhere(reader)),
        setup=asdict(what.setup),
    )


def _elsewhere(reader: Reader) -> Iterator[KeyElsewhere]:
    lists = revocations.lists_without_content(reader)
    for one in reader.all(AUTHORITY):
        held = lists.get((one.id, "complete"))
        place = "token" if one.has_key and one.custody == "pkcs11" else None
        if not one.has_key and held is not None and held.source == "signed":
            place = "offline"
        if place is not None:
            yield KeyElsewhere(authority_id=one.id, authority=one.name or one.subject, place=place)


def _content(reader: Reader, manifest: Manifest, keepsakes: Mapping[str, bytes]) -> Iterator[bytes]:
    yield manifest.model_dump_json().encode() + b"\n"
    yield json.dumps({name: base64.b64encode(kept).decode("ascii") for name, kept in keepsakes.items()}).encode() + b"\n"
    yield from dump.lines(reader)


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held = bytearray()
    for piece in pieces:
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            held += piece[start:end]
            yield bytes(held)
            held.clear()
            start = end + 1
        held += piece[start:]
        if len(held) > _LINE_MAX:
            raise Invalid(FIELD, "a line in it is longer than any that ostiary writes.")
    if held:
        raise Invalid(FIELD, "what is sealed in it ends within a line; it was not made by ostiary backup.")


def _manifest(line: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(line)
    except ValidationError:
        raise Invalid(FIELD, "what it says of itself cannot be read; a newer ostiary may have made it.") from None


def _keepsakes(line: bytes, manifest: Manifest) -> Mapping[str, bytes]:
    try:
        kept = {name: base64.b64decode(text, validate=True) for name, text in json.loads(line).items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        kept = {"": b""}
    if kept.keys() - _KEEPSAKES or any(len(one) > _KEEPSAKE_MAX for one in kept.values()) or (KEK in kept) != manifest.has_kek:
        raise Invalid(FIELD, "the files in it are not those that ostiary puts there.")
    return kept
