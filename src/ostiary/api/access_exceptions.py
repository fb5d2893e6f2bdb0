"""/v1/access-exceptions: requests that are served without a certificate; each with an owner and a day on which it ends."""

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.nouns import Noun
from ostiary.api.queries import asked, links, one_asked
from ostiary.model.access import AccessException
from ostiary.ops import exceptions
from ostiary.ops.exceptions import State
from ostiary.ops.system import System

_TESTS: Final = ("state",)
NOUN: Final = Noun(
    "access_exception",
    "access_exceptions",
    AccessException,
    shown={
        "listener": (str, Field(description="The listener's name.")),
        "state": (State, Field(description="Whether it is in force, by the clock.")),
        "days_left": (int, Field(description="Whole days until it ends.")),
    },
)
router = APIRouter(prefix="/v1/access-exceptions", tags=["access exceptions"])


@router.post("", dependencies=[may("access-exception:create")], **described(201, takes=NOUN.creation, answers=NOUN.reply))
def create(system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Add an exception to a listener: until it ends, such requests need no certificate."""
    wanted, _ = NOUN.decode_new(raw)
    return JSONResponse({NOUN.one: _shown(system, exceptions.create(system, caller, wanted))}, 201)


@router.get(
    "",
    dependencies=[may("access-exception:read")],
    **described(200, answers=NOUN.list_reply, query=list_query(NOUN.attributes, _TESTS)),
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List exceptions, those that ended too."""
    wanted = asked(request, NOUN, _TESTS)
    page = wanted.page(
        lambda query: exceptions.find(system, caller, query),
        lambda exception, _name, text: exceptions.state(exception, system.clock()) == text,
    )
    items = [wanted.pick(_shown(system, exception)) for exception in page.items]
    return JSONResponse({NOUN.many: items, f"{NOUN.many}_links": links(request, wanted, page)})


@router.get("/{exception_id}", dependencies=[may("access-exception:read")], **described(200, answers=NOUN.reply))
def get(request: Request, system: Sys, caller: Who, exception_id: str) -> JSONResponse:
    """Show an exception."""
    picked = one_asked(request, NOUN)
    return JSONResponse({NOUN.one: picked.pick(_shown(system, exceptions.get(system, caller, exception_id)))})


@router.put(
    "/{exception_id}",
    dependencies=[may("access-exception:update")],
    **described(200, takes=NOUN.update, answers=NOUN.reply),
)
def update(system: Sys, caller: Who, exception_id: str, raw: Raw) -> JSONResponse:
    """Change an exception; a later `not_after` renews it."""
    after = exceptions.update(system, caller, exception_id, NOUN.decode_changes(raw))
    return JSONResponse({NOUN.one: _shown(system, after)})


@router.delete("/{exception_id}", dependencies=[may("access-exception:delete")], **described(204))
def delete(system: Sys, caller: Who, exception_id: str) -> Response:
    """Remove an exception: a certificate is needed again, at once."""
    exceptions.delete(system, caller, exception_id)
    return Response(status_code=204)


def _shown(system: System, exception: AccessException) -> dict[str, Any]:
    at = system.clock()
    return {
        **NOUN.show(exception),
        "listener": exceptions.listener_name(system, exception),
        "state": exceptions.state(exception, at),
        "days_left": exceptions.days_left(exception, at),
    }
