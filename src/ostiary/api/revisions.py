"""/v1/revisions: the history of the configuration, and going back."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ostiary.api.declared import Sys, Who, described, may
from ostiary.api.effects import EffectItem, shown_effect
from ostiary.api.nouns import Link, zulu_time
from ostiary.api.queries import RECORD_LIMIT_MAX, page_limit, page_link, parameters, whole_number
from ostiary.errors import NotFound
from ostiary.model.fields import Data
from ostiary.ops import effects_kept, revisions
from ostiary.store.store import Revision


class RevisionItem(Data):
    """One committed change."""

    number: int
    at: datetime
    actor: str
    action: str


class ChangeItem(Data):
    """One resource before and after; null where it did not exist."""

    kind: str
    resource_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class RevisionDetail(RevisionItem):
    """One committed change, what it changed, and how soon that was in force at each gateway."""

    changes: tuple[ChangeItem, ...]
    effects: tuple[EffectItem, ...]


class RevisionReply(Data):
    """The reply that shows a revision."""

    revision: RevisionDetail


class RevisionList(Data):
    """The reply that lists revisions."""

    revisions: tuple[RevisionItem, ...]
    revisions_links: tuple[Link, ...]


class RevisionNumber(Data):
    """A revision's number."""

    number: int


class Reverted(Data):
    """The reply to a revert: the revision that the configuration is at now."""

    revision: RevisionNumber


router = APIRouter(prefix="/v1/revisions", tags=["revisions"])


@router.get(
    "",
    dependencies=[may("revision:read")],
    **described(
        200,
        answers=RevisionList,
        query={"limit": f"Most items in one page, at most {RECORD_LIMIT_MAX}.", "before": "Only those with a smaller number."},
    ),
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List revisions, newest first."""
    given = parameters(request, {"limit", "before"})
    limit = page_limit(given)
    before = whole_number(given, "before", 0) if "before" in given else None
    found = revisions.find(system, caller, before=before, limit=limit)
    further = [{"rel": "next", "href": page_link(request, {"before": str(found[-1].number)})}] if len(found) == limit else []
    return JSONResponse({"revisions": [_shown(revision) for revision in found], "revisions_links": further})


@router.get("/{number}", dependencies=[may("revision:read")], **described(200, answers=RevisionReply))
def get(system: Sys, caller: Who, number: str) -> JSONResponse:
    """Show what a revision changed, and how soon that was in force at each gateway."""
    found = revisions.get(system, caller, _number(number))
    changes = [
        {"kind": change.kind, "resource_id": change.resource_id, "before": change.before, "after": change.after}
        for change in found.changes
    ]
    effects = [shown_effect(one) for one in effects_kept.of_revision(system, caller, found.revision.number)]
    return JSONResponse({"revision": {**_shown(found.revision), "changes": changes, "effects": effects}})


@router.post("/{number}/revert", dependencies=[may("revision:revert")], **described(200, answers=Reverted))
def revert(system: Sys, caller: Who, number: str) -> JSONResponse:
    """Put the configuration back to how it was after a revision. This makes a new revision."""
    return JSONResponse({"revision": {"number": revisions.revert(system, caller, _number(number))}})


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise NotFound("Revision", text)
    return int(text)


def _shown(revision: Revision) -> dict[str, Any]:
    return {"number": revision.number, "at": zulu_time(revision.at), "actor": revision.actor, "action": revision.action}
