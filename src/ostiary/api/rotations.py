"""/v1/rotations: put a new authority in the place of an old one, with nobody shut out by surprise."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from ostiary.api.bodies import decode
from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.nouns import Noun, wrapped, zulu_time
from ostiary.api.queries import asked, links, one_asked
from ostiary.model.fields import Data, setting
from ostiary.model.rotation import Rotation
from ostiary.ops import rotations
from ostiary.ops.caller import Caller
from ostiary.ops.system import System


class NewRotation(Data):
    """Which authority is to go, and which takes its place."""

    from_id: Annotated[str, Field(min_length=1, max_length=255)] = setting(description="The authority that is to go.")
    to_id: Annotated[str, Field(min_length=1, max_length=255)] = setting(description="The authority that takes its place.")


class Finish(Data):
    """How to end a rotation."""

    force: bool = setting(False, "Whether to shut out clients that still hold certificates of the old authority.")


class Left(Data):
    """Who is left on the old authority."""

    listeners: tuple[str, ...] = Field(description="The listeners and pools that trust the old authority.")
    active: int = Field(
        description="Clients with a good certificate of the old authority and none of the new, seen or new lately."
    )
    seen: int = Field(description="Those of them that were seen lately.")
    dormant: int = Field(description="Good certificates of the old authority that were not seen lately.")
    strangers: int = Field(description="Clients seen lately with a certificate of it that is not on record here.")
    last_seen: datetime | None = Field(description="When a client of the old authority was last seen.")
    some: tuple[dict[str, Any], ...] = Field(description="Some of the clients, last seen first.")


NOUN: Final = Noun(
    "rotation", "rotations", Rotation, shown={"left": (Left | None, Field(description="Who is left; only of one rotation."))}
)
Creation: Final = wrapped("rotation", NewRotation)
router = APIRouter(prefix="/v1/rotations", tags=["authorities"])


@router.post("", dependencies=[may("rotation:start")], **described(201, takes=Creation, answers=NOUN.reply))
def start(system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Add the new authority beside the old wherever that is trusted, and have it issue from now on. Nobody is refused by this."""
    body: Any = decode(raw, Creation, NOUN.why_not_new)
    made = rotations.start(system, caller, body.rotation.from_id, body.rotation.to_id)
    return JSONResponse({NOUN.one: _shown(system, caller, made)}, 201)


@router.get("", dependencies=[may("rotation:read")], **described(200, answers=NOUN.list_reply, query=list_query(NOUN.attributes)))
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List rotations."""
    wanted = asked(request, NOUN)
    page = rotations.find(system, caller, wanted.query)
    items = [wanted.pick({**NOUN.show(thing), "left": None}) for thing in page.items]
    return JSONResponse({NOUN.many: items, f"{NOUN.many}_links": links(request, wanted, page)})


@router.get("/{rotation_id}", dependencies=[may("rotation:read")], **described(200, answers=NOUN.reply))
def get(request: Request, system: Sys, caller: Who, rotation_id: str) -> JSONResponse:
    """Show a rotation, and who is left on the old authority."""
    picked = one_asked(request, NOUN)
    return JSONResponse({NOUN.one: picked.pick(_shown(system, caller, rotations.get(system, caller, rotation_id)))})


@router.post("/{rotation_id}/finish", dependencies=[may("rotation:finish")], **described(200, takes=Finish, answers=NOUN.reply))
def finish(system: Sys, caller: Who, rotation_id: str, raw: Raw) -> JSONResponse:
    """Remove the old authority wherever it is trusted. Refused while clients hold its certificates, unless forced."""
    done = rotations.finish(system, caller, rotation_id, force=decode(raw or b"{}", Finish).force)
    return JSONResponse({NOUN.one: _shown(system, caller, done)})


@router.post("/{rotation_id}/undo", dependencies=[may("rotation:undo")], **described(200, answers=NOUN.reply))
def undo(system: Sys, caller: Who, rotation_id: str) -> JSONResponse:
    """Take the new authority off again; after the end, put the old one back in its place."""
    return JSONResponse({NOUN.one: _shown(system, caller, rotations.undo(system, caller, rotation_id))})


def _shown(system: System, caller: Caller, rotation: Rotation) -> dict[str, Any]:
    left = rotations.progress(system, caller, rotation.id)
    return {
        **NOUN.show(rotation),
        "left": {
            "listeners": list(left.holders),
            "active": left.active,
            "seen": left.seen,
            "dormant": left.dormant,
            "strangers": left.strangers,
            "last_seen": zulu_time(left.last_seen) if left.last_seen else None,
            "some": [
                {
                    "id": one.id,
                    "subject": one.subject,
                    "owner": one.owner,
                    "last_seen": one.last_seen and zulu_time(one.last_seen),
                }
                for one in left.some
            ],
        },
    }
