"""What was changed in the period, by whom, from what to what, and who agreed."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ostiary.model.resource import NOTED
from ostiary.ops.evidence.section import WHO, Column, Row, Rows, Scope, Section, link, said, who
from ostiary.store import evidence
from ostiary.store.store import AuditRow
from ostiary.store.then import Then

# Whose changes have a section of their own, or are no changes of the configuration.
_ELSEWHERE: Final = frozenset(
    {"certificate", "certificate_request", "session", "sign_in_link", "review", "ocsp_signer", "approval", "break_glass"}
)
_AGREEING: Final = ("approval", "break-glass")
_NO_CHANGE: Final = frozenset({"audit", "session", "sign-in-link", "caller", "approval", "break-glass", "review", "backup"})
_LONG: Final = 300  # characters of one value that the tables show; the exported record has it whole


def _changes(scope: Scope) -> Rows:
    with scope.system.store.read() as reader:
        names = Then(reader, scope.start).names() | Then(reader, scope.end).names()
    for page in scope.entries():
        rows = [_change(row, entry, names) for row in page if _is_change(entry := said(row))]
        if rows:
            yield tuple(rows)


def _is_change(entry: Mapping[str, Any]) -> bool:
    if not entry or entry.get("kind") in _ELSEWHERE or str(entry.get("action", "")).partition(":")[0] in _NO_CHANGE:
        return False
    # A grant that is used, or lapses, is the enrolment's affair.
    return not (entry.get("kind") == "token" and entry.get("action") not in {"token:create", "token:delete"})


def _change(row: AuditRow, entry: Mapping[str, Any], names: Mapping[str, str]) -> Row:
    before, after = entry.get("before"), entry.get("after")
    values = {
        **who(entry),
        "action": entry["action"],
        "kind": entry["kind"],
        "thing": _name(entry, names),
        "before": _told(before),
        "after": _told(after),
        "agreed": _agreed_by(entry),
        "revision": entry.get("revision") or "",
        "resource_id": entry["resource_id"],
    }
    return Row(values, (link(row),))


def _agreed_by(entry: Mapping[str, Any]) -> str:
    """Who agreed to it, where that was asked for (`ops.gate`)."""
    if entry.get("approved_by"):
        return f"{entry['approved_by']}, approval {entry.get('approval', '')}"
    return f"nobody: glass was broken, {entry['break_glass']}" if entry.get("break_glass") else ""


def _name(entry: Mapping[str, Any], names: Mapping[str, str]) -> str:
    for document in (entry.get("after") or {}, entry.get("before") or {}):
        for name in ("name", "subject"):
            if document.get(name):
                return str(document[name])
    return names.get(str(entry["resource_id"]), str(entry["resource_id"]))


def _told(document: Mapping[str, Any] | None) -> str:
    """The fields that say something, as JSON; what is long is cut here and whole in the exported record."""
    if document is None:
        return ""
    shown = {name: _short(value) for name, value in document.items() if name not in NOTED and value not in (None, "", [], {})}
    return json.dumps(shown, ensure_ascii=False, sort_keys=True) if shown else ""


def _short(value: Any) -> Any:
    return f"{value[:_LONG]}…" if isinstance(value, str) and len(value) > _LONG else value


def _approvals(scope: Scope) -> Rows:
    for page in scope.entries(groups=_AGREEING):
        told = [(row, entry) for row in page if (entry := said(row))]
        with scope.system.store.read() as reader:
            entries = evidence.about(reader, [str(entry["resource_id"]) for _row, entry in told], upto=scope.end.sequence)
        yield tuple(_agreed(row, entry, entries.get(entry["resource_id"], [])) for row, entry in told)


def _agreed(row: AuditRow, entry: Mapping[str, Any], entries: Iterable[AuditRow]) -> Row:
    """One decision, and what it was about as it stood with it."""
    its: dict[str, Any] = {}
    for one in entries:
        if one.sequence <= row.sequence:
            its |= said(one).get("after") or {}
    values = {
        **who(entry),
        "action": entry["action"],
        "about": its.get("action") or "doing without approval",
        "because": tuple(its.get("kinds") or ()),
        "requested_by": its.get("requested_by") or its.get("begun_by") or "",
        "justification": its.get("justification") or (its.get("reason") if "begun_by" in its else "") or "",
        "decided_by": its.get("decided_by") or its.get("reviewed_by") or "",
        "reason": its.get("review") or ("" if "begun_by" in its else its.get("reason")) or "",
        "status": its.get("status") or its.get("state") or "",
        "ends": its.get("ends_at") or its.get("expires_at"),
        "resource_id": entry["resource_id"],
    }
    return Row(values, (link(row),))


CHANGES: Final = Section(
    "changes",
    "Changes of the configuration",
    "Everything that was changed in the period: who, when, from where, the fields before and after, and the revision that it "
    "became. Certificates, requests and sign-ins have sections of their own. Why something was changed is not asked for by the "
    "system, unless it needed an approval: compare with your tickets by time and name.",
    "The record.",
    (
        *WHO,
        Column("action", "What"),
        Column("kind", "Kind", wide=True),
        Column("thing", "On what"),
        Column("before", "Before"),
        Column("after", "After"),
        Column("agreed", "Agreed to by"),
        Column("revision", "Revision"),
        Column("resource_id", "Id", wide=True),
    ),
    _changes,
)
APPROVALS: Final = Section(
    "approvals",
    "Approvals of changes, and broken glass",
    "Where an approval was asked for before a change, who asked, who agreed or refused, and each use of break-glass in the "
    "period.",
    "The record: entries named approval:… and break-glass:…. None means that no change waited for an approval in the period, "
    "because none of that kind was made or because approvals are not switched on.",
    (
        *WHO,
        Column("action", "What"),
        Column("about", "About"),
        Column("because", "Because of"),
        Column("requested_by", "Asked for by"),
        Column("justification", "Why"),
        Column("decided_by", "Decided by"),
        Column("reason", "What they said"),
        Column("status", "Then"),
        Column("ends", "Ends", wide=True),
        Column("resource_id", "Id", wide=True),
    ),
    _approvals,
)
