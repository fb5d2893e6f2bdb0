"""Where the keys of authorities are kept, and what was done with them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ostiary.model.authority import Authority
from ostiary.ops.evidence.section import WHO, Column, Row, Rows, Scope, Section, link, paged, said, some, who
from ostiary.store import evidence
from ostiary.store.kinds import AUTHORITY
from ostiary.store.store import AuditRow
from ostiary.store.then import Then

_PLACES: Final = {
    "file": "here: in the database, encrypted under the key-encryption key",
    "pkcs11": "in a PKCS#11 token, which never lets it out",
    "offline": "not here: it was exported and removed",
    "elsewhere": "never here: only its certificate is trusted",
}
# What of such an entry is told; of a list only how long it is.
_TOLD: Final = (
    *("kind", "key", "custody", "format", "removed", "state", "generation", "revocation_reason"),
    *("frameworks", "from", "to", "entries", "last", "fingerprint_sha256", "manifest_sha256"),
)
_DECISIONS: Final = ("token", "approval", "break_glass")  # that go with what was done, and have lists of their own
_EVENTS: Final = (
    *("authority:create", "authority:import", "authority:import-key", "authority:export-key", "authority:delegate"),
    *("authority:roll", "authority:cross-sign", "authority:revoke", "authority:delete"),
    *("secret:decrypt", "audit:new-key", "audit:export", "audit:report"),
)


def _keys(scope: Scope) -> Rows:
    setup = scope.system.setup
    with scope.system.store.read() as reader:
        every = Then(reader, scope.end).all(AUTHORITY)
        entries = evidence.about(reader, [one.id for one in every], upto=scope.end.sequence)
    rows = [_key(one, entries.get(one.id, [])) for one in every]
    kek = Row(
        {
            "name": "key-encryption key",
            "place": "a file beside the database" + (", protected by a passphrase" if setup.passphrase else ""),
            "kind": "encrypts all keys at rest",
            "how": "as ostiary runs now; changes of it are among the events",
        }
    )
    yield from paged((kek, *rows))


def _key(one: Authority, entries: Iterable[AuditRow]) -> Row:
    told = [(row, said(row)) for row in entries]
    place, how = ("elsewhere", "") if one.kind == "imported" else (one.custody, "made here")
    events = []
    for _row, entry in told:
        after = entry.get("after") or {}
        if entry.get("action") == "authority:import-key":
            place, how = "file", "brought with its key"
        if entry.get("action") == "authority:export-key" and "removed" in after:
            place = "offline" if after["removed"] else place
            events.append(f"exported {entry['at'][:10]} by {entry['actor']}")
        if entry.get("action") in {"authority:roll", "authority:cross-sign", "authority:revoke"}:
            events.append(f"{entry['action'].partition(':')[2]} {entry['at'][:10]}")
    made = next((entry for _row, entry in told if entry.get("before") is None), None)
    values = {
        "name": one.name,
        "subject": one.subject,
        "kind": f"{one.kind}, generation {one.generation}",
        "key": one.key or "",
        "place": _PLACES[place],
        "how": how,
        "created_by": made["actor"] if made else "not on record any more",
        "created_at": one.created_at,
        "not_after": one.not_after,
        "events": events,
        "id": one.id,
    }
    return Row(values, some(link(row) for row, _entry in told))


def _key_events(scope: Scope) -> Rows:
    with scope.system.store.read() as reader:
        names = Then(reader, scope.start).names() | Then(reader, scope.end).names()
    for page in scope.entries(actions=_EVENTS, groups=("rotation", "kek", "backup", "restore")):
        rows = [_event(row, entry, names) for row in page if (entry := said(row)) and entry.get("kind") not in _DECISIONS]
        if rows:
            yield tuple(rows)


def _event(row: AuditRow, entry: Mapping[str, Any], names: Mapping[str, str]) -> Row:
    after, before = entry.get("after") or {}, entry.get("before") or {}
    about = {name: after[name] for name in _TOLD if name in after}
    values = {
        **who(entry),
        "action": entry["action"],
        "thing": after.get("name") or before.get("name") or names.get(entry["resource_id"], entry["resource_id"]),
        "about": tuple(f"{name.replace('_', ' ')}: {_short(value)}" for name, value in about.items() if value not in (None, "")),
        "resource_id": entry["resource_id"],
    }
    return Row(values, (link(row),))


def _short(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


KEYS: Final = Section(
    "ca-keys",
    "Where CA keys are kept",
    "Each CA certificate of the end of the period and where its private key was: encrypted in the database, in a PKCS#11 token, "
    "or not here. Keys of server certificates are kept encrypted likewise; keys of client certificates are made by their "
    "holders, or handed out once and not kept. That a ceremony had witnesses, and where a backup or an exported key lies, is "
    "yours to show.",
    "The entries of the record about each CA.",
    (
        Column("name", "Name"),
        Column("subject", "Subject", wide=True),
        Column("kind", "Kind"),
        Column("key", "Key"),
        Column("place", "Where its key is kept"),
        Column("how", "How it came to be"),
        Column("created_by", "By"),
        Column("created_at", "On"),
        Column("not_after", "Expires"),
        Column("events", "Since then"),
        Column("id", "Id", wide=True),
    ),
    _keys,
)
KEY_EVENTS: Final = Section(
    "key-events",
    "What was done with keys, and what was handed out",
    "Creation, import, export, rotation, cross-signing and revocation of CAs, changes of the key-encryption key, backups, and "
    "what was handed out in the period: secrets, the record, evidence packs.",
    "The record.",
    (
        *WHO,
        Column("action", "What"),
        Column("thing", "On what"),
        Column("about", "About"),
        Column("resource_id", "Id", wide=True),
    ),
    _key_events,
)
