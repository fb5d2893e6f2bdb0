"""/v1/certificate-requests: certificates that others have to agree to before they are issued."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ostiary.api.bodies import decode
from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.nouns import Noun
from ostiary.api.queries import asked, links, one_asked
from ostiary.model.request import CertificateRequest, Decide
from ostiary.ops import requests

NOUN: Final = Noun("certificate_request", "certificate_requests", CertificateRequest)

router = APIRouter(prefix="/v1/certificate-requests", tags=["certificates"])


@router.get(
    "", dependencies=[may("certificate:read")], **described(200, answers=NOUN.list_reply, query=list_query(NOUN.attributes))
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List certificate requests; `status=PENDING` are those that wait."""
    wanted = asked(request, NOUN)
    page = requests.find(system, caller, wanted.query)
    items = [wanted.pick(NOUN.show(thing)) for thing in page.items]
    return JSONResponse({NOUN.many: items, f"{NOUN.many}_links": links(request, wanted, page)})


@router.get("/{request_id}", dependencies=[may("certificate:read")], **described(200, answers=NOUN.reply))
def get(request: Request, system: Sys, caller: Who, request_id: str) -> JSONResponse:
    """Show a certificate request: who asks for what and why, and what was said of it."""
    picked = one_asked(request, NOUN)
    return JSONResponse({NOUN.one: picked.pick(NOUN.show(requests.get(system, caller, request_id)))})


@router.post(
    "/{request_id}/approve", dependencies=[may("certificate:approve")], **described(200, takes=Decide, answers=NOUN.reply)
)
def approve(system: Sys, caller: Who, request_id: str, raw: Raw) -> JSONResponse:
    """Agree to a request. The last approval that was needed issues the certificate."""
    wanted = decode(raw or b"{}", Decide)
    return JSONResponse({NOUN.one: NOUN.show(requests.approve(system, caller, request_id, wanted.reason))})


@router.post(
    "/{request_id}/refuse",
    dependencies=[may("certificate:approve", "certificate:refuse")],
    **described(200, takes=Decide, answers=NOUN.reply),
)
def refuse(system: Sys, caller: Who, request_id: str, raw: Raw) -> JSONResponse:
    """Refuse a request, with a reason that whoever asked gets to read."""
    wanted = decode(raw or b"{}", Decide)
    return JSONResponse({NOUN.one: NOUN.show(requests.refuse(system, caller, request_id, wanted.reason))})
