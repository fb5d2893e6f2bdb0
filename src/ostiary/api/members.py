"""/v2/lbaas/pools/{pool_id}/members: the servers that answer."""

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, create_model

from ostiary.api.bodies import decode
from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.lbaas import PREFIX, STATUSES, many, noun, one
from ostiary.api.queries import boolean, parameters
from ostiary.model.fields import Data
from ostiary.model.pool import Member
from ostiary.ops import members

NOUN: Final = noun(
    "member",
    "members",
    Member,
    unsupported=("request_sriov",),
    unsupported_later=("request_sriov",),
    shown={"vnic_type": (str, Field(description="Always normal."))},
)
_each: Any = NOUN.new
Batch: Final[type[BaseModel]] = create_model("MembersBody", __base__=Data, members=(tuple[_each, ...], ...))
router = APIRouter(prefix=f"{PREFIX}/pools/{{pool_id}}/members", tags=["members"])


@router.post("", dependencies=[may("member:create")], **described(201, takes=NOUN.creation, answers=NOUN.reply))
def create(request: Request, system: Sys, caller: Who, pool_id: str, raw: Raw) -> JSONResponse:
    """Add a member to a pool."""
    wanted, _ = NOUN.decode_new(raw)
    return one(request, system, NOUN, members.create(system, caller, pool_id, wanted), _beside, 201)


@router.get(
    "",
    dependencies=[may("member:read")],
    **described(200, answers=NOUN.list_reply, query=list_query(NOUN.attributes, STATUSES)),
)
def find(request: Request, system: Sys, caller: Who, pool_id: str) -> JSONResponse:
    """List the members of a pool."""
    return many(request, system, NOUN, lambda query: members.find(system, caller, pool_id, query), _beside)


@router.put(
    "",
    dependencies=[may("member:replace")],
    **described(202, takes=Batch, query={"additive_only": "true removes none of those that are there."}),
)
def replace(request: Request, system: Sys, caller: Who, pool_id: str, raw: Raw) -> Response:
    """Make these the members of a pool, all at once."""
    given = parameters(request, {"additive_only"})
    additive_only = boolean(given.get("additive_only", ["false"])[0], "additive_only")
    body: Any = decode(raw, Batch, NOUN.why_not_new)
    wanted = [NOUN.made_from(member)[0] for member in body.members]
    members.replace(system, caller, pool_id, wanted, additive_only=additive_only)
    return Response(status_code=202)


@router.get("/{member_id}", dependencies=[may("member:read")], **described(200, answers=NOUN.reply))
def get(request: Request, system: Sys, caller: Who, pool_id: str, member_id: str) -> JSONResponse:
    """Show a member."""
    return one(request, system, NOUN, members.get(system, caller, pool_id, member_id), _beside)


@router.put("/{member_id}", dependencies=[may("member:update")], **described(200, takes=NOUN.update, answers=NOUN.reply))
def update(request: Request, system: Sys, caller: Who, pool_id: str, member_id: str, raw: Raw) -> JSONResponse:
    """Change a member."""
    after = members.update(system, caller, pool_id, member_id, NOUN.decode_changes(raw))
    return one(request, system, NOUN, after, _beside)


@router.delete("/{member_id}", dependencies=[may("member:delete")], **described(204))
def delete(system: Sys, caller: Who, pool_id: str, member_id: str) -> Response:
    """Remove a member."""
    members.delete(system, caller, pool_id, member_id)
    return Response(status_code=204)


def _beside(things: list[Member]) -> dict[str, dict[str, Any]]:
    return {thing.id: {"vnic_type": "normal"} for thing in things}
