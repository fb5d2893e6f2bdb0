"""/v2/lbaas/listeners: ports, what is spoken there, and who may connect."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from ostiary.api import pools
from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.lbaas import PREFIX, STATUSES, Ids, ids, many, noun, one
from ostiary.api.nested import Nothing, PoolByName
from ostiary.api.nested import one as one_within
from ostiary.api.shapes import StatsReply
from ostiary.model.listener import Listener
from ostiary.model.whole import WholeListener, WholePool
from ostiary.ops import listeners, status

POOL: Final = pools.NOUN.within()
NOUN: Final = noun(
    "listener",
    "listeners",
    Listener,
    unsupported=("l7policies",),
    unsupported_later=("default_pool", "l7policies"),
    given={"default_pool": one_within(POOL, "A new pool, where requests go.")},
    not_within=("loadbalancer_id",),
    shown={
        "loadbalancers": (Ids, Field(description="The load balancer it belongs to.")),
        "l7policies": (Ids, Field(description="Always empty.")),
    },
)
router = APIRouter(prefix=f"{PREFIX}/listeners", tags=["listeners"])


@router.post("", dependencies=[may("listener:create")], **described(201, takes=NOUN.creation, answers=NOUN.reply))
def create(request: Request, system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Add a listener to a load balancer."""
    its = whole(*NOUN.decode_new(raw))
    pool = its.default_pool if isinstance(its.default_pool, WholePool) else None
    return one(request, system, NOUN, listeners.create(system, caller, its.listener, with_pool=pool), _beside, 201)


@router.get(
    "",
    dependencies=[may("listener:read")],
    **described(200, answers=NOUN.list_reply, query=list_query(NOUN.attributes, STATUSES)),
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List listeners."""
    return many(request, system, NOUN, lambda query: listeners.find(system, caller, query), _beside)


@router.get("/{listener_id}", dependencies=[may("listener:read")], **described(200, answers=NOUN.reply))
def get(request: Request, system: Sys, caller: Who, listener_id: str) -> JSONResponse:
    """Show a listener."""
    return one(request, system, NOUN, listeners.get(system, caller, listener_id), _beside)


@router.put("/{listener_id}", dependencies=[may("listener:update")], **described(200, takes=NOUN.update, answers=NOUN.reply))
def update(request: Request, system: Sys, caller: Who, listener_id: str, raw: Raw) -> JSONResponse:
    """Change a listener; Client CA on or off is one such change."""
    after = listeners.update(system, caller, listener_id, NOUN.decode_changes(raw))
    return one(request, system, NOUN, after, _beside)


@router.delete("/{listener_id}", dependencies=[may("listener:delete")], **described(204))
def delete(system: Sys, caller: Who, listener_id: str) -> Response:
    """Remove a listener; its port is closed."""
    listeners.delete(system, caller, listener_id)
    return Response(status_code=204)


@router.get("/{listener_id}/stats", dependencies=[may("listener:read")], **described(200, answers=StatsReply))
def stats(system: Sys, caller: Who, listener_id: str) -> JSONResponse:
    """Show a listener's counters."""
    found = listeners.get(system, caller, listener_id)
    return JSONResponse({"stats": status.stats(system, (found.id,))})


def whole(listener: Listener, beside: Mapping[str, Any]) -> WholeListener:
    """A listener and its default pool, from what its body says `beside` it."""
    pool = beside.get("default_pool")
    if pool is None or isinstance(pool, Nothing):
        return WholeListener(listener=listener)
    if isinstance(pool, PoolByName):
        return WholeListener(listener=listener, default_pool=pool.name)
    return WholeListener(listener=listener, default_pool=pools.whole(*pools.NOUN.made_from(pool)))


def _beside(things: list[Listener]) -> dict[str, dict[str, Any]]:
    return {thing.id: {"loadbalancers": ids((thing.loadbalancer_id,)), "l7policies": []} for thing in things}
