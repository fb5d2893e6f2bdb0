"""Gateways: each Envoy as last heard of, and whether we are ready to serve."""

from dataclasses import dataclass
from datetime import datetime

from ostiary.errors import NotFound, Unavailable
from ostiary.ops.caller import Caller
from ostiary.ops.fleet import Gateway, Wanted
from ostiary.ops.system import System


@dataclass(frozen=True)
class GatewayState:
    """One Envoy. `applied_revision` is None until it has accepted all it should have; `last_error` is in its own words."""

    id: str
    connected: bool
    last_contact: datetime | None
    version: str | None
    applied_revision: int | None
    last_error: str | None


@dataclass(frozen=True)
class Readiness:
    """Whether the database answers, and how many gateways are connected."""

    database: bool
    gateways: int


def find(system: System, caller: Caller) -> tuple[GatewayState, ...]:
    """All gateways heard of since start."""
    caller.must("gateway:read")
    return tuple(_state(gateway, system.fleet.wanted) for gateway in system.fleet.gateways())


def get(system: System, caller: Caller, gateway_id: str) -> GatewayState:
    """One gateway. Raises `NotFound`."""
    for gateway in find(system, caller):
        if gateway.id == gateway_id:
            return gateway
    raise NotFound("Gateway", gateway_id)


def ready(system: System) -> Readiness:
    """Asks the database; needs no caller, as it tells nothing of what is stored."""
    try:
        with system.store.read() as reader:
            reader.revision()
    except Unavailable:
        return Readiness(database=False, gateways=len(system.fleet.live()))
    return Readiness(database=True, gateways=len(system.fleet.live()))


def _state(gateway: Gateway, wanted: Wanted | None) -> GatewayState:
    version = gateway.report.get("version")
    return GatewayState(
        id=gateway.id,
        connected=gateway.connected,
        last_contact=gateway.last_contact,
        version=None if version is None else str(version),
        applied_revision=wanted.snapshot.revision if wanted is not None and _has_all(gateway, wanted) else None,
        last_error=_last_error(gateway),
    )


def _has_all(gateway: Gateway, wanted: Wanted) -> bool:
    return all(gateway.accepted.get(key) == resource.version for key, resource in wanted.snapshot.resources.items())


def _last_error(gateway: Gateway) -> str | None:
    return "; ".join(dict.fromkeys(words for _, words in gateway.rejected.values())) or None
