"""Revisions: the history of the configuration, what each changed, and going back."""

from typing import Any, Final

from starlette.responses import Response

from ostiary.console import differences
from ostiary.console.deeds import SORTS, deed
from ostiary.console.differences import Told
from ostiary.console.numbered import numbered, whole
from ostiary.console.visit import Visit, action, page, url
from ostiary.errors import Conflict, Invalid, NotFound
from ostiary.ops import effects_kept, revisions
from ostiary.web.words import _

_AT_ONCE: Final = 50  # changed things on one page


def find(visit: Visit) -> Response:
    """All revisions, newest first."""
    found = numbered(visit, lambda **which: revisions.page(visit.system, visit.caller, **which), lambda one: one.revision.number)
    current = revisions.current(visit.system, visit.caller)
    rows = [(one, deed(visit, one.revision.action)) for one in found.items]
    return visit.page("revisions.html", found=found, rows=rows, current=current)


def details(visit: Visit) -> Response:
    """One revision: who made it, what it changed field by field, and how soon that was in force."""
    number, offset = _number(visit), whole(visit.query.get("from")) or 0
    found, count = revisions.part(visit.system, visit.caller, number, limit=_AT_ONCE, offset=offset)
    return visit.page(
        "revision.html",
        revision=found.revision,
        deed=deed(visit, found.revision.action),
        told=_told(visit, found.changes),
        count=count,
        offset=offset,
        before=url(f"/console/revisions/{number}", **{"from": max(offset - _AT_ONCE, 0) or None}) if offset else "",
        after=url(f"/console/revisions/{number}", **{"from": offset + _AT_ONCE}) if offset + _AT_ONCE < count else "",
        effects=effects_kept.of_revision(visit.system, visit.caller, number),
        current=revisions.current(visit.system, visit.caller),
    )


def ask(visit: Visit) -> Response:
    """What going back would change, before anything is done."""
    return _asked(visit)


def revert(visit: Visit) -> Response:
    """Go back; or say why not, and what it would change by now."""
    number = _number(visit)
    try:
        made = revisions.revert(visit.system, visit.caller, number, seen=whole(visit.form.text("seen")))
    except (Conflict, Invalid) as refused:
        return _asked(visit, 409 if isinstance(refused, Conflict) else 422, refused)
    return visit.see(
        f"/console/revisions/{made}" if made else "/console/revisions",
        visit.say(_("All is as it was after revision %(then)s. This became revision %(now)s."), then=number, now=made),
    )


def _asked(visit: Visit, status: int = 200, why: Conflict | Invalid | None = None) -> Response:
    number = _number(visit)
    preview = revisions.preview(visit.system, visit.caller, number)
    values: dict[str, Any] = {
        "number": number,
        "current": preview.current,
        "count": len(preview.changes),
        "told": _told(visit, preview.changes[:_AT_ONCE]),
        "why": visit.say(why.message) if why is not None else "",
        "field": _label(visit, why.field) if why is not None and why.field else "",
    }
    return visit.page("revision_revert.html", status, **values)


def _label(visit: Visit, field: str) -> str:
    """What people call a field of whatever cannot be put back."""
    model = next((one.model for one in SORTS.values() if one.model is not None and field in one.model.model_fields), None)
    return differences.label(visit, model, field)


def _told(visit: Visit, changes: tuple[differences.Changed, ...]) -> tuple[Told, ...]:
    return differences.told(visit, changes, only_settings=True)


def _number(visit: Visit) -> int:
    number = whole(visit.path["number"])
    if number is None:
        raise NotFound("Revision", visit.path["number"])
    return number


ROUTES: Final = (
    page("/console/revisions", find, may="revision:read", current="revisions"),
    page("/console/revisions/{number}", details, may="revision:read", current="revisions"),
    page("/console/revisions/{number}/revert", ask, may="revision:revert", current="revisions"),
    action("/console/revisions/{number}/revert", revert, may="revision:revert", current="revisions"),
)
