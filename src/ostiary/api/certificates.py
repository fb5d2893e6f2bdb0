"""/v1/certificates: certificates we issued."""

from datetime import UTC, datetime
from typing import Any, Final, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from ostiary.api.bodies import decode
from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.nouns import Noun, wrapped
from ostiary.api.once import once
from ostiary.api.queries import asked, links, one_asked
from ostiary.api.requests import NOUN as WAITING
from ostiary.errors import Invalid
from ostiary.model.authority import Certificate, NewCertificate
from ostiary.ops import certificates, requests
from ostiary.ops.system import System

NOUN: Final = Noun(
    "certificate",
    "certificates",
    Certificate,
    shown={
        "status": (
            Literal["VALID", "EXPIRED", "NOT_YET_VALID", "REVOKED", "ON_HOLD"],
            Field(description="Whether it is good now; revocation comes before the clock."),
        ),
    },
    aliases={"group": "groups"},
)
TESTS: Final = ("status", "expires_before")
Creation: Final = wrapped("certificate", NewCertificate)


router = APIRouter(prefix="/v1", tags=["certificates"])


@router.post(
    "/certificates",
    dependencies=[may("certificate:issue", "certificate:request")],
    **described(201, takes=Creation, answers=NOUN.reply),
)
def issue(request: Request, system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Issue a certificate for a request. May be retried with an Idempotency-Key.

    Where the profile asks for other people's approval the answer is 202, with the certificate request that waits for them.
    """
    body: Any = decode(raw, Creation, NOUN.why_not_new)
    wanted: NewCertificate = body.certificate
    if certificates.needs_approval(system, wanted.profile):
        asked_for = requests.submit(system, caller, wanted, once(request, raw))
        return JSONResponse({WAITING.one: WAITING.show(asked_for)}, 202)
    return JSONResponse({NOUN.one: shown(system, certificates.issue(system, caller, wanted, once(request, raw)))}, 201)


@router.get(
    "/certificates",
    dependencies=[may("certificate:read")],
    **described(200, answers=NOUN.list_reply, query=list_query(NOUN.attributes, ("group", *TESTS))),
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List certificates."""
    wanted = asked(request, NOUN, TESTS)
    if "expires_before" in wanted.tests:
        _time(wanted.tests["expires_before"])  # Refused also when there is nothing to compare with.
    page = wanted.page(
        lambda query: certificates.find(system, caller, query), lambda thing, name, text: _passes(system, thing, name, text)
    )
    items = [wanted.pick(shown(system, thing)) for thing in page.items]
    return JSONResponse({NOUN.many: items, f"{NOUN.many}_links": links(request, wanted, page)})


@router.get("/certificates/{certificate_id}", dependencies=[may("certificate:read")], **described(200, answers=NOUN.reply))
def get(request: Request, system: Sys, caller: Who, certificate_id: str) -> JSONResponse:
    """Show a certificate."""
    picked = one_asked(request, NOUN)
    return JSONResponse({NOUN.one: picked.pick(shown(system, certificates.get(system, caller, certificate_id)))})


def shown(system: System, certificate: Certificate) -> dict[str, Any]:
    """A certificate as the API shows it."""
    return {**NOUN.show(certificate), "status": certificates.status(system, certificate)}


def _passes(system: System, certificate: Certificate, name: str, text: str) -> bool:
    if name == "status":
        return certificates.status(system, certificate) == text
    return certificate.not_after < _time(text)


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))  # A '+' that was not escaped arrives as a space.
    except ValueError:
        raise Invalid("expires_before", "is not a time such as 2027-01-31T12:00:00Z") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
