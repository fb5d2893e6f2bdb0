"""/v1/tokens: grants to enrol, and keys to the API. The secret of a token is in the answer to its creation, and nowhere else."""

from typing import Any, Final, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from ostiary.api.bodies import decode
from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.enrolment import steps
from ostiary.api.nouns import Noun, wrapped
from ostiary.api.queries import asked, links, one_asked
from ostiary.model.token import NewToken, Token
from ostiary.ops import tokens
from ostiary.ops.system import System

_TESTS: Final = ("status",)
_State = Literal["VALID", "USED", "EXPIRED"]

NOUN: Final = Noun("token", "tokens", Token, shown={"status": (_State, Field(description="Whether it is good, by the clock."))})
MADE: Final = Noun(
    "token",
    "tokens",
    Token,
    shown={
        **NOUN.shown,
        "secret": (str, Field(description="The token. It is shown this once.")),
        "url": (str, Field(default="", description="Of a grant: where it is used, for people.")),
        "ca_sha256": (str, Field(default="", description="Of a grant: SHA-256 of the authority to recognise that place by.")),
        "command": (str, Field(default="", description="Of a grant: what to run on the device.")),
        "shell": (str, Field(default="", description="Of a grant: the same with curl and openssl.")),
    },
)
Creation: Final = wrapped("token", NewToken)
MadeReply: Final = wrapped("token", MADE.item, "NewTokenReply")

router = APIRouter(prefix="/v1/tokens", tags=["tokens"])


@router.post("", dependencies=[may("token:create")], **described(201, takes=Creation, answers=MadeReply))
def create(system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Make a grant to enrol, or with a role a key to the API."""
    body: Any = decode(raw, Creation, NOUN.why_not_new)
    token, secret = tokens.create(system, caller, body.token)
    text = bytes(secret).decode()
    shown = {**_shown(system, token), "secret": text, "url": "", "ca_sha256": "", "command": "", "shell": ""}
    how = steps(system, text) if token.kind == "enrolment" else None
    if how is not None:
        shown |= {"url": how.url, "ca_sha256": how.ca_sha256, "command": how.command, "shell": how.shell}
    return JSONResponse({NOUN.one: shown}, 201)


@router.get(
    "", dependencies=[may("token:read")], **described(200, answers=NOUN.list_reply, query=list_query(NOUN.attributes, _TESTS))
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List tokens, without their secrets."""
    wanted = asked(request, NOUN, _TESTS)
    page = wanted.page(
        lambda query: tokens.find(system, caller, query), lambda token, _name, text: tokens.state(token, system) == text
    )
    items = [wanted.pick(_shown(system, token)) for token in page.items]
    return JSONResponse({NOUN.many: items, f"{NOUN.many}_links": links(request, wanted, page)})


@router.get("/{token_id}", dependencies=[may("token:read")], **described(200, answers=NOUN.reply))
def get(request: Request, system: Sys, caller: Who, token_id: str) -> JSONResponse:
    """Show a token, without its secret."""
    picked = one_asked(request, NOUN)
    return JSONResponse({NOUN.one: picked.pick(_shown(system, tokens.get(system, caller, token_id)))})


@router.delete("/{token_id}", dependencies=[may("token:delete")], **described(204))
def delete(system: Sys, caller: Who, token_id: str) -> Response:
    """Revoke a token: from now on it opens nothing."""
    tokens.delete(system, caller, token_id)
    return Response(status_code=204)


def _shown(system: System, token: Token) -> dict[str, Any]:
    return {**NOUN.show(token), "status": tokens.state(token, system)}
