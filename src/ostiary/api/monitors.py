"""/v2/lbaas/healthmonitors: how a pool's members are asked whether they can serve."""

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.lbaas import PREFIX, STATUSES, Ids, ids, many, noun, one
from ostiary.model.health import HealthMonitor
from ostiary.ops import monitors

NOUN: Final = noun(
    "healthmonitor",
    "healthmonitors",
    HealthMonitor,
    not_within=("pool_id",),
    shown={"pools": (Ids, Field(description="The pool whose members it asks."))},
)
router = APIRouter(prefix=f"{PREFIX}/healthmonitors", tags=["health monitors"])


@router.post("", dependencies=[may("healthmonitor:create")], **described(201, takes=NOUN.creation, answers=NOUN.reply))
def create(request: Request, system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Add a health monitor to a pool that has none."""
    wanted, _ = NOUN.decode_new(raw)
    return one(request, system, NOUN, monitors.create(system, caller, wanted), _beside, 201)


@router.get(
    "",
    dependencies=[may("healthmonitor:read")],
    **described(200, answers=NOUN.list_reply, query=list_query(NOUN.attributes, STATUSES)),
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List health monitors."""
    return many(request, system, NOUN, lambda query: monitors.find(system, caller, query), _beside)


@router.get("/{monitor_id}", dependencies=[may("healthmonitor:read")], **described(200, answers=NOUN.reply))
def get(request: Request, system: Sys, caller: Who, monitor_id: str) -> JSONResponse:
    """Show a health monitor."""
    return one(request, system, NOUN, monitors.get(system, caller, monitor_id), _beside)


@router.put("/{monitor_id}", dependencies=[may("healthmonitor:update")], **described(200, takes=NOUN.update, answers=NOUN.reply))
def update(request: Request, system: Sys, caller: Who, monitor_id: str, raw: Raw) -> JSONResponse:
    """Change a health monitor."""
    after = monitors.update(system, caller, monitor_id, NOUN.decode_changes(raw))
    return one(request, system, NOUN, after, _beside)


@router.delete("/{monitor_id}", dependencies=[may("healthmonitor:delete")], **described(204))
def delete(system: Sys, caller: Who, monitor_id: str) -> Response:
    """Remove a health monitor."""
    monitors.delete(system, caller, monitor_id)
    return Response(status_code=204)


def _beside(things: list[HealthMonitor]) -> dict[str, dict[str, Any]]:
    return {thing.id: {"pools": ids((thing.pool_id,))} for thing in things}
