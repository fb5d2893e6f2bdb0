"""/v2/lbaas/pools: members behind a listener, and how a request picks one."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from ostiary.api import members, monitors
from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.lbaas import PREFIX, STATUSES, Ids, ids, many, noun, one
from ostiary.api.nested import Nothing, several
from ostiary.api.nested import one as one_within
from ostiary.model.pool import Pool
from ostiary.model.whole import MEMBERS_MAX, WholePool
from ostiary.ops import pools, related
from ostiary.ops.system import System

NOUN: Final = noun(
    "pool",
    "pools",
    Pool,
    given={
        "listener_id": (str | None, Field(None, description="The listener whose default pool it becomes.")),
        "members": several(members.NOUN.within(), "Its members.", MEMBERS_MAX),
        "healthmonitor": one_within(monitors.NOUN.within(), "Its health monitor."),
    },
    not_within=("loadbalancer_id", "listener_id"),
    shown={
        "loadbalancers": (Ids, Field(description="The load balancer it belongs to.")),
        "listeners": (Ids, Field(description="The listeners whose default pool it is.")),
        "members": (Ids, Field(description="Its members.")),
        "healthmonitor_id": (str | None, Field(description="Its health monitor.")),
    },
)
router = APIRouter(prefix=f"{PREFIX}/pools", tags=["pools"])


@router.post("", dependencies=[may("pool:create")], **described(201, takes=NOUN.creation, answers=NOUN.reply))
def create(request: Request, system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Add a pool to a load balancer, or to a listener as its default pool."""
    wanted, beside = NOUN.decode_new(raw)
    its = whole(wanted, beside)
    made = pools.create(
        system, caller, its.pool, beside.get("listener_id"), with_members=its.members, with_monitor=its.healthmonitor
    )
    return one(request, system, NOUN, made, _beside(system), 201)


@router.get(
    "",
    dependencies=[may("pool:read")],
    **described(200, answers=NOUN.list_reply, query=list_query(NOUN.attributes, STATUSES)),
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List pools."""
    return many(request, system, NOUN, lambda query: pools.find(system, caller, query), _beside(system))


@router.get("/{pool_id}", dependencies=[may("pool:read")], **described(200, answers=NOUN.reply))
def get(request: Request, system: Sys, caller: Who, pool_id: str) -> JSONResponse:
    """Show a pool."""
    return one(request, system, NOUN, pools.get(system, caller, pool_id), _beside(system))


@router.put("/{pool_id}", dependencies=[may("pool:update")], **described(200, takes=NOUN.update, answers=NOUN.reply))
def update(request: Request, system: Sys, caller: Who, pool_id: str, raw: Raw) -> JSONResponse:
    """Change a pool."""
    after = pools.update(system, caller, pool_id, NOUN.decode_changes(raw))
    return one(request, system, NOUN, after, _beside(system))


@router.delete("/{pool_id}", dependencies=[may("pool:delete")], **described(204))
def delete(system: Sys, caller: Who, pool_id: str) -> Response:
    """Remove a pool with its members and monitor."""
    pools.delete(system, caller, pool_id)
    return Response(status_code=204)


def whole(pool: Pool, beside: Mapping[str, Any]) -> WholePool:
    """A pool and what is to hang on it, from what its body says `beside` it."""
    monitor = beside.get("healthmonitor")
    return WholePool(
        pool=pool,
        members=tuple(members.NOUN.made_from(member)[0] for member in beside.get("members", ())),
        healthmonitor=None if monitor is None or isinstance(monitor, Nothing) else monitors.NOUN.made_from(monitor)[0],
    )


def _beside(system: System) -> Any:
    def of(things: list[Pool]) -> dict[str, dict[str, Any]]:
        found = related.of_pools(system, [thing.id for thing in things])
        return {
            thing.id: {
                "loadbalancers": ids((thing.loadbalancer_id,)),
                "listeners": ids(found[thing.id].listeners),
                "members": ids(found[thing.id].members),
                "healthmonitor_id": found[thing.id].monitor,
            }
            for thing in things
        }

    return of
