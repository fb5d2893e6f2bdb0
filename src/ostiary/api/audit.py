"""/v1/audit: the record of every change, and its proof."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ostiary.api.declared import Sys, Who, described, may
from ostiary.api.nouns import Link
from ostiary.api.queries import RECORD_LIMIT_MAX, page_limit, page_link, parameters, whole_number
from ostiary.errors import Invalid
from ostiary.model.fields import Data
from ostiary.ops import audit


class AuditEntry(Data):
    """One link of the chain. `hash` covers the entry and, through `previous_hash`, all that went before."""

    sequence: int
    at: str
    actor: str
    role: str
    source: str
    request_id: str
    action: str
    kind: str
    resource_id: str
    revision: int
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    previous_hash: str
    hash: str


class AuditList(Data):
    """The reply that lists entries."""

    audit: tuple[AuditEntry, ...]
    audit_links: tuple[Link, ...]


class Verification(Data):
    """Whether the chain holds; `problem` says what is wrong and where, or is null."""

    entries: int
    head_hash: str
    problem: str | None


class VerificationReply(Data):
    """The reply to a verification."""

    verification: Verification


router = APIRouter(prefix="/v1/audit", tags=["audit"])


@router.get(
    "",
    dependencies=[may("audit:read")],
    **described(
        200,
        answers=AuditList,
        query={
            "limit": f"Most items in one page, at most {RECORD_LIMIT_MAX}.",
            "after": "Only those with a larger sequence.",
            "order": "asc (default) or desc, newest first.",
        },
    ),
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List entries of the record."""
    given = parameters(request, {"limit", "after", "order"})
    limit = page_limit(given)
    order = given.get("order", ["asc"])[0]
    if order not in {"asc", "desc"}:
        raise Invalid("order", "is neither asc nor desc")
    newest_first = order == "desc"
    found = audit.find(system, caller, after=whole_number(given, "after", 0), limit=limit, newest_first=newest_first)
    further = len(found) == limit and not newest_first
    next_page = [{"rel": "next", "href": page_link(request, {"after": str(found[-1]["sequence"])})}] if further else []
    return JSONResponse({"audit": found, "audit_links": next_page})


@router.get("/verify", dependencies=[may("audit:verify")], **described(200, answers=VerificationReply))
def verify(system: Sys, caller: Who) -> JSONResponse:
    """Check the hash chain over the whole record."""
    result = audit.verify(system, caller)
    return JSONResponse({"verification": {"entries": result.entries, "head_hash": result.head_hash, "problem": result.problem}})
