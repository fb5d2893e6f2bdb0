"""What becomes of a certificate: renewed, revoked, put on hold, released; many revoked together."""

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from ostiary.api.bodies import decode
from ostiary.api.certificates import NOUN, shown
from ostiary.api.declared import Raw, Sys, Who, described, may
from ostiary.api.once import once
from ostiary.model.authority import Renew
from ostiary.model.fields import Data, setting
from ostiary.model.revocation import Matching, Reason, Revoke
from ostiary.ops import certificates, revocation

SHOWN_IN_PREVIEW: Final = 20


class RevokeMatching(Data):
    """Which certificates to revoke together, and why. Without `expected` nothing is revoked: the reply is a preview."""

    matching: Matching = setting(description="Which ones.")
    reason: Reason = setting("unspecified", "Why, as RFC 5280 names it.")
    expected: int | None = setting(None, "How many the preview said there are; another number by now is refused.", ge=0)


class Revoked(Data):
    """The reply to revoking many, or to asking which they would be."""

    count: int = Field(description="How many match.")
    revoked: int = Field(description="How many were revoked; 0 in a preview.")
    certificates: tuple[dict[str, Any], ...] = Field(description="In a preview, the first of them.")


router = APIRouter(prefix="/v1", tags=["certificates"])


@router.post(
    "/certificates/{certificate_id}/renew",
    dependencies=[may("certificate:renew")],
    **described(201, takes=Renew, answers=NOUN.reply),
)
def renew(request: Request, system: Sys, caller: Who, certificate_id: str, raw: Raw) -> JSONResponse:
    """Issue the successor of a certificate: the same names, a new key, a new time. May be retried with an Idempotency-Key."""
    wanted = decode(raw, Renew)
    made = certificates.renew(system, caller, certificate_id, wanted.csr, once(request, raw))
    return JSONResponse({NOUN.one: shown(system, made)}, 201)


@router.post(
    "/certificates/{certificate_id}/revoke",
    dependencies=[may("certificate:revoke")],
    **described(200, takes=Revoke, answers=NOUN.reply),
)
def revoke(request: Request, system: Sys, caller: Who, certificate_id: str, raw: Raw) -> JSONResponse:
    """Revoke a certificate, put it on hold (`certificateHold`), or release it (`removeFromCRL`). May be retried."""
    wanted = decode(raw or b"{}", Revoke)
    return JSONResponse({NOUN.one: shown(system, revocation.revoke(system, caller, certificate_id, wanted, once(request, raw)))})


@router.post("/revocations", dependencies=[may("certificate:revoke")], **described(200, takes=RevokeMatching, answers=Revoked))
def revoke_matching(system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Revoke all certificates that match: without `expected` a preview, with it if there are as many. May be retried."""
    wanted = decode(raw, RevokeMatching)
    if wanted.expected is None:
        count, first = revocation.preview(system, caller, wanted.matching, show=SHOWN_IN_PREVIEW)
        return JSONResponse({"count": count, "revoked": 0, "certificates": [shown(system, one) for one in first]})
    done = revocation.revoke_matching(system, caller, wanted.matching, Revoke(reason=wanted.reason), wanted.expected)
    return JSONResponse({"count": wanted.expected, "revoked": done, "certificates": []})
