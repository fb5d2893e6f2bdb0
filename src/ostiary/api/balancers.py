"""/v2/lbaas/loadbalancers: load balancers, their counters and their status tree."""

from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from ostiary.api import listeners, pools
from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.lbaas import PREFIX, STATUSES, Ids, ids, many, noun, one
from ostiary.api.nested import one_or_name, several
from ostiary.api.queries import boolean, parameters
from ostiary.api.shapes import StatsReply, StatusesReply
from ostiary.model.balancer import LoadBalancer
from ostiary.model.whole import LISTENERS_MAX, POOLS_MAX
from ostiary.ops import balancers, related, status
from ostiary.ops.system import System

_LISTENER: Final = listeners.NOUN.within(
    default_pool=one_or_name(listeners.POOL, "A new pool, or the name of one that this call creates: where requests go.")
)
NOUN: Final = noun(
    "loadbalancer",
    "loadbalancers",
    LoadBalancer,
    unsupported=("additional_vips", "vip_sg_ids"),
    unsupported_later=("vip_sg_ids",),
    given={
        "listeners": several(_LISTENER, "New listeners.", LISTENERS_MAX),
        "pools": several(listeners.POOL, "New pools.", POOLS_MAX),
    },
    shown={
        "listeners": (Ids, Field(description="Its listeners.")),
        "pools": (Ids, Field(description="Its pools.")),
        "vip_vnic_type": (str, Field(description="Always normal.")),
        "additional_vips": (tuple[str, ...], Field(description="Always empty.")),
        "vip_sg_ids": (tuple[str, ...], Field(description="Always empty.")),
    },
)
router = APIRouter(prefix=f"{PREFIX}/loadbalancers", tags=["load balancers"])


@router.post("", dependencies=[may("loadbalancer:create")], **described(201, takes=NOUN.creation, answers=NOUN.reply))
def create(request: Request, system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Add a load balancer, with all that is to hang on it: all of it is created, or nothing."""
    wanted, beside = NOUN.decode_new(raw)
    made = balancers.create(
        system,
        caller,
        wanted,
        with_listeners=[listeners.whole(*listeners.NOUN.made_from(body)) for body in beside.get("listeners", ())],
        with_pools=[pools.whole(*pools.NOUN.made_from(body)) for body in beside.get("pools", ())],
    )
    return one(request, system, NOUN, made, _beside(system), 201)


@router.get(
    "",
    dependencies=[may("loadbalancer:read")],
    **described(200, answers=NOUN.list_reply, query=list_query(NOUN.attributes, STATUSES)),
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List load balancers."""
    return many(request, system, NOUN, lambda query: balancers.find(system, caller, query), _beside(system))


@router.get("/{balancer_id}", dependencies=[may("loadbalancer:read")], **described(200, answers=NOUN.reply))
def get(request: Request, system: Sys, caller: Who, balancer_id: str) -> JSONResponse:
    """Show a load balancer."""
    return one(request, system, NOUN, balancers.get(system, caller, balancer_id), _beside(system))


@router.put("/{balancer_id}", dependencies=[may("loadbalancer:update")], **described(200, takes=NOUN.update, answers=NOUN.reply))
def update(request: Request, system: Sys, caller: Who, balancer_id: str, raw: Raw) -> JSONResponse:
    """Change a load balancer."""
    after = balancers.update(system, caller, balancer_id, NOUN.decode_changes(raw))
    return one(request, system, NOUN, after, _beside(system))


@router.delete(
    "/{balancer_id}",
    dependencies=[may("loadbalancer:delete")],
    **described(204, query={"cascade": "true removes all that belongs to it as well."}),
)
def delete(request: Request, system: Sys, caller: Who, balancer_id: str) -> Response:
    """Remove a load balancer."""
    given = parameters(request, {"cascade"})
    balancers.delete(system, caller, balancer_id, cascade=boolean(given.get("cascade", ["false"])[0], "cascade"))
    return Response(status_code=204)


@router.get("/{balancer_id}/stats", dependencies=[may("loadbalancer:read")], **described(200, answers=StatsReply))
def stats(system: Sys, caller: Who, balancer_id: str) -> JSONResponse:
    """Show a load balancer's counters."""
    balancers.get(system, caller, balancer_id)
    its = related.of_balancers(system, [balancer_id])[balancer_id]
    return JSONResponse({"stats": status.stats(system, its.listeners)})


@router.get("/{balancer_id}/status", dependencies=[may("loadbalancer:read")], **described(200, answers=StatusesReply))
@router.get("/{balancer_id}/statuses", dependencies=[may("loadbalancer:read")], **described(200, answers=StatusesReply))
def statuses(system: Sys, caller: Who, balancer_id: str) -> JSONResponse:
    """Show the statuses of a load balancer and all below it."""
    return JSONResponse({"statuses": {"loadbalancer": status.tree(system, caller, balancer_id)}})


@router.put("/{balancer_id}/failover", dependencies=[may("loadbalancer:failover")], **described(501))
def failover(system: Sys, caller: Who, balancer_id: str) -> Response:
    """Not supported."""
    balancers.get(system, caller, balancer_id)
    raise HTTPException(501, "Failover is not supported: gateways share no state that could be failed over.")


def _beside(system: System) -> Any:
    def of(things: list[LoadBalancer]) -> dict[str, dict[str, Any]]:
        found = related.of_balancers(system, [thing.id for thing in things])
        fixed = {"vip_vnic_type": "normal", "additional_vips": [], "vip_sg_ids": []}
        return {key: {"listeners": ids(its.listeners), "pools": ids(its.pools), **fixed} for key, its in found.items()}

    return of
