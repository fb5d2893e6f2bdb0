"""What a monitoring system will want to know of Envoy's listeners: read every few seconds, and only what differs is told.

The report of each second (`gateway.report`) holds what statuses and the console show. This holds several times as much, most of
which stands still at most listeners; so it is told less often, and a listener again only when one of its numbers changed.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from ostiary.gateway import report
from ostiary.gateway.admin import Admin
from ostiary.model.numbers import CLASSES, COUNTERS, GAUGES, HANDSHAKE_FAILURES, LATENCIES, MOST_LISTENERS

_NAME: Final = "listener/"  # as `envoy.names.listener` has it; a keeper does not load what that stands on
_CERTIFICATE: Final = r"ssl\.certificate\.identity/.*\.expiration_unix_time_seconds"
# What was ended or refused for want of memory or room, by what it was.
_SHED: Final = {"envoy.overload_actions.reset_high_memory_stream.count": "streams_reset"}
_SHED_BY_EACH: Final = {
    r"http\.listener/[^.]*\.downstream_rq_overload_close": "requests_refused",
    r"listener\.[^a].*\.downstream_global_cx_overflow": "connections_refused",
}
_FILTER: Final = (
    rf"^(listener\..*\.(downstream_cx_(total|active)|ssl\.(handshake|{'|'.join(HANDSHAKE_FAILURES)})|{_CERTIFICATE})"
    r"|(http|tcp)\.listener/[^.]*\.(downstream_cx_([rt]x_bytes_)?total|downstream_cx_drain_close|downstream_rq_(total|[1-5]xx))"
    r"|http\.listener/[^.]*\.rq_total"
    r"|[a-z_]+\.listener/[^.]*\.limited_connections"
    r"|listener_manager\.total_listeners_draining"
    rf"|{'|'.join(map(re.escape, _SHED))}|{'|'.join(_SHED_BY_EACH)}"
    rf"|{report.NOT_TOLD})$"
)
_LATENCY: Final = r"^http\.listener/[^.]*\.downstream_rq_time$"
COUNTED: Final = (_FILTER, _LATENCY)  # what is read of what Envoy counts, as regular expressions
_LINE: Final = re.compile(
    r'^envoy_http_downstream_rq_time_(bucket|sum|count)\{envoy_http_conn_manager_prefix="listener/([^"]{1,64})"(?:,le="([0-9.]+)")?\}'
    r" ([0-9.e+]+)$",
    re.MULTILINE,
)
_ENDS: Final = {f"{end:g}": f"latency_{end:g}" for end in LATENCIES}

Told = tuple[tuple[float, ...], tuple[float, ...]]


class Numbers:
    """What the control plane has been told, and so what it has still to be told. One for each connection to it."""

    def __init__(self) -> None:
        self._run: Any = None
        self._told: dict[str, Told] = {}

    def news(self, run: int | None, uptime: float | None, counted: Mapping[str, Told]) -> Iterator[dict[str, Any]]:
        """What differs from what was told, in messages; the first of them in any case. `run` is Envoy's process."""
        if run != self._run:
            # Its counters begin anew, and so does what is known there.
            self._run, self._told = run, {}
        differs = iter([(one, told) for one, told in counted.items() if self._told.get(one) != told])
        about = {"run": run, "uptime": uptime, "counters": COUNTERS, "gauges": GAUGES}
        gone = [one for one in self._told if one not in counted]
        while True:
            some = dict(islice(differs, MOST_LISTENERS))
            yield {**about, "listeners": some, "gone": gone}
            gone = []
            if len(some) < MOST_LISTENERS:
                return

    def taken(self, message: Mapping[str, Any]) -> None:
        """The control plane has this message."""
        self._told |= message["listeners"]
        for one in message["gone"]:
            self._told.pop(one, None)


async def measured(envoy: Admin) -> tuple[dict[str, Told], dict[str, Any], float | None]:
    """What Envoy counts at each listener and as a whole, and how many seconds it has run. Raises `admin.NoAnswer`."""
    info = await envoy.info()
    listening = await envoy.listeners()
    counted = await envoy.counters(_FILTER)
    latency = read_latency(await envoy.text("/stats/prometheus", {"usedonly": "", "filter": _LATENCY}))
    whole: dict[str, Any] = {
        "shed": shed(counted),
        "listeners_draining": counted.get("listener_manager.total_listeners_draining", 0),
        "records_dropped": report.not_told(counted),
    }
    return of_listeners(listening, counted, latency), whole, report.seconds(info.get("uptime_current_epoch"))


def shed(counted: Mapping[str, int]) -> dict[str, int]:
    """What Envoy ended or refused because it had too much, since it started."""
    found = {what: counted.get(name, 0) for name, what in _SHED.items()}
    for pattern, what in _SHED_BY_EACH.items():
        found[what] = sum(value for name, value in counted.items() if re.fullmatch(pattern, name))
    return found


def of_listeners(
    listening: Mapping[str, Any], counted: Mapping[str, int], latency: Mapping[str, Mapping[str, float]]
) -> dict[str, Told]:
    """By the listener's id: its counters and its gauges, in the order of `model.numbers`."""
    found: dict[str, Told] = {}
    ends, limited = _certificate_ends(counted), _limited(counted)
    for one in listening.get("listener_statuses", []):
        if "socket_address" not in one.get("local_address", {}):
            continue
        name, scope = one["name"], report.scope(one["local_address"])
        its = {**_counters(name, scope, counted), "connections_limited": limited.get(name, 0), **latency.get(name, {})}
        gauges = {"connections_active": counted.get(f"{scope}.downstream_cx_active", 0), "certificate_ends": ends.get(scope, 0)}
        found[name.removeprefix(_NAME)] = (
            tuple(its.get(counter, 0) for counter in COUNTERS),
            tuple(gauges[gauge] for gauge in GAUGES),
        )
    return found


def read_latency(text: str) -> dict[str, dict[str, float]]:
    """By the listener's name: how long its requests took, from Envoy's own page for Prometheus."""
    found: dict[str, dict[str, float]] = {}
    for what, listener_id, end, value in _LINE.findall(text):
        counter = _ENDS.get(end) if what == "bucket" else f"latency_{what}"
        if counter is not None:
            found.setdefault(_NAME + listener_id, {})[counter] = float(value)
    return found


def _counters(name: str, scope: str, counted: Mapping[str, int]) -> dict[str, float]:
    def total(suffix: str) -> int:
        return sum(counted.get(f"{kind}.{name}.{suffix}", 0) for kind in ("http", "tcp"))

    streams = counted.get(f"tcp.{name}.downstream_cx_total", 0)  # what speaks TCP has connections in place of requests
    return {
        "connections": counted.get(f"{scope}.downstream_cx_total", 0),
        "connections_drained": total("downstream_cx_drain_close"),
        "received_bytes": total("downstream_cx_rx_bytes_total"),
        "sent_bytes": total("downstream_cx_tx_bytes_total"),
        "handshakes": counted.get(f"{scope}.ssl.handshake", 0),
        **{f"failed_{failure}": counted.get(f"{scope}.ssl.{failure}", 0) for failure in HANDSHAKE_FAILURES},
        "requests": counted.get(f"http.{name}.downstream_rq_total", 0) + streams,
        "admitted": counted.get(f"http.{name}.rq_total", 0) + streams,
        **{f"responses_{one}": counted.get(f"http.{name}.downstream_rq_{one}", 0) for one in CLASSES},
    }


def _limited(counted: Mapping[str, int]) -> dict[str, int]:
    """How many connections were more than their listener may have, by its name; before that stands the filter's."""
    suffix = ".limited_connections"
    return {name.partition(".")[2].removesuffix(suffix): value for name, value in counted.items() if name.endswith(suffix)}


def _certificate_ends(counted: Mapping[str, int]) -> dict[str, int]:
    """When the first of a listener's own certificates ends, by the scope of its statistics."""
    found: dict[str, int] = {}
    for name, value in counted.items():
        scope, split, _ = name.partition(".ssl.certificate.")
        if split:
            found[scope] = min(value, found.get(scope, value))
    return found
