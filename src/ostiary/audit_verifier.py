"""Check an export of ostiary's audit record, with no access to the system that made it. One file, Python 3.9+ and `cryptography`.

    python verify_audit.py EXPORT.jsonl --key FINGERPRINT

Each entry's hash (SHA-256) covers its text and, through the hash of the entry before, all that went before. Heads of this chain
are signed (Ed25519) by a key of the system every few minutes, when it stops, and at the end of each export. So a change, a
removal, an insertion, another order, and an end that was cut off each show.

What it cannot know by itself: whether the key is the system's. Get its fingerprint by another way (`ostiary audit key`, on the
machine itself, at the beginning) and give it as --key. And whoever holds that key, and the database, could write another record
from the beginning: a head that was noted elsewhere (log lines "head of the record", an earlier export) and given as
--known-head shows that too.

Exit status: 0 all is as it was written; 1 it is not; 2 it cannot be checked.
"""

import argparse
import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

LONGEST_LINE = 16 * 1024 * 1024
_OURS = "ostiary"  # the name that lines have which are no entries
_HASHES = ("previous_hash", "hash")
_TOLD_EACH = 10_000


class Wrong(Exception):
    """The export is not as it was written."""


@dataclass
class Verdict:
    """What was found. `problem` is None when all is as it was written."""

    problem: "str | None" = None
    first: int = 0
    last: int = 0
    head: str = ""
    entries: int = 0
    heads: int = 0
    signed_until: int = 0
    signed_at: str = ""
    exported_at: str = ""
    is_selection: bool = False
    keys: "list[str]" = field(default_factory=list)
    is_pinned: bool = False


def verify(
    lines: "Iterable[bytes]",
    *,
    keys: "Iterable[str]" = (),
    known_heads: "Iterable[tuple[int, str]]" = (),
    progress: "Callable[[Verdict], None]" = lambda _verdict: None,
) -> Verdict:
    """Check an export line by line; the memory it takes does not grow with it. `keys` are fingerprints of keys to trust."""
    checking = _Checking({one.lower().replace(":", "") for one in keys}, dict(known_heads))
    try:
        for number, line in enumerate(lines, 1):
            checking.take(number, line)
            if number % _TOLD_EACH == 0:
                progress(checking.verdict)
        checking.ended()
    except Wrong as wrong:
        checking.verdict.problem = str(wrong)
    progress(checking.verdict)
    return checking.verdict


def lines_of(file: BinaryIO) -> "Iterator[bytes]":
    """The lines of a file. Of one that is too long there is only the beginning, which is refused."""
    while line := file.readline(LONGEST_LINE + 1):
        yield line


def link(previous_hash: str, text: str) -> str:
    """The hash of an entry with this text that follows an entry with that hash."""
    return hashlib.sha256((previous_hash + "\n" + text).encode()).hexdigest()


def statement(sequence: int, hash_: str, at: str, key_id: str) -> bytes:
    """What is signed of a head."""
    return "\n".join(("ostiary audit head", str(sequence), hash_, at, key_id, "")).encode()


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of the public key (SubjectPublicKeyInfo, DER)."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


class _Checking:
    """How far it is."""

    def __init__(self, trusted: "set[str]", known_heads: "dict[int, str]") -> None:
        self.verdict = Verdict(is_pinned=bool(trusted))
        self._trusted = trusted
        self._known = known_heads
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._begun = self._closed = False
        self._sequence = 0
        self._hash = ""

    def take(self, number: int, line: bytes) -> None:
        """One line more."""
        where = f"line {number}"
        if self._closed:
            raise Wrong(f"{where}: there is something after the end of the export")
        if len(line) > LONGEST_LINE:
            raise Wrong(f"{where} is longer than {LONGEST_LINE} bytes")
        if not line.endswith(b"\n"):
            raise Wrong(f"{where} is cut off")
        said = _read(line, where)
        kind = said.get(_OURS)
        if number == 1:
            self._begin(said)
        elif kind == "audit-head":
            self._head(said, where)
        elif kind == "audit-end":
            self._end(said, where)
        elif kind is None:
            self._entry(said, where)
        else:
            raise Wrong(f"{where}: what is '{kind}'?")

    def ended(self) -> None:
        """There is no line more."""
        if not self._begun:
            raise Wrong("there is nothing in it")
        if not self._closed:
            raise Wrong(f"it ends after entry {self._sequence} without saying so: its end was cut off")
        if missing := sorted(number for number in self._known if not self.verdict.is_selection):
            raise Wrong(f"entry {missing[0]}, whose hash is known from elsewhere, is not in it")

    def _begin(self, said: "dict[str, Any]") -> None:
        if said.get(_OURS) != "audit-export" or said.get("version") != 1:
            raise Wrong("line 1 does not begin an export that this verifier knows")
        verdict = self.verdict
        verdict.exported_at = str(said.get("at", ""))
        if not isinstance(said.get("selection"), bool):
            raise Wrong("it does not say whether it is all of the record")
        verdict.is_selection = said["selection"]
        for one in said.get("keys", ()):
            key = _public_key(one)
            self._keys[fingerprint(key)] = key
        verdict.keys = sorted(self._keys)
        if strangers := [one for one in verdict.keys if self._trusted and one not in self._trusted]:
            raise Wrong(f"it brings the key {strangers[0]}, which is none of those to trust")
        self._sequence, self._hash = _number(said, "begins_after"), str(said.get("begins_hash", ""))
        if self._sequence == 0 and self._hash != "0" * 64:
            raise Wrong("it says that it begins at the beginning, and has a hash of something before that")
        verdict.first = self._sequence + 1
        self._begun = True

    def _entry(self, said: "dict[str, Any]", where: str) -> None:
        previous, hash_ = (str(said.pop(name, "")) for name in _HASHES)
        text = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        sequence = _number(said, "sequence")
        if self.verdict.is_selection:
            if sequence <= self._sequence:
                raise Wrong(f"{where}: entry {sequence} is not in its place")
            follows = previous == self._hash or sequence != self._sequence + 1
        else:
            if sequence != self._sequence + 1:
                raise Wrong(f"{where}: entry {self._sequence + 1} is missing; the next one there is {sequence}")
            follows = previous == self._hash
        if not follows or not hmac.compare_digest(hash_, link(previous, text)):
            raise Wrong(f"{where}: entry {sequence} was changed, or does not follow from the one before it")
        self._sequence, self._hash = sequence, hash_
        if not hmac.compare_digest(self._known.pop(sequence, hash_), hash_):
            raise Wrong(f"{where}: entry {sequence} is another one than the one that is known from elsewhere")
        self.verdict.entries += 1
        self.verdict.last, self.verdict.head = sequence, hash_

    def _head(self, said: "dict[str, Any]", where: str) -> None:
        sequence, hash_, at, key_id = _number(said, "sequence"), *(str(said.get(name, "")) for name in ("hash", "at", "key_id"))
        if (key := self._keys.get(key_id)) is None:
            raise Wrong(f"{where}: the head of entry {sequence} is signed by a key that is not in it")
        try:
            signature = base64.b64decode(str(said.get("signature", "")), validate=True)
            key.verify(signature, statement(sequence, hash_, at, key_id))
        except (ValueError, InvalidSignature):
            raise Wrong(f"{where}: the signature of the head of entry {sequence} is not right") from None
        here = sequence == self._sequence and hmac.compare_digest(hash_, self._hash)
        if not here and not (self.verdict.is_selection and sequence > self._sequence):
            raise Wrong(f"{where}: entry {self._sequence} is not what the head of entry {sequence} was signed of")
        if self.verdict.heads and sequence <= self.verdict.signed_until:
            raise Wrong(f"{where}: the head of entry {sequence} is there twice")
        self.verdict.heads += 1
        self.verdict.signed_until, self.verdict.signed_at = sequence, at

    def _end(self, said: "dict[str, Any]", where: str) -> None:
        if _number(said, "entries") != self.verdict.entries:
            raise Wrong(f"{where}: {said['entries']} entries were exported, and {self.verdict.entries} are here")
        if _number(said, "heads") != self.verdict.heads:
            raise Wrong(f"{where}: {said['heads']} signed heads were exported, and {self.verdict.heads} are here")
        if not self.verdict.is_selection and self.verdict.signed_until != self._sequence:
            raise Wrong(f"{where}: entry {self._sequence} is the last, and its head is not signed: the end was cut off")
        self._closed = True


def _read(line: bytes, where: str) -> "dict[str, Any]":
    try:
        said = json.loads(line.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Wrong(f"{where} is not JSON as ostiary writes it") from None
    if not isinstance(said, dict):
        raise Wrong(f"{where} is no object")
    return said


def _object(pairs: "list[tuple[str, Any]]") -> "dict[str, Any]":
    """Readers of JSON differ in which of two names they take; so two are one too many."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_constant(_name: str) -> None:
    raise ValueError


def _number(said: "dict[str, Any]", name: str) -> int:
    value = said.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Wrong(f"its {name} is no number")
    return value


def _public_key(said: Any) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(str(said["public_key"]).encode())
    except (ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise Wrong("it brings a key that cannot be read")
    return key


def told(verdict: Verdict) -> str:
    """What was found, in words."""
    if verdict.problem is not None:
        return f"BROKEN: {verdict.problem}"
    key = ", ".join(verdict.keys) or "none"
    if verdict.is_selection:
        what = (
            f"OK: a selection of {verdict.entries} entries, each as it was written, handed out at {verdict.exported_at}. "
            "That none was left out of it cannot be shown; ask for all of the record to see that."
        )
    else:
        what = (
            f"OK: entries {verdict.first} to {verdict.last} ({verdict.entries}) are as they were written, none is missing. "
            f"{verdict.heads} signed heads, the last of entry {verdict.signed_until} at {verdict.signed_at}: {verdict.head}"
        )
    pinned = (
        "trusted, as you said" if verdict.is_pinned else "NOT checked: compare with `ostiary audit key`, and give it as --key"
    )
    return f"{what}\nKey: {key} ({pinned})"


def _progress(verdict: Verdict) -> None:
    if sys.stderr.isatty():
        print(f"\r{verdict.entries:,} entries", end="", file=sys.stderr)


def main(arguments: "list[str] | None" = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Check an export of ostiary's audit record.")
    parser.add_argument("export", help="the file; - for standard input")
    parser.add_argument("--key", action="append", default=[], help="fingerprint of a key to trust (SHA-256, hex)")
    parser.add_argument("--known-head", action="append", default=[], metavar="SEQUENCE:HASH", help="a head noted elsewhere")
    given = parser.parse_args(arguments)
    known = []
    for one in given.known_head:
        sequence, _, hash_ = one.partition(":")
        if not sequence.isdigit() or len(hash_) != 64:
            parser.error(f"--known-head {one}: write SEQUENCE:HASH")
        known.append((int(sequence), hash_.lower()))
    try:
        if given.export == "-":
            verdict = verify(lines_of(sys.stdin.buffer), keys=given.key, known_heads=known, progress=_progress)
        else:
            with Path(given.export).open("rb") as file:
                verdict = verify(lines_of(file), keys=given.key, known_heads=known, progress=_progress)
    except OSError as error:
        print(f"{given.export} cannot be read: {error.strerror}", file=sys.stderr)
        return 2
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    print(told(verdict))
    return 0 if verdict.problem is None else 1


if __name__ == "__main__":
    sys.exit(main())
