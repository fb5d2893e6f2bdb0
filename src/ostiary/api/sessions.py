"""/v1/sessions and /v1/sign-in-links: who is signed in to the console, and links that sign in once."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from ostiary.api.declared import Sys, Who, described, may
from ostiary.api.nouns import Noun, wrapped, zulu_time
from ostiary.model.fields import Data
from ostiary.model.session import LINK_LIFETIME, Session
from ostiary.ops import sessions, sign_in_links

NOUN: Final = Noun("session", "sessions", Session)


class SignInLink(Data):
    """A link that signs in whoever follows it, under the name and role of who made it."""

    url: str = Field(description="It works once. It is shown this once.")
    expires_at: str = Field(description="Until when it is good.")


Made: Final = wrapped("sign_in_link", SignInLink, "SignInLinkReply")

router = APIRouter(prefix="/v1", tags=["sessions"])


@router.post("/sign-in-links", dependencies=[may("sign-in-link:create")], **described(201, answers=Made))
def make(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """Make a link that signs you in to the console, once and within a quarter of an hour."""
    secret = sign_in_links.make(system, caller)
    link = {
        "url": sign_in_links.url(system, secret, str(request.base_url)),  # by whichever name they reach us who ask
        "expires_at": zulu_time(system.clock() + LINK_LIFETIME),
    }
    return JSONResponse({"sign_in_link": link}, 201)


@router.get("/sessions", dependencies=[may("session:read")], **described(200, answers=NOUN.list_reply))
def find(system: Sys, caller: Who) -> JSONResponse:
    """List your sessions; everybody's, for administrators."""
    return JSONResponse({NOUN.many: [NOUN.show(one) for one in sessions.find(system, caller)], f"{NOUN.many}_links": []})


@router.delete(
    "/sessions", dependencies=[may("session:end")], **described(204, query={"name": "Whose; yours when it is left out."})
)
def end_all(request: Request, system: Sys, caller: Who) -> Response:
    """Sign out everywhere: all your sessions end, and your sign-in links open nothing any more."""
    sessions.end_all(system, caller, request.query_params.get("name") or caller.name)
    return Response(status_code=204)


@router.get("/sessions/{session_id}", dependencies=[may("session:read")], **described(200, answers=NOUN.reply))
def get(system: Sys, caller: Who, session_id: str) -> JSONResponse:
    """Show a session."""
    return JSONResponse({NOUN.one: NOUN.show(sessions.get(system, caller, session_id))})


@router.delete("/sessions/{session_id}", dependencies=[may("session:end")], **described(204))
def end(system: Sys, caller: Who, session_id: str) -> Response:
    """End a session: that browser is signed out."""
    sessions.end(system, caller, session_id)
    return Response(status_code=204)
