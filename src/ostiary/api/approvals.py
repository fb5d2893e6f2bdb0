"""/v1/approvals: what another person has to agree to before it is done."""

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from ostiary.api.bodies import decode
from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.nouns import Noun
from ostiary.api.queries import asked, links, one_asked
from ostiary.model.approval import Approval, DecideApproval, Justify
from ostiary.ops import approvals
from ostiary.ops.why_words import said

NOUN: Final = Noun(
    "approval",
    "approvals",
    Approval,
    shown={
        "because": (tuple[str, ...], Field((), description="Why another person has to agree, in words.")),
        "may_decide": (bool | None, Field(None, description="Whether you may decide; of one that waits.")),
        "deciders": (tuple[str, ...], Field((), description="Who might decide.")),
        "why_not": (str, Field("", description="Why you may not.")),
        "meanwhile": (tuple[str, ...], Field((), description="What changed since it was asked; then it has to be asked anew.")),
    },
)
_LONG: Final = ("changes", "arguments")  # which a list leaves out

router = APIRouter(prefix="/v1/approvals", tags=["approvals"])


@router.get("", dependencies=[may("approval:read")], **described(200, answers=NOUN.list_reply, query=list_query(NOUN.attributes)))
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List approvals; `status=PENDING` are those that wait. What each would change is shown with the one."""
    wanted = asked(request, NOUN)
    page = approvals.find(system, caller, wanted.query)
    items = [{name: value for name, value in _shown(one).items() if name not in _LONG} for one in page.items]
    return JSONResponse({NOUN.many: [wanted.pick(one) for one in items], f"{NOUN.many}_links": links(request, wanted, page)})


@router.get("/{approval_id}", dependencies=[may("approval:read")], **described(200, answers=NOUN.reply))
def get(request: Request, system: Sys, caller: Who, approval_id: str) -> JSONResponse:
    """Show an approval: who asks for what and why, what it would change, and whether you may decide on it."""
    picked = one_asked(request, NOUN)
    approval = approvals.get(system, caller, approval_id)
    standing = approvals.standing(system, caller, approval_id)
    its = {
        "may_decide": standing.may_decide,
        "deciders": list(standing.deciders),
        "why_not": standing.why_not,
        "meanwhile": list(standing.meanwhile),
    }
    return JSONResponse({NOUN.one: picked.pick({**_shown(approval), **its})})


@router.post(
    "/{approval_id}/approve",
    dependencies=[may("approval:approve", "approval:overtaken")],
    **described(200, takes=DecideApproval, answers=NOUN.reply),
)
def approve(system: Sys, caller: Who, approval_id: str, raw: Raw) -> JSONResponse:
    """Agree. It is done now, as it was asked for; or not at all, when something of it changed meanwhile."""
    wanted = decode(raw or b"{}", DecideApproval)
    return _reply(approvals.approve(system, caller, approval_id, wanted.reason))


@router.post(
    "/{approval_id}/refuse",
    dependencies=[may("approval:approve", "approval:refuse")],
    **described(200, takes=DecideApproval, answers=NOUN.reply),
)
def refuse(system: Sys, caller: Who, approval_id: str, raw: Raw) -> JSONResponse:
    """Refuse, with a reason that whoever asked gets to read."""
    wanted = decode(raw or b"{}", DecideApproval)
    return _reply(approvals.refuse(system, caller, approval_id, wanted.reason))


@router.post(
    "/{approval_id}/withdraw",
    dependencies=[may("approval:withdraw")],
    **described(200, takes=DecideApproval, answers=NOUN.reply),
)
def withdraw(system: Sys, caller: Who, approval_id: str, raw: Raw) -> JSONResponse:
    """Take back what you asked for yourself."""
    wanted = decode(raw or b"{}", DecideApproval)
    return _reply(approvals.withdraw(system, caller, approval_id, wanted.reason))


@router.post("/{approval_id}/justify", dependencies=[may("approval:ask")], **described(200, takes=Justify, answers=NOUN.reply))
def justify(system: Sys, caller: Who, approval_id: str, raw: Raw) -> JSONResponse:
    """Say why what you asked for is needed."""
    return _reply(approvals.justify(system, caller, approval_id, decode(raw, Justify).justification))


def _shown(approval: Approval) -> dict[str, Any]:
    return {**NOUN.show(approval), "because": [said(one) for one in approval.reasons]}


def _reply(approval: Approval) -> JSONResponse:
    return JSONResponse({NOUN.one: _shown(approval)})
