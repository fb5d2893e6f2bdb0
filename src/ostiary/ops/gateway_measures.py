"""What a monitoring system is told of gateways and their listeners: Envoy's own numbers, added up (`ops.adding_up`)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ostiary.envoy import names
from ostiary.measuring import OTHER, Distribution, Family, Labels
from ostiary.model.numbers import CLASSES, COUNTERS, HANDSHAKE_FAILURES, LATENCIES
from ostiary.ops import gateways
from ostiary.ops.adding_up import Gateway
from ostiary.ops.fleet import Gateway as Heard
from ostiary.ops.system import System

MOST_TOLD: Final = 1000  # listeners of one gateway that are told apart; all others together are one

_MOST_EXPORTS: Final = 20  # of one gateway
_GATEWAY: Final = ("gateway",)
_WHERE: Final = ("gateway", "listener", "listener_name")
_PLACE: Final = {name: place for place, name in enumerate(COUNTERS)}
_LATENCY: Final = tuple(_PLACE[f"latency_{end:g}"] for end in LATENCIES)
_SECONDS: Final = tuple(end / 1000 for end in LATENCIES)

# Metric → the counter, and what it says.
_COUNTERS: Final = {
    "ostiary_listener_connections": ("connections", "Connections that were accepted."),
    "ostiary_listener_connections_limited": (
        "connections_limited",
        "Connections closed because the listener had as many as it may.",
    ),
    "ostiary_listener_connections_drained": ("connections_drained", "Connections that were told to end while draining."),
    "ostiary_listener_received_bytes": ("received_bytes", "Bytes from clients."),
    "ostiary_listener_sent_bytes": ("sent_bytes", "Bytes to clients."),
    "ostiary_listener_tls_handshakes": ("handshakes", "TLS handshakes that were completed."),
    "ostiary_listener_requests": ("requests", "Requests that came; connections where the listener speaks TCP."),
    "ostiary_listener_requests_admitted": ("admitted", "Requests that passed every check."),
}
# Metric → the label, the counters by its values, and what it says.
_LABELLED: Final = {
    "ostiary_listener_tls_handshakes_failed": (
        "reason",
        {failure.removeprefix("fail_verify_"): f"failed_{failure}" for failure in HANDSHAKE_FAILURES},
        "TLS handshakes that failed, by what Envoy counts it as.",
    ),
    "ostiary_listener_responses": ("class", {one: f"responses_{one}" for one in CLASSES}, "Answers, by class of status."),
}


class _Listener(NamedTuple):
    """What one listener of one gateway counted. `where` are the values of `_WHERE`."""

    where: Labels
    counters: tuple[float, ...]
    gauges: Mapping[str, float]


def families(system: System, listeners: Mapping[str, str]) -> Iterator[Family]:
    """All of it. `listeners` are the names by id; of listeners that are no more, nothing is told."""
    yield from _of_keepers(system.fleet.gateways())
    at = system.clock()
    with system.gateway_numbers.lock:
        known = sorted((one, gateway) for one, gateway in system.gateway_numbers.known.items() if not gateway.is_silent(at))
        engines = tuple(_of_engines(known))
        shown = [one for gateway_id, gateway in known for one in _listeners(gateway_id, gateway, listeners)]
    yield from engines
    for name, (counter, words) in _COUNTERS.items():
        yield Family(name, "counter", words, _WHERE, tuple((one.where, one.counters[_PLACE[counter]]) for one in shown))
    for name, (label, counters, words) in _LABELLED.items():
        samples = (((*one.where, value), one.counters[_PLACE[of]]) for one in shown for value, of in counters.items())
        yield Family(name, "counter", words, (*_WHERE, label), tuple(samples))
    latencies = tuple((one.where, _latency(one.counters)) for one in shown if one.counters[_PLACE["latency_count"]])
    words = "Seconds from the first byte of a request to the last of its answer."
    yield Family("ostiary_listener_request_duration_seconds", "histogram", words, _WHERE, latencies)
    active = tuple((one.where, one.gauges.get("connections_active", 0.0)) for one in shown)
    yield Family("ostiary_listener_connections_active", "gauge", "Connections that are open.", _WHERE, active)
    ends = tuple((one.where, one.gauges["certificate_ends"]) for one in shown if one.gauges.get("certificate_ends"))
    words = "When the first of the certificates that a listener shows ends, in seconds since 1970."
    yield Family("ostiary_listener_certificate_expires_timestamp_seconds", "gauge", words, _WHERE, ends)


def _listeners(gateway_id: str, gateway: Gateway, known: Mapping[str, str]) -> Iterator[_Listener]:
    """What each listener counted, and what all those together that are too many to be told apart."""
    here = sorted(one for one in gateway.listeners if one in known or one in names.HOUSE)
    for one in here[:MOST_TOLD]:
        gauges = gateway.gauges.get(one, {})
        yield _Listener((gateway_id, one, known.get(one, one)), tuple(gateway.listeners[one].totals), gauges)
    rest = here[MOST_TOLD:]
    if rest:
        counters = tuple(map(sum, zip(*(gateway.listeners[one].totals for one in rest), strict=True)))
        active = sum(gateway.gauges.get(one, {}).get("connections_active", 0.0) for one in rest)
        yield _Listener((gateway_id, OTHER, OTHER), counters, {"connections_active": active})


def _latency(counters: tuple[float, ...]) -> Distribution:
    upto = tuple(int(counters[place]) for place in _LATENCY)
    return Distribution(_SECONDS, (*upto, int(counters[_PLACE["latency_count"]])), counters[_PLACE["latency_sum"]] / 1000)


def _of_engines(known: Iterable[tuple[str, Gateway]]) -> Iterator[Family]:
    known = tuple(known)

    def family(name: str, kind: Any, words: str, value: Any) -> Family:
        return Family(name, kind, words, _GATEWAY, tuple(((one,), value(gateway)) for one, gateway in known))

    words = "How often a gateway's Envoy ended and was started again."
    yield family("ostiary_gateway_engine_restarts", "counter", words, lambda one: one.restarts.totals[0])
    words = "Listeners that are draining at a gateway."
    yield family("ostiary_gateway_listeners_draining", "gauge", words, lambda one: one.listeners_draining)
    words = "Times that Envoy could not write what it had to tell of requests."
    yield family("ostiary_gateway_records_dropped", "counter", words, lambda one: one.records_dropped.totals[0])
    shed = (((one, what), its.totals[0]) for one, gateway in known for what, its in sorted(gateway.shed.items()))
    words = "What was ended or refused for want of memory or room: streams_reset, requests_refused, connections_refused."
    yield Family("ostiary_gateway_shed", "counter", words, ("gateway", "what"), tuple(shed))
    ended = (((one, reason), its.totals[0]) for one, gateway in known for reason, its in sorted(gateway.streams_ended.items()))
    words = "Long requests that were ended because their client may no longer, by reason."
    yield Family("ostiary_gateway_streams_ended", "counter", words, ("gateway", "reason"), tuple(ended))


def _of_keepers(heard: tuple[Heard, ...]) -> Iterator[Family]:
    heard = tuple(sorted(heard, key=lambda one: one.id))

    def family(name: str, words: str, value: Any) -> Family:
        return Family(name, "gauge", words, _GATEWAY, tuple(((one.id,), float(value(one))) for one in heard))

    yield family("ostiary_gateway_connected", "Whether a gateway is connected: 1, or 0.", lambda one: one.connected)
    words = "When a gateway was last heard of, in seconds since 1970."
    last = (one for one in heard if one.last_contact is not None)
    samples = tuple(((one.id,), one.last_contact.timestamp()) for one in last if one.last_contact is not None)
    yield Family("ostiary_gateway_last_contact_timestamp_seconds", "gauge", words, _GATEWAY, samples)
    words = "Resources that a gateway refuses: it keeps what it had."
    yield family("ostiary_gateway_resources_refused", words, lambda one: len(one.rejected))
    words = "Revocation lists at a gateway that have ended."
    yield family("ostiary_gateway_stale_lists", words, lambda one: _length(one.report.get("stale")))
    words = "Long requests that go on at a gateway, and end when their client may no longer."
    yield family("ostiary_gateway_streams_open", words, lambda one: _open(one.report.get("streams")))
    yield from _of_memory(heard)
    yield from _of_exports(heard)
    about = tuple(((one.id, _word(one, "version"), _word(one, "keeper_version")), 1.0) for one in heard)
    words = "The versions that run at a gateway."
    yield Family("ostiary_gateway", "info", words, ("gateway", "engine_version", "keeper_version"), about)


def _of_memory(heard: tuple[Heard, ...]) -> Iterator[Family]:
    known = tuple((one.id, memory) for one in heard if (memory := gateways.memory(one.report.get("memory"))) is not None)
    words = "Memory that a gateway's Envoy takes."
    samples = tuple(((one,), float(memory.used)) for one, memory in known)
    yield Family("ostiary_gateway_memory_used_bytes", "gauge", words, _GATEWAY, samples)
    words = "Memory that it may take: before it takes more, it ends what holds most, and refuses."
    samples = tuple(((one,), float(memory.limit)) for one, memory in known)
    yield Family("ostiary_gateway_memory_limit_bytes", "gauge", words, _GATEWAY, samples)
    words = "How far it does so, by what it does: 0 to 1, nothing where it does nothing."
    acting = tuple(((one, what), share / 100) for one, memory in known for what, share in sorted(memory.acting.items()))
    yield Family("ostiary_gateway_overload_ratio", "gauge", words, ("gateway", "action"), acting)


def _of_exports(heard: tuple[Heard, ...]) -> Iterator[Family]:
    """What became of the access record on its way to others. `target` is what the operator calls it."""
    told = [(one.id, export) for one in heard for export in _dicts(one.report.get("exports"))[:_MOST_EXPORTS]]

    def family(name: str, kind: Any, words: str, value: Any) -> Family:
        samples = {(one, str(export.get("target", ""))[:255]): float(value(export)) for one, export in told}
        return Family(name, kind, words, ("gateway", "target"), tuple(samples.items()))

    words = "Entries of the access record that a target has taken."
    yield family("ostiary_export_sent", "counter", words, lambda one: _count(one.get("sent")))
    words = "Entries of the access record that were removed before a target had taken them."
    yield family("ostiary_export_dropped", "counter", words, lambda one: _count(one.get("dropped")))
    words = "Whether a target does not take the access record now: 1, or 0."
    yield family("ostiary_export_failing", "gauge", words, lambda one: bool(one.get("failing_since")))


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _count(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and value >= 0 else 0.0


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def _open(streams: Any) -> float:
    return _count(streams.get("open", 0)) if isinstance(streams, Mapping) else 0.0


def _word(one: Heard, name: str) -> str:
    value = one.report.get(name)
    return value[:64] if isinstance(value, str) else ""
