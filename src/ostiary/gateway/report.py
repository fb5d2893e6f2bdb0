"""What a keeper tells its control plane: how Envoy is, how the members are, what the listeners count."""

import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from ostiary.envoy import overload
from ostiary.gateway.admin import Admin
from ostiary.gateway.stale import Stale
from ostiary.model.numbers import HANDSHAKE_FAILURES

# What it could not write (of a disk that is full, some 16 KiB each); and what it told of in the way that listeners of versions
# before 0.1 have (`bootstrap`), which nobody hears.
NOT_TOLD: Final = r"filesystem\.write_failed|access_logs\.open_telemetry_access_log\.logs_dropped"
# What is read of what Envoy counts, as a regular expression.
COUNTED: Final = (
    rf"^(listener\..*(downstream_cx_(total|active)|\.ssl\.(handshake|{'|'.join(HANDSHAKE_FAILURES)}))"
    r"|(http|tcp)\.listener/.*(downstream_(cx_([rt]x_bytes_)?total|rq_(total|[45]xx))|\.rq_total)"
    r"|overload\..*\.scale_percent|server\.memory_allocated"
    rf"|{NOT_TOLD})$"
)
_NOT_TOLD: Final = re.compile(NOT_TOLD)
_ALLOCATED: Final = "server.memory_allocated"  # near what `overload.HEAP` looks at, which is told in hundredths only
_SHARE: Final = re.compile(rf"overload\.{re.escape(overload.ACTION)}([a-z_]+)\.scale_percent")


async def measured(envoy: Admin, max_heap: int | None) -> dict[str, Any]:
    """What a living Envoy says, which may take `max_heap` octets. Raises `admin.NoAnswer`."""
    info = await envoy.info()
    counted = await envoy.counters(COUNTED)
    return {
        "version": str(info.get("version", "")).split("/")[1:2][0] if "/" in str(info.get("version")) else None,
        "state": info.get("state"),
        "uptime": seconds(info.get("uptime_current_epoch")),
        "members": members(await envoy.clusters()),
        "listeners": listeners(await envoy.listeners(), counted),
        "records_dropped": not_told(counted),
        "memory": memory(counted, max_heap),
    }


def memory(counted: dict[str, int], max_heap: int | None) -> dict[str, Any] | None:
    """How much it may take, what it takes (up to 5 s ago), both in octets; and what it does against more, each in hundredths."""
    if max_heap is None:
        return None
    found = ((_SHARE.fullmatch(name), value) for name, value in counted.items())
    return {
        "limit": max_heap,
        "used": counted.get(_ALLOCATED, 0),
        "acting": {match[1]: value for match, value in found if match is not None and value > 0},
    }


def not_told(counted: Mapping[str, int]) -> int:
    """How often it could not tell of requests or connections."""
    return sum(value for name, value in counted.items() if _NOT_TOLD.fullmatch(name))


def about(gateway_id: str, pid: int | None, restarts: int, last_error: str | None) -> dict[str, Any]:
    """What the keeper knows itself."""
    return {
        "gateway": gateway_id,
        "keeper_version": _our_version(),
        "keeper_pid": os.getpid(),
        "pid": pid,
        "restarts": restarts,
        "last_error": last_error,
    }


@cache
def _our_version() -> str:
    return version("ostiary")


def streams(going_on: int, ended: dict[str, int], unable: str | None) -> dict[str, Any]:
    """Long streams: how many go on, how many were ended and why, and why none can be, if so."""
    return {"streams": {"open": going_on, "ended": dict(ended), "unable": unable}}


def stale(lists: Iterable[Stale]) -> dict[str, Any]:
    """Whose revocation lists have ended, and what follows."""
    return {"stale": [one.told() for one in lists]}


def members(clusters: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Pool → address:port → healthy, unhealthy, draining, or pending (not checked yet)."""
    return {
        cluster["name"]: {_place(host["address"]): _health(host.get("health_status", {})) for host in cluster["host_statuses"]}
        for cluster in clusters.get("cluster_statuses", [])
        if cluster["name"].startswith("pool/") and "host_statuses" in cluster
    }


def listeners(listening: dict[str, Any], counted: dict[str, int]) -> dict[str, dict[str, int]]:
    """Listener → its counters since Envoy started; those that Octavia has are named as there.

    What speaks TCP knows no requests: its connections are counted in their place. `admitted` are those that passed every check.
    """
    return {
        one["name"]: _counters(one["name"], scope(one["local_address"]), counted)
        for one in listening.get("listener_statuses", [])
        if "socket_address" in one.get("local_address", {})
    }


def _counters(name: str, its_scope: str, counted: dict[str, int]) -> dict[str, int]:
    def total(*suffixes: str) -> int:
        return sum(counted.get(f"{kind}.{name}.{suffix}", 0) for kind in ("http", "tcp") for suffix in suffixes)

    connections = counted.get(f"tcp.{name}.downstream_cx_total", 0)
    return {
        "active_connections": counted.get(f"{its_scope}.downstream_cx_active", 0),
        "total_connections": counted.get(f"{its_scope}.downstream_cx_total", 0),
        "bytes_in": total("downstream_cx_rx_bytes_total"),
        "bytes_out": total("downstream_cx_tx_bytes_total"),
        "request_errors": total("downstream_rq_4xx", "downstream_rq_5xx"),
        "handshakes": counted.get(f"{its_scope}.ssl.handshake", 0),
        "failed_handshakes": sum(counted.get(f"{its_scope}.ssl.{failure}", 0) for failure in HANDSHAKE_FAILURES),
        "requests": counted.get(f"http.{name}.downstream_rq_total", 0) + connections,
        # The router, last of all filters, counts what came through the others.
        "admitted": counted.get(f"http.{name}.rq_total", 0) + connections,
    }


def seconds(duration: Any) -> float | None:
    """Seconds of a duration as protobuf writes it in JSON, such as 4s; None where there is none."""
    try:
        return float(str(duration).removesuffix("s"))
    except ValueError:
        return None


def _place(address: dict[str, Any]) -> str:
    place = address.get("socket_address")
    if place is None:
        return str(address.get("pipe", {}).get("path", ""))
    host, port = place["address"], place.get("port_value", 0)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def scope(address: dict[str, Any]) -> str:
    """What the names of a listener's statistics begin with: its address, colons replaced."""
    return "listener." + _place(address).replace(":", "_")


def _health(status: dict[str, Any]) -> str:
    if status.get("eds_health_status") == "DRAINING":
        return "draining"
    if status.get("failed_active_health_check") or status.get("failed_outlier_check") or status.get("active_hc_timeout"):
        # Members count as failed until the first check has passed; that is not yet bad news.
        return "pending" if status.get("pending_active_hc") else "unhealthy"
    return "pending" if status.get("pending_active_hc") else "healthy"
