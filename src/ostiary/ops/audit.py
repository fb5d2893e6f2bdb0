"""The record: read it, and prove that nothing in it was changed, removed, inserted or put in another order."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from ostiary.errors import NotFound
from ostiary.model.audit import AuditSearch
from ostiary.ops.caller import Caller
from ostiary.ops.chain import Verification, ended, followed
from ostiary.ops.system import System
from ostiary.store import audit as stored
from ostiary.store.store import AuditRow

_AT_ONCE: Final = 1000  # entries that are read in one transaction where all are
_EVERYTHING: Final = AuditSearch()
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


def export(system: System, caller: Caller, wanted: AuditSearch = _EVERYTHING) -> Iterator[bytes]:
    """Entries that fit, oldest first, as JSON lines; in pieces, so that neither memory nor the database is held for long."""
    caller.must("audit:read")
    return _exported(system, wanted)


def _exported(system: System, wanted: AuditSearch) -> Iterator[bytes]:
    reached = 0
    while True:
        with system.store.read() as reader:
            rows = stored.page(reader, wanted, limit=_AT_ONCE, after=reached)
        if not rows:
            return
        reached = rows[0].sequence
        yield "".join(f"{json.dumps(_shown(row), ensure_ascii=False)}\n" for row in reversed(rows)).encode()


def verify(system: System, caller: Caller) -> Verification:
    """Walk the whole chain. Streams, so the memory it needs does not grow with the record."""
    caller.must("audit:verify")
    with system.store.read() as reader:
        return ended(followed(Verification(), reader.audit_entries()), reader.audit_head())


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
