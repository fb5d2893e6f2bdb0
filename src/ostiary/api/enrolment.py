"""/enroll and /v1/enroll: certificates for who shows a grant, and new ones for who shows the old. Public: each proves itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from pydantic import Field
from starlette.datastructures import Headers

from ostiary.api.bodies import Wrapped, decode
from ostiary.api.certificates import NOUN
from ostiary.api.declared import Raw, Sys, Who, described, public
from ostiary.api.identity import presented_token
from ostiary.asgi.attempts import Attempts
from ostiary.asgi.doors import KNOCK, Knock
from ostiary.errors import Denied, Invalid
from ostiary.model.authority import Certificate
from ostiary.model.fields import Data, setting
from ostiary.ops import certificates, enrolling
from ostiary.ops.caller import Caller
from ostiary.ops.enrolling import Knocker
from ostiary.ops.system import System
from ostiary.web import enrolment as pages
from ostiary.web.enrolment import Steps
from ostiary.web.words import of_reader

log = structlog.get_logger("ostiary.enrolment")

PEM: Final = "application/pem-certificate-chain"  # RFC 8555 9.1: the leaf first
_LONGEST_TOKEN: Final = 128
_LONGEST_REQUEST: Final = 65_536


class Asked(Data):
    """A request for a certificate."""

    csr: Annotated[str, Field(min_length=1, max_length=_LONGEST_REQUEST)] = setting(description="The PKCS#10 request, PEM.")
    token: Annotated[str, Field(max_length=_LONGEST_TOKEN)] = setting("", "The grant; here, or as a bearer token.")


class EnrolmentBody(Wrapped):
    """The body that asks for a certificate. A PEM request alone, in place of JSON, is answered with PEM."""

    enrolment: Asked


router = APIRouter(tags=["enrolment"])


@router.get("/enroll/ca.pem", dependencies=[public], **described(200))
def authority(system: Sys) -> Response:
    """Show the authority that signed the certificate of this door, PEM. Compare its fingerprint before you trust it."""
    return Response(enrolling.server_authority(system).certificate, media_type=PEM)


@router.get("/enroll/{token}", dependencies=[public], **described(200))
def page(request: Request, system: Sys, caller: Who, token: str) -> Response:
    """Show what a grant is good for, and how to use it; as a page or as text. Showing it does not use it up."""
    html = "text/html" in request.headers.get("accept", "").lower()
    language = of_reader(request.cookies, request.headers.get("accept-language", ""))
    try:
        with _counted(request, system, caller):
            offered = enrolling.offered(system, token.encode())
    except Denied as refused:
        return _page(pages.refused(str(refused), html=html, language=language), html=html, status=403)
    return _page(pages.offer(offered, steps(system, token), html=html, language=language), html=html)


@router.post("/v1/enroll", dependencies=[public], **described(201, takes=EnrolmentBody, answers=NOUN.reply))
def enroll(request: Request, system: Sys, caller: Who, raw: Raw) -> Response:
    """Get the certificate that a grant is for. The request brings the key; the names are those of the grant."""
    asked, as_json = _asked(raw)
    presented = presented_token(Headers(scope=request.scope)) or asked.token.encode()
    with _counted(request, system, caller):
        made = enrolling.enroll(system, _knocker(caller), presented[:_LONGEST_TOKEN], asked.csr)
    return _reply(system, made, as_json=as_json)


@router.post("/v1/enroll/renew", dependencies=[public], **described(201, takes=EnrolmentBody, answers=NOUN.reply))
def renew(request: Request, system: Sys, caller: Who, raw: Raw) -> Response:
    """Get the successor of the certificate that was shown in the TLS handshake with the door, for a new key."""
    asked, as_json = _asked(raw)
    knock: Knock | None = request.scope.get(KNOCK)
    made = enrolling.renew(system, _knocker(caller), knock.certificate if knock else None, asked.csr)
    return _reply(system, made, as_json=as_json)


def _asked(raw: bytes) -> tuple[Asked, bool]:
    """What is asked, and whether in JSON."""
    if raw.lstrip().startswith(b"{"):
        return decode(raw, EnrolmentBody).enrolment, True
    if not raw.lstrip().startswith(b"-----BEGIN"):
        raise Invalid("csr", "send the certificate request in PEM form (-----BEGIN CERTIFICATE REQUEST-----), or JSON around it.")
    if len(raw) > _LONGEST_REQUEST:
        raise Invalid("csr", f"is longer than {_LONGEST_REQUEST} bytes, the most that is read.")
    return Asked(csr=raw.decode("latin-1")), False


@contextmanager
def _counted(request: Request, system: System, caller: Caller) -> Iterator[None]:
    """Who shows tokens that are not good, one after the other, has to wait."""
    attempts: Attempts = request.app.state.attempts
    attempts.refuse_if_many(caller.source, system.clock())
    try:
        yield
    except Denied:
        attempts.failed(caller.source, system.clock())
        log.warning("a grant was refused", source=caller.source, request_id=caller.request_id)
        raise


def steps(system: System, token: str) -> Steps | None:
    """How this grant is used, from wherever its holder is; None where there is no door to use it at."""
    door = system.door("enrolment")
    if door is None:
        return None
    return Steps(door.url, token, enrolling.server_authority(system).fingerprint_sha256)


def _knocker(caller: Caller) -> Knocker:
    return Knocker(source=caller.source, request_id=caller.request_id)


def _reply(system: System, made: Certificate, *, as_json: bool) -> Response:
    if not as_json:
        return Response(made.certificate + made.chain, 201, media_type=PEM)
    return JSONResponse({NOUN.one: {**NOUN.show(made), "status": certificates.status(system, made)}}, 201)


def _page(text: str, *, html: bool, status: int = 200) -> Response:
    if not html:
        return PlainTextResponse(text, status)
    return HTMLResponse(text, status, {"content-security-policy": pages.POLICY})
