"""/v1/gateways: each Envoy, what it has applied and what it said against it."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from ostiary.api.declared import Sys, Who, described, may
from ostiary.api.nouns import zulu_time
from ostiary.model.fields import Data
from ostiary.ops import gateways
from ostiary.ops.gateways import GatewayState, RecordExport, StaleLists


class StaleItem(Data):
    """Revocation lists that have ended on it: whose listeners, since when, until when clients are let in (null: refused)."""

    listener_ids: tuple[str, ...]
    since: datetime
    allowed_until: datetime | None


class StreamsItem(Data):
    """Requests that go on for long: how many, how many were ended by reason, and why the gateway can end none (null: it can)."""

    open: int
    ended: dict[str, int]
    unable: str | None


class MemoryItem(Data):
    """What its Envoy may take and takes, in octets.

    `acting` is what it does against taking more, such as `stop_accepting_requests`, each in hundredths.
    """

    limit: int
    used: int
    acting: dict[str, int]


class ExportItem(Data):
    """Where it sends its access record: entries sent and dropped; the time of the oldest that waits; since when it fails, why."""

    target: str
    sent: int
    dropped: int
    waiting_since: datetime | None
    failing_since: datetime | None
    error: str | None


class GatewayItem(Data):
    """One Envoy as last heard of."""

    id: str
    connected: bool
    version: str | None
    certificate: str | None
    applied_revision: int | None
    last_contact: datetime | None
    last_error: str | None
    stale_since: datetime | None
    stale: tuple[StaleItem, ...]
    streams: StreamsItem | None
    memory: MemoryItem | None
    exports: tuple[ExportItem, ...]
    recording_error: str | None


class GatewayReply(Data):
    """The reply that shows a gateway."""

    gateway: GatewayItem


class GatewayList(Data):
    """The reply that lists gateways."""

    gateways: tuple[GatewayItem, ...]


router = APIRouter(prefix="/v1/gateways", tags=["gateways"])


@router.get("", dependencies=[may("gateway:read")], **described(200, answers=GatewayList))
def find(system: Sys, caller: Who) -> JSONResponse:
    """List gateways."""
    return JSONResponse({"gateways": [_shown(gateway) for gateway in gateways.find(system, caller)]})


@router.get("/{gateway_id}", dependencies=[may("gateway:read")], **described(200, answers=GatewayReply))
def get(system: Sys, caller: Who, gateway_id: str) -> JSONResponse:
    """Show a gateway."""
    return JSONResponse({"gateway": _shown(gateways.get(system, caller, gateway_id))})


def _shown(gateway: GatewayState) -> dict[str, Any]:
    return {
        "id": gateway.id,
        "connected": gateway.connected,
        "version": gateway.version,
        "certificate": None,  # The embedded gateway talks over a Unix socket and needs none.
        "applied_revision": gateway.applied_revision,
        "last_contact": zulu_time(gateway.last_contact) if gateway.last_contact else None,
        "last_error": gateway.last_error,
        "stale_since": min((zulu_time(one.since) for one in gateway.stale), default=None),
        "stale": [_stale(one) for one in gateway.stale],
        "streams": None if gateway.streams is None else asdict(gateway.streams),
        "memory": None if gateway.memory is None else asdict(gateway.memory),
        "exports": [_export(one) for one in gateway.exports],
        "recording_error": gateway.recording_error,
    }


def _export(one: RecordExport) -> dict[str, Any]:
    times = {"waiting_since": one.waiting_since, "failing_since": one.failing_since}
    return asdict(one) | {name: None if at is None else zulu_time(at) for name, at in times.items()}


def _stale(lists: StaleLists) -> dict[str, Any]:
    until = lists.allowed_until
    return {
        "listener_ids": lists.listener_ids,
        "since": zulu_time(lists.since),
        "allowed_until": None if until is None else zulu_time(until),
    }
