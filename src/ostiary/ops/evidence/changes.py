"""What was changed in the period, by whom, from what to what, and who agreed."""

import json
from collections.abc import Mapping
from typing import Any, Final

from ostiary.ops.evidence.section import WHO, Column, Row, Rows, Scope, Section, link, said, who
from ostiary.store.store import AuditRow

# Whose changes have a section of their own, or are no changes of the configuration.
_ELSEWHERE: Final = frozenset({"certificate", "certificate_request", "session", "sign_in_link", "review", "ocsp_signer"})
_AGREEING: Final = ("approval", "break-glass")
_NO_CHANGE: Final = frozenset({"audit", "session", "sign-in-link", "caller", "approval", "break-glass", "review", "backup"})
_LONG: Final = 300  # characters of one value that the tables show; the exported record has it whole
_NOTED: Final = frozenset({"id", "revision", "created_at", "updated_at"})


def _changes(scope: Scope) -> Rows:
    for page in scope.entries():
        rows = [_change(row, entry) for row in page if _is_change(entry := said(row))]
        if rows:
            yield tuple(rows)


def _is_change(entry: Mapping[str, Any]) -> bool:
    if not entry or entry.get("kind") in _ELSEWHERE or str(entry.get("action", "")).partition(":")[0] in _NO_CHANGE:
        return False
    # A grant that is used, or lapses, is the enrolment's affair.
    return not (entry.get("kind") == "token" and entry.get("action") not in {"token:create", "token:delete"})


def _change(row: AuditRow, entry: Mapping[str, Any]) -> Row:
    before, after = entry.get("before"), entry.get("after")
    values = {
        **who(entry),
        "action": entry["action"],
        "kind": entry["kind"],
        "thing": _name(entry),
        "before": _told(before),
        "after": _told(after),
        "revision": entry.get("revision") or "",
        "resource_id": entry["resource_id"],
    }
    return Row(values, (link(row),))


def _name(entry: Mapping[str, Any]) -> str:
    for document in (entry.get("after") or {}, entry.get("before") or {}):
        for name in ("name", "subject"):
            if document.get(name):
                return str(document[name])
    return str(entry["resource_id"])


def _told(document: Mapping[str, Any] | None) -> str:
    """The fields that say something, as JSON; what is long is cut here and whole in the exported record."""
    if document is None:
        return ""
    shown = {name: _short(value) for name, value in document.items() if name not in _NOTED and value not in (None, "", [], {})}
    return json.dumps(shown, ensure_ascii=False, sort_keys=True) if shown else ""


def _short(value: Any) -> Any:
    return f"{value[:_LONG]}…" if isinstance(value, str) and len(value) > _LONG else value


def _approvals(scope: Scope) -> Rows:
    for page in scope.entries(groups=_AGREEING):
        rows = [_agreed(row, entry) for row in page if (entry := said(row))]
        if rows:
            yield tuple(rows)


def _agreed(row: AuditRow, entry: Mapping[str, Any]) -> Row:
    values = {
        **who(entry),
        "action": entry["action"],
        "thing": _name(entry),
        "before": _told(entry.get("before")),
        "after": _told(entry.get("after")),
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
        Column("thing", "On what"),
        Column("before", "Before"),
        Column("after", "After"),
        Column("resource_id", "Id", wide=True),
    ),
    _approvals,
)
