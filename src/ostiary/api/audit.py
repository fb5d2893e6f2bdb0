"""/v1/audit: the record of every change, and its proof."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, StreamingResponse

from ostiary.api.declared import Sys, Who, described, may
from ostiary.api.nouns import Link
from ostiary.api.queries import RECORD_LIMIT_MAX, page_limit, page_link, parameters, whole_number
from ostiary.errors import Invalid
from ostiary.model.audit import AuditSearch
from ostiary.model.fields import Data
from ostiary.ops import audit, heads
from ostiary.ops.chain import Verification as Verified
from ostiary.ops.verifying import Progress as Verifying


class AuditEntry(Data):
    """One link of the chain. `hash` covers the entry and, through `previous_hash`, all that went before.

    `credential` is what the actor showed, as a kind and which one, never the secret itself. Where another person had to agree,
    `approval` is which, and `approved_by` who; where somebody did without, `break_glass` is under which emergency.
    """

    sequence: int
    at: str
    actor: str
    role: str
    source: str
    credential: str = ""
    approval: str = ""
    approved_by: str = ""
    break_glass: str = ""
    request_id: str
    action: str
    kind: str
    resource_id: str
    revision: int | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    previous_hash: str
    hash: str


class AuditList(Data):
    """The reply that lists entries."""

    audit: tuple[AuditEntry, ...]
    audit_links: tuple[Link, ...]


class Verification(Data):
    """Whether the chain holds; `problem` says what is wrong and where, or is null.

    `begins_after` is the last entry that was removed for its age, `reached` the last that was read, `signed_until` the last whose
    head is signed, of `heads` that are.
    """

    entries: int
    head_hash: str
    problem: str | None
    begins_after: int
    reached: int
    heads: int
    signed_until: int


class VerificationReply(Data):
    """The reply to a verification."""

    verification: Verification


class Progress(Verification):
    """How far a verification is: `written` entries are to be read; `failed` says why it could not go on, if so."""

    written: int
    is_going_on: bool
    failed: str
    started_at: str
    started_by: str
    ended_at: str | None


class ProgressReply(Data):
    """The reply that shows how far it is; null when there was none since ostiary was started."""

    verification: Progress | None


class Head(Data):
    """Where the record stood: an entry, its hash, and a signature of both (Ed25519, base64)."""

    sequence: int
    at: str
    hash: str
    key_id: str
    signature: str


class Key(Data):
    """A key that heads are signed with. `id` is its fingerprint: SHA-256 of the public key."""

    id: str
    at: str
    public_key: str


class HeadList(Data):
    """The reply that lists signed heads, newest first, and the keys they are signed with, newest last."""

    heads: tuple[Head, ...]
    keys: tuple[Key, ...]


router = APIRouter(prefix="/v1/audit", tags=["audit"])
_FILTERS: Final = {
    "actor": "Only what this one did.",
    "action": "Only this action, such as listener:update.",
    "resource_id": "Only what was done to this.",
    "since": "Only from then on (RFC 3339).",
    "until": "Only before then (RFC 3339).",
}


@router.get(
    "",
    dependencies=[may("audit:read")],
    **described(
        200,
        answers=AuditList,
        query={
            "limit": f"Most items in one page, at most {RECORD_LIMIT_MAX}.",
            "after": "Only those with a larger sequence.",
            "before": "Only those with a smaller sequence; newest first.",
            "order": "asc (default) or desc, newest first.",
            **_FILTERS,
        },
    ),
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List entries of the record."""
    given = parameters(request, {"limit", "after", "before", "order", *_FILTERS})
    limit = page_limit(given)
    order = given.get("order", ["asc"])[0]
    if order not in {"asc", "desc"}:
        raise Invalid("order", "is neither asc nor desc")
    newest_first = order == "desc"
    after = whole_number(given, "after", 0)
    before = whole_number(given, "before", 0) or None
    wanted = _wanted(given)
    if newest_first:
        found = audit.search(system, caller, wanted, before=before, limit=limit)
        found = [one for one in found if one["sequence"] > after]
        on = {"before": str(found[-1]["sequence"])} if len(found) == limit else {}
    else:
        found = audit.search(system, caller, wanted, after=after, before=before, limit=limit)[::-1]
        on = {"after": str(found[-1]["sequence"])} if len(found) == limit else {}
    next_page = [{"rel": "next", "href": page_link(request, on)}] if on else []
    return JSONResponse({"audit": found, "audit_links": next_page})


@router.get("/verify", dependencies=[may("audit:verify")], **described(200, answers=VerificationReply))
def verify(system: Sys, caller: Who) -> JSONResponse:
    """Check the hash chain and the signed heads over the whole record, and answer once that is done."""
    return JSONResponse({"verification": _verification(audit.verify(system, caller))})


@router.post("/verify", dependencies=[may("audit:verify")], **described(202, answers=ProgressReply))
def begin(system: Sys, caller: Who) -> JSONResponse:
    """The same beside everything else: begin, unless it is going on; /v1/audit/verify/progress says how far it is."""
    return JSONResponse({"verification": _progress(system.verifying.start(system, caller))}, 202)


@router.get("/verify/progress", dependencies=[may("audit:read")], **described(200, answers=ProgressReply))
def progress(system: Sys, caller: Who) -> JSONResponse:
    """How far it is, or what came of the last one."""
    found = system.verifying.progress(caller)
    return JSONResponse({"verification": None if found is None else _progress(found)})


@router.get("/export", dependencies=[may("audit:read", "audit:export")], **described(200, query=_FILTERS))
def export(request: Request, system: Sys, caller: Who) -> StreamingResponse:
    """Hand out the record, or what fits, as JSON lines with its signed heads; `ostiary audit verifier` prints what checks it."""
    lines = audit.export(system, caller, _wanted(parameters(request, set(_FILTERS))))
    return StreamingResponse(lines, media_type="application/jsonl", headers={"cache-control": "no-store"})


@router.get(
    "/heads", dependencies=[may("audit:read")], **described(200, answers=HeadList, query={"limit": "Most heads, at most 1000."})
)
def signed_heads(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List the newest signed heads, and the keys they are signed with."""
    limit = page_limit(parameters(request, {"limit"}))
    keys = [{"id": key.id, "at": key.at.isoformat(), "public_key": key.public_key} for key in heads.keys(system, caller)]
    found = [{**asdict(head), "at": head.at.isoformat()} for head in heads.find(system, caller, limit=limit)]
    return JSONResponse({"heads": found, "keys": keys})


def _wanted(given: Mapping[str, list[str]]) -> AuditSearch:
    said = {name: values[0] for name, values in given.items() if values and values[0]}
    return AuditSearch(
        said.get("actor"), said.get("action"), said.get("resource_id"), _moment(said, "since"), _moment(said, "until")
    )


def _moment(said: Mapping[str, str], name: str) -> datetime | None:
    if (text := said.get(name)) is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(name, "is not a time such as 2027-01-31T12:00:00Z") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _verification(found: Verified) -> dict[str, Any]:
    return {**asdict(found), "entries": found.entries}


def _progress(found: Verifying) -> dict[str, Any]:
    return {
        **_verification(found.verified),
        "written": found.written,
        "is_going_on": found.is_going_on,
        "failed": found.failed,
        "started_at": found.started_at.isoformat(),
        "started_by": found.started_by,
        "ended_at": found.ended_at and found.ended_at.isoformat(),
    }
