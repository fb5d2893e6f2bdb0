"""The record: read it, and prove that nothing in it was changed, removed, inserted or put in another order."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from ostiary.errors import NotFound
from ostiary.model.audit import AuditSearch
from ostiary.ops import heads
from ostiary.ops.caller import Caller
from ostiary.ops.chain import Verification
from ostiary.ops.system import System
from ostiary.ops.verifying import pieces
from ostiary.pki.head_signing import Head
from ostiary.store import audit as stored
from ostiary.store import heads as stored_heads
from ostiary.store.store import AuditRow

_AT_ONCE: Final = 1000  # entries that are read in one transaction where all are
_OURS: Final = "ostiary"  # the name that lines have which are no entries
EVERYTHING: Final = AuditSearch()
# What every entry says; of one that cannot be read, nothing.
_SAID: Final = {
    "sequence": 0,
    "at": None,
    "actor": "",
    "role": "",
    "source": "",
    "request_id": "",
    "action": "",
    "kind": "",
    "resource_id": "",
    "revision": None,
    "before": None,
    "after": None,
}


def find(system: System, caller: Caller, *, after: int = 0, limit: int = 100, newest_first: bool = False) -> list[dict[str, Any]]:
    """Entries of the record with a sequence above `after`, each with its hashes."""
    caller.must("audit:read")
    with system.store.read() as reader:
        return [_shown(row) for row in reader.audit_entries(after, limit, newest_first=newest_first)]


def search(
    system: System, caller: Caller, wanted: AuditSearch, *, before: int | None = None, after: int | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Entries that fit, newest first: the newest before that sequence; with `after`, those that follow it next."""
    caller.must("audit:read")
    with system.store.read() as reader:
        return [_shown(row) for row in stored.page(reader, wanted, limit=limit, before=before, after=after)]


def get(system: System, caller: Caller, sequence: int) -> dict[str, Any]:
    """One entry, with its hashes. Raises `NotFound`."""
    caller.must("audit:read")
    with system.store.read() as reader:
        row = stored.one(reader, sequence)
    if row is None:
        raise NotFound("Entry", str(sequence))
    return _shown(row)


def actions(system: System, caller: Caller) -> tuple[str, ...]:
    """What was done at all: the actions on record, by name."""
    caller.must("audit:read")
    with system.store.read() as reader:
        return stored.actions(reader)


def export(system: System, caller: Caller, wanted: AuditSearch = EVERYTHING) -> Iterator[bytes]:
    """Entries that fit, oldest first, as JSON lines, with the heads that were signed of them: `audit_verifier` checks them alone.

    In pieces, so that neither memory nor the database is held for long. That it was handed out is on record, and the last entry.
    """
    caller.must("audit:read")
    until = heads.exported(system, caller, _asked(wanted))
    return _exported(system, wanted, until)


def _exported(system: System, wanted: AuditSearch, until: Head) -> Iterator[bytes]:
    with system.store.read() as reader:
        begins_after, begins_hash = stored_heads.begins_after(reader)
        keys = [{"id": key.id, "public_key": key.public_key} for key in stored_heads.keys(reader)]
        first = stored_heads.at(reader, begins_after)
    is_selection = wanted != EVERYTHING
    begin = {"begins_after": begins_after, "begins_hash": begins_hash, "selection": is_selection, "wanted": _asked(wanted)}
    yield _line({_OURS: "audit-export", "version": 1, "at": until.at.isoformat(), **begin, "keys": keys})
    reached, count, signed_count = begins_after, 0, 0
    if first is not None and not is_selection:
        signed_count += 1
        yield _line(_head_line(first))
    while True:
        with system.store.read() as reader:
            rows = stored.page(reader, wanted, limit=_AT_ONCE, after=reached, until=until.sequence)
            signed = stored_heads.between(reader, reached, rows[0].sequence) if rows and not is_selection else ()
        if not rows:
            break
        reached, count, signed_count = rows[0].sequence, count + len(rows), signed_count + len(signed)
        its_heads = {head.sequence: head for head in signed}
        lines = []
        for row in reversed(rows):
            lines.append(_line(_shown(row)))
            if row.sequence in its_heads:
                lines.append(_line(_head_line(its_heads[row.sequence])))
        yield b"".join(lines)
    if is_selection:
        signed_count += 1
        yield _line(_head_line(until))
    yield _line({_OURS: "audit-end", "entries": count, "heads": signed_count})


def _asked(wanted: AuditSearch) -> dict[str, object]:
    said = {name: value for name, value in asdict(wanted).items() if value is not None}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in said.items()}


def _head_line(head: Head) -> dict[str, object]:
    return {_OURS: "audit-head", **asdict(head), "at": head.at.isoformat()}


def _line(said: dict[str, Any]) -> bytes:
    return f"{json.dumps(said, ensure_ascii=False)}\n".encode()


def verify(system: System, caller: Caller) -> Verification:
    """Walk the whole chain, in pieces: the memory it needs does not grow with the record."""
    caller.must("audit:verify")
    verified = Verification()
    for verified, _written in pieces(system):  # noqa: B007 (the last is the whole)
        pass
    return verified


def _shown(row: AuditRow) -> dict[str, Any]:
    return {**_read(row), "previous_hash": row.previous_hash, "hash": row.hash}


def _read(row: AuditRow) -> dict[str, Any]:
    """What an entry says. One that somebody damaged must not hide the others: its text is all that is known of it."""
    try:
        said = json.loads(row.entry)
        if isinstance(said, dict) and said.keys() >= _SAID.keys():
            datetime.fromisoformat(said["at"])
            return said
    except (ValueError, TypeError):
        pass
    return {**_SAID, "sequence": row.sequence, "damaged": row.entry}
