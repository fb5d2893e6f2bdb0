"""The record: who did what to what, what differs, and the proof that nothing in it was changed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from ostiary.console import forms
from ostiary.console.deeds import deed
from ostiary.console.differences import Change, Thing, things, told
from ostiary.console.numbered import numbered, whole
from ostiary.console.visit import HEADERS, Visit, action, live, page, url
from ostiary.errors import NotFound
from ostiary.model.audit import AuditSearch
from ostiary.ops import audit
from ostiary.web.words import _

_FILTERS: Final = ("actor", "action", "resource", "since", "until")
_LONGEST: Final = 255


@dataclass(frozen=True)
class Asked:
    """What a reader looks for: as they typed it, as it is searched for, and what of it makes no sense, by field."""

    typed: dict[str, str]
    search: AuditSearch
    errors: dict[str, str]

    @property
    def is_filtered(self) -> bool:
        """Whether anything was asked for: then an empty list means something else."""
        return any(self.typed.values())

    def link(self, place: str) -> str:
        """That page, with the same search."""
        return url(place, **self.typed)


@dataclass(frozen=True)
class Entry:
    """One entry of the record as a line."""

    entry: dict[str, Any]
    at: datetime | None
    deed: str
    thing: Thing


def find(visit: Visit) -> Response:
    """The entries that fit, newest first."""
    asked = _asked(visit)
    found = numbered(visit, lambda **which: _search(visit, asked, **which), lambda entry: int(entry["sequence"]))
    done_to = things(visit, [_change(entry) for entry in found.items])
    rows = [Entry(entry, _at(entry), _deed(visit, entry), thing) for entry, thing in zip(found.items, done_to, strict=True)]
    actions = sorted(((one, deed(visit, one)) for one in audit.actions(visit.system, visit.caller)), key=lambda both: both[1])
    return visit.page("audit.html", 422 if asked.errors else 200, found=found, rows=rows, asked=asked, actions=actions)


def entry(visit: Visit) -> Response:
    """One entry: what differs, field by field, and its place in the chain."""
    sequence = whole(visit.path["sequence"])
    if sequence is None:
        raise NotFound("Entry", visit.path["sequence"])
    found = audit.get(visit.system, visit.caller, sequence)
    (difference,) = told(visit, [_change(found)])
    following = audit.search(visit.system, visit.caller, AuditSearch(), after=sequence, limit=1)
    return visit.page(
        "audit_entry.html",
        entry=found,
        at=_at(found),
        deed=_deed(visit, found),
        told=difference,
        newer=following[0]["sequence"] if following else None,
    )


def export(visit: Visit) -> Response:
    """What fits, as JSON lines to keep."""
    asked = _asked(visit)
    if asked.errors:
        return find(visit)
    name = f"ostiary-audit-{visit.at:%Y%m%d-%H%M%S}.jsonl"
    headers = {**HEADERS, "content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    lines = audit.export(visit.system, visit.caller, asked.search)
    return StreamingResponse(lines, media_type="application/jsonl", headers=headers)


def verify(visit: Visit) -> Response:
    """Begin to prove the whole record. However long it takes, the page that shows how far it is comes at once."""
    visit.system.verifying.start(visit.system, visit.caller)
    return visit.see("/console/audit/verification")


def verification(visit: Visit) -> Response:
    """How far it is, or what came of it."""
    return visit.page("audit_verification.html", progress=visit.system.verifying.progress(visit.caller))


def verification_live(visit: Visit) -> str:
    """The same, as it goes on."""
    return visit.part("audit_progress.html", progress=visit.system.verifying.progress(visit.caller))


def _search(visit: Visit, asked: Asked, *, before: int | None, after: int | None, limit: int) -> list[dict[str, Any]]:
    if asked.errors:
        return []
    return audit.search(visit.system, visit.caller, asked.search, before=before, after=after, limit=limit)


def _asked(visit: Visit) -> Asked:
    typed = {name: visit.query.get(name, "").strip()[:_LONGEST] for name in _FILTERS}
    times = {name: forms.moment(typed[name], visit.zone) if typed[name] else None for name in ("since", "until")}
    unclear = visit.say(_("is not a day and time such as 2027-01-31T12:00"))
    search = AuditSearch(typed["actor"] or None, typed["action"] or None, typed["resource"] or None, **times)
    return Asked(typed, search, {name: unclear for name, at in times.items() if typed[name] and at is None})


def _at(found: dict[str, Any]) -> datetime | None:
    return datetime.fromisoformat(found["at"]) if found["at"] else None


def _deed(visit: Visit, found: dict[str, Any]) -> str:
    return visit.say(_("This entry was damaged")) if "damaged" in found else deed(visit, found["action"])


def _change(found: dict[str, Any]) -> Change:
    return Change(found["kind"], found["resource_id"], found["before"], found["after"])


ROUTES: Final = (
    page("/console/audit", find, may="audit:read", current="audit"),
    page("/console/audit/export", export, may="audit:read", current="audit"),
    page("/console/audit/verification", verification, may="audit:read", current="audit"),
    action("/console/audit/verification", verify, may="audit:verify", current="audit"),
    live("/console/audit/verification/live", verification_live, may="audit:read"),
    page("/console/audit/{sequence}", entry, may="audit:read", current="audit"),
)
