"""/v1/users: people who sign in to the console with a client certificate, and what they may do."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.nouns import Noun
from ostiary.api.queries import asked, links, one_asked
from ostiary.model.user import User
from ostiary.ops import users

NOUN: Final = Noun("user", "users", User)

router = APIRouter(prefix="/v1/users", tags=["users"])


@router.post("", dependencies=[may("user:create")], **described(201, takes=NOUN.creation, answers=NOUN.reply))
def create(system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Add a user: whoever shows a certificate that fits signs in as them."""
    wanted, _ = NOUN.decode_new(raw)
    return JSONResponse({NOUN.one: NOUN.show(users.create(system, caller, wanted))}, 201)


@router.get("", dependencies=[may("user:read")], **described(200, answers=NOUN.list_reply, query=list_query(NOUN.attributes)))
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List users."""
    wanted = asked(request, NOUN)
    page = users.find(system, caller, wanted.query)
    items = [wanted.pick(NOUN.show(user)) for user in page.items]
    return JSONResponse({NOUN.many: items, f"{NOUN.many}_links": links(request, wanted, page)})


@router.get("/{user_id}", dependencies=[may("user:read")], **described(200, answers=NOUN.reply))
def get(request: Request, system: Sys, caller: Who, user_id: str) -> JSONResponse:
    """Show a user."""
    picked = one_asked(request, NOUN)
    return JSONResponse({NOUN.one: picked.pick(NOUN.show(users.get(system, caller, user_id)))})


@router.put("/{user_id}", dependencies=[may("user:update")], **described(200, takes=NOUN.update, answers=NOUN.reply))
def update(system: Sys, caller: Who, user_id: str, raw: Raw) -> JSONResponse:
    """Change what a user may do, or which certificate is theirs. Sessions that this ends are ended."""
    after = users.update(system, caller, user_id, NOUN.decode_changes(raw))
    return JSONResponse({NOUN.one: NOUN.show(after)})


@router.delete("/{user_id}", dependencies=[may("user:delete")], **described(204))
def delete(system: Sys, caller: Who, user_id: str) -> Response:
    """Remove a user, and with them their sessions."""
    users.delete(system, caller, user_id)
    return Response(status_code=204)
