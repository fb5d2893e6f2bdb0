"""/v1/break-glass: an emergency, in which an administrator does without others' approval for a time."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ostiary.api.bodies import decode
from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.nouns import Noun
from ostiary.api.queries import asked, links, one_asked
from ostiary.model.approval import BreakGlass, NewBreakGlass, ReviewBreakGlass
from ostiary.ops import break_glass

NOUN: Final = Noun("break_glass", "break_glasses", BreakGlass)

router = APIRouter(prefix="/v1/break-glass", tags=["approvals"])


@router.post("", dependencies=[may("break-glass:begin")], **described(201, takes=NewBreakGlass, answers=NOUN.reply))
def begin(system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Do without approval from now on. It ends by itself, everybody is told, and another person looks at it afterwards."""
    return _reply(break_glass.begin(system, caller, decode(raw, NewBreakGlass)), 201)


@router.get(
    "", dependencies=[may("break-glass:read")], **described(200, answers=NOUN.list_reply, query=list_query(NOUN.attributes))
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List emergencies; `state=OPEN` are those that go on, `state=ENDED` those that nobody has signed off."""
    wanted = asked(request, NOUN)
    page = break_glass.find(system, caller, wanted.query)
    items = [wanted.pick(NOUN.show(thing)) for thing in page.items]
    return JSONResponse({NOUN.many: items, f"{NOUN.many}_links": links(request, wanted, page)})


@router.get("/{glass_id}", dependencies=[may("break-glass:read")], **described(200, answers=NOUN.reply))
def get(request: Request, system: Sys, caller: Who, glass_id: str) -> JSONResponse:
    """Show one emergency."""
    picked = one_asked(request, NOUN)
    return JSONResponse({NOUN.one: picked.pick(NOUN.show(break_glass.get(system, caller, glass_id)))})


@router.post("/{glass_id}/end", dependencies=[may("break-glass:end")], **described(200, answers=NOUN.reply))
def end(system: Sys, caller: Who, glass_id: str) -> JSONResponse:
    """End it now."""
    return _reply(break_glass.end(system, caller, glass_id))


@router.post(
    "/{glass_id}/review",
    dependencies=[may("break-glass:review")],
    **described(200, takes=ReviewBreakGlass, answers=NOUN.reply),
)
def review(system: Sys, caller: Who, glass_id: str, raw: Raw) -> JSONResponse:
    """Sign it off, when it is over: another person than whoever began it."""
    return _reply(break_glass.review(system, caller, glass_id, decode(raw, ReviewBreakGlass).review))


def _reply(glass: BreakGlass, status: int = 200) -> JSONResponse:
    return JSONResponse({NOUN.one: NOUN.show(glass)}, status)
