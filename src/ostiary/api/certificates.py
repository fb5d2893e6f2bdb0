"""/v1/certificates: certificates we issued."""

import asyncio
import base64
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field, create_model
from starlette.concurrency import run_in_threadpool

from ostiary.api import inventory_csv, inventory_query, long_lists
from ostiary.api.bodies import decode, parse
from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.effects import EffectItem, shown_effect
from ostiary.api.inventory_query import QUESTIONS
from ostiary.api.mailbox import Mailbox
from ostiary.api.nouns import Noun, wrapped
from ostiary.api.once import HEADER, once
from ostiary.api.queries import Asked, asked, links, one_asked
from ostiary.api.requests import NOUN as WAITING
from ostiary.errors import Refusal
from ostiary.model.authority import Certificate, NewCertificate
from ostiary.model.handout import NewIdentity
from ostiary.model.inventory import Status
from ostiary.model.request import CertificateRequest
from ostiary.ops import certificates, effects_kept, identities, inventory, rush
from ostiary.ops.caller import Caller
from ostiary.ops.system import System

NOUN: Final = Noun(
    "certificate",
    "certificates",
    Certificate,
    shown={
        "status": (
            Status,
            Field(description="Whether it is good now; revocation comes before the clock."),
        ),
    },
    aliases={"group": "groups"},
)
QUERY: Final = {**list_query(NOUN.attributes, ("group",)), **QUESTIONS}
Creation: Final = wrapped("certificate", NewCertificate)
Generation: Final = wrapped("certificate", NewIdentity)
IdentityReply: Final = wrapped(
    "certificate",
    create_model(
        "Identity",
        __base__=NOUN.item,
        pkcs12=(str, Field(description="Certificate, key and chain as PKCS#12, base64. The key is told here and never again.")),
        passphrase=(str | None, Field(description="What opens the file; null when the caller gave it.")),
        mobileconfig=(
            str | None,
            Field(description="The same as an Apple profile, base64, when that was asked for."),
        ),
    ),
    "IdentityReply",
)
DetailReply: Final = wrapped(
    "certificate",
    create_model(
        "CertificateDetail",
        __base__=NOUN.item,
        effects=(
            tuple[EffectItem, ...],
            Field(description="How soon its revocation, hold or release was in force, gateway by gateway."),
        ),
    ),
    "CertificateDetailReply",
)

_MAIL: Final = Mailbox[Certificate | None]()
_SMALL: Final = 16_384  # bytes of a body that are read while everybody else waits; a large request has a thread of its own


router = APIRouter(prefix="/v1", tags=["certificates"])


@router.post(
    "/certificates",
    dependencies=[may("certificate:issue", "certificate:request")],
    **described(201, takes=(Creation, Generation), answers=NOUN.reply | IdentityReply),
)
async def issue(request: Request, system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Issue a certificate for a request; with `"key": "generate"` in place of `csr`, make the key too and hand both out once.

    May be retried with an Idempotency-Key. Where the profile asks for other people's approval the answer is 202, with the
    certificate request that waits for them.
    """
    made = await _in_a_rush(request, system, caller, raw)
    if made is not None:
        return JSONResponse({NOUN.one: shown(system, made)}, 201)
    return await run_in_threadpool(_issued, request, system, caller, raw)


def _issued(request: Request, system: System, caller: Caller, raw: bytes) -> JSONResponse:
    if _asks_for_a_key(raw):
        return _with_key(request, system, caller, raw)
    body: Any = decode(raw, Creation, NOUN.why_not_new)
    made = certificates.ask(system, caller, body.certificate, once(request, raw))
    if isinstance(made, CertificateRequest):
        return JSONResponse({WAITING.one: WAITING.show(made)}, 202)
    return JSONResponse({NOUN.one: shown(system, made)}, 201)


@router.get(
    "/certificates",
    dependencies=[may("certificate:read")],
    **described(200, answers=NOUN.list_reply, query=QUERY),
)
def find(request: Request, system: Sys, caller: Who) -> Response:
    """List certificates: a page of them, or all as CSV (`format=csv`, or `Accept: text/csv`)."""
    listed = asked(request, NOUN, QUESTIONS)
    wanted = inventory_query.read(listed.query, listed.tests, system.clock())
    if inventory_query.wants_csv(request, listed.tests):
        return inventory_csv.reply(inventory.each_page(system, caller, wanted), lambda one: shown(system, one), listed.fields)
    page = inventory.find(system, caller, wanted)
    return long_lists.reply(NOUN.many, (_written(system, listed, one) for one in page.items), links(request, listed, page))


@router.get("/certificates/{certificate_id}", dependencies=[may("certificate:read")], **described(200, answers=DetailReply))
def get(request: Request, system: Sys, caller: Who, certificate_id: str) -> JSONResponse:
    """Show a certificate; with it how soon its revocation was in force at each gateway."""
    picked = one_asked(request, NOUN)
    found = certificates.get(system, caller, certificate_id)
    effects = [shown_effect(one) for one in effects_kept.of_certificate(system, caller, found)]
    return JSONResponse({NOUN.one: picked.pick({**shown(system, found), "effects": effects})})


@router.put(
    "/certificates/{certificate_id}",
    dependencies=[may("certificate:update")],
    **described(200, takes=NOUN.update, answers=NOUN.reply),
)
def update(system: Sys, caller: Who, certificate_id: str, raw: Raw) -> JSONResponse:
    """Change its name, owner or groups. Who leaves a group loses what that permits at once, on open connections too."""
    after = certificates.update(system, caller, certificate_id, NOUN.decode_changes(raw))
    return JSONResponse({NOUN.one: shown(system, after)})


def shown(system: System, certificate: Certificate) -> dict[str, Any]:
    """A certificate as the API shows it."""
    return {**NOUN.show(certificate), "status": certificates.status(system, certificate)}


def _written(system: System, listed: Asked, one: Certificate) -> Mapping[str, Any] | bytes:
    """One of a list: all of it, or what was asked for of it."""
    return listed.pick(shown(system, one)) if listed.fields else NOUN.written(one, status=certificates.status(system, one))


async def _in_a_rush(request: Request, system: System, caller: Caller, raw: bytes) -> Certificate | None:
    """The certificate, made together with those that others ask for; None when it has to be asked for by itself (`_issued`)."""
    with system.signers.counted() as many:
        if not many or len(raw) > _SMALL or HEADER in request.headers or b'"key"' in raw:
            return None
        made: asyncio.Future[Certificate | None] = asyncio.get_running_loop().create_future()
        try:
            body: Any = decode(raw, Creation)
            is_seen_to = rush.ask(system, caller, body.certificate, partial(_MAIL.put, made))
        except Refusal:
            return None  # asked in full, it is said why
        return await made if is_seen_to else None


def _asks_for_a_key(raw: bytes) -> bool:
    wanted = parse(raw).get("certificate")
    return isinstance(wanted, dict) and "key" in wanted


def _with_key(request: Request, system: System, caller: Caller, raw: bytes) -> JSONResponse:
    body: Any = decode(raw, Generation, {"csr": "is for a key that you hold; leave it out, or leave key out", **NOUN.why_not_new})
    made = identities.issue_with_key(system, caller, body.certificate, once(request, raw))
    secret = {
        "pkcs12": base64.b64encode(made.pkcs12).decode("ascii"),
        "passphrase": None if made.passphrase is None else made.passphrase.decode("ascii"),
        "mobileconfig": None if made.mobileconfig is None else base64.b64encode(made.mobileconfig).decode("ascii"),
    }
    return JSONResponse({NOUN.one: {**shown(system, made.certificate), **secret}}, 201)
