"""Revocation lists (/pki) and OCSP (/ocsp): public, because whoever checks a certificate has no account here, and cacheable."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Final

from cryptography import x509
from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from ostiary.api.accept import admits
from ostiary.api.declared import Raw, Sys, described, public, public_reading
from ostiary.errors import Invalid
from ostiary.model.revocation import ListKind
from ostiary.ops import ocsp, published_lists
from ostiary.ops.ocsp import Answer
from ostiary.ops.system import System
from ostiary.pki.chain import to_pem
from ostiary.pki.ocsp import failure, from_path

LIST: Final = "application/pkix-crl"  # RFC 2585
LIST_PEM: Final = ("application/x-pem-file", "text/plain")
OCSP_REQUEST: Final = "application/ocsp-request"  # RFC 6960, appendix C
OCSP: Final = "application/ocsp-response"

# For how long a cache need not ask again. Asking is cheap (304), and a new list follows each revocation within moments.
_MAX_AGE: Final = 300

router = APIRouter(tags=["revocation"])


# Before the other, whose path fits this one too.
@router.get("/pki/{authority_id}.delta.crl", dependencies=[public], **described(200))
def delta(request: Request, system: Sys, authority_id: str) -> Response:
    """What changed since an authority's base list (RFC 5280 5.2.4): DER, or PEM for who accepts only that."""
    return _list(request, system, authority_id, "delta")


@router.get("/pki/{authority_id}.crl", dependencies=[public], **described(200))
def complete(request: Request, system: Sys, authority_id: str) -> Response:
    """An authority's revocation list: DER (RFC 5280 4.2.1.13), or PEM for who accepts only that."""
    return _list(request, system, authority_id, "complete")


@router.post("/ocsp/{authority_id}", dependencies=[public_reading], **described(200, octets=OCSP_REQUEST))
async def post(system: Sys, authority_id: str, body: Raw) -> Response:
    """Ask whether a certificate was revoked (RFC 6960 A.1); both ways DER."""
    return Response((await _answered(system, authority_id, body)).der, media_type=OCSP)


@router.get("/ocsp/{authority_id}/{request:path}", dependencies=[public], **described(200))
async def get(request: Request, system: Sys, authority_id: str) -> Response:
    """Ask the same with the request in the path, base64, so that caches can answer (RFC 5019 5)."""
    # The path as it was sent, but for one decoding of percents: base64 may end in slashes, which other paths lose.
    text = request.scope["asked_path"].removeprefix(f"/ocsp/{authority_id}/")
    try:
        answer = await _answered(system, authority_id, from_path(text))
    except Invalid:
        answer = Answer(failure("malformedRequest"))
    if answer.this_update is None or answer.next_update is None:
        return Response(answer.der, media_type=OCSP)
    # RFC 5019 6.2. The tag it asks for is the digest of the answer.
    headers = _cacheable(f'"{hashlib.sha256(answer.der).hexdigest()}"', answer.this_update, answer.next_update)
    return _unless_known(request, headers) or Response(answer.der, headers=headers, media_type=OCSP)


async def _answered(system: System, authority_id: str, body: bytes) -> Answer:
    """The answer: at once where it was given before, without a thread, which takes longer than all else there is to do."""
    known = ocsp.at_once(system, authority_id, body)
    return known if known is not None else await run_in_threadpool(ocsp.answer, system, authority_id, body)


def _list(request: Request, system: System, authority_id: str, kind: ListKind) -> Response:
    accept = request.headers.getlist("accept")
    pem = None if admits(accept, LIST) else next((name for name in LIST_PEM if admits(accept, name)), None)
    form = "pem" if pem else "der"
    # A list is known by its number, so that nobody need read megabytes to find that nothing changed.
    known = [number for number, its_form in map(_numbered, _tags(request)) if its_form == form]
    found = published_lists.find(system, authority_id, kind, next(iter(known), None))
    headers = _cacheable(f'"{found.number:x}-{form}"', found.this_update, found.next_update) | {"Vary": "Accept"}
    if same := _unless_known(request, headers):
        return same
    if pem:
        return Response(to_pem([x509.load_der_x509_crl(found.der)]), headers=headers, media_type=pem)
    return Response(found.der, headers=headers, media_type=LIST)


def _cacheable(tag: str, this_update: datetime, next_update: datetime) -> dict[str, str]:
    return {
        "ETag": tag,
        "Last-Modified": format_datetime(this_update, usegmt=True),
        "Expires": format_datetime(next_update, usegmt=True),
        "Cache-Control": f"max-age={_MAX_AGE}, public, no-transform, must-revalidate",
    }


def _unless_known(request: Request, headers: Mapping[str, str]) -> Response | None:
    """304 for who has it already (RFC 9110 13.1.2)."""
    tags = _tags(request)
    return Response(status_code=304, headers=dict(headers)) if headers["ETag"] in tags or "*" in tags else None


def _tags(request: Request) -> list[str]:
    """What the client has, by its tags. That they may be weak makes no difference to GET."""
    return [tag.strip().removeprefix("W/") for value in request.headers.getlist("if-none-match") for tag in value.split(",")]


def _numbered(tag: str) -> tuple[int | None, str]:
    """The number and form that a tag of ours stands for."""
    number, _, form = tag.strip('"').partition("-")
    try:
        return int(number[:40], 16), form
    except ValueError:
        return None, ""
