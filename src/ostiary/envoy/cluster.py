"""A pool: how members are chosen, connected to and spoken with."""

from typing import Any, Final

from envoy.config.cluster.v3 import circuit_breaker_pb2, cluster_pb2
from envoy.config.core.v3 import base_pb2, protocol_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from ostiary.envoy import names, stickiness, wire
from ostiary.envoy.health_check import health_check, mark, needs_own_tls
from ostiary.envoy.upstream_tls import asking_tls, transport_socket
from ostiary.model.desired import DesiredPool
from ostiary.model.pool import Algorithm, Pool

_ALGORITHMS: Final[dict[Algorithm, Any]] = {
    "ROUND_ROBIN": cluster_pb2.Cluster.ROUND_ROBIN,
    "LEAST_CONNECTIONS": cluster_pb2.Cluster.LEAST_REQUEST,
}
_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_Options: Final = http_protocol_options_pb2.HttpProtocolOptions

# A member that closes an idle connection just as we send on it costs a request. Most keep one for 5 s or longer (Node, Apache,
# uvicorn 5, nginx 75), so we let go first.
_IDLE: Final = 4_000
# How much of a member's answer is read ahead. Envoy's own is 1 MiB; with 128 KiB a body of 1 MB cost 1.29 times bare Envoy's CPU
# over HTTP/2 and 1.14 over HTTP/1.1, with this (and listener.BUFFER) 1.06 and 1.14, with more no less. The price: for each open
# request whose client does not read we hold 0.8 MiB (HTTP/2) or 0.7 (HTTP/1.1); envoy.overload bounds it.
_BUFFER: Final = 256 * 1024


def cluster(desired: DesiredPool, connect_timeout: int) -> Any:
    """The pool's message (Cluster). `connect_timeout` in milliseconds, more than 0."""
    pool = desired.pool
    message = cluster_pb2.Cluster(
        name=names.pool(pool.id),
        type=cluster_pb2.Cluster.EDS,
        eds_cluster_config=cluster_pb2.Cluster.EdsClusterConfig(eds_config=wire.ads(), service_name=names.pool(pool.id)),
        connect_timeout=wire.milliseconds(connect_timeout),
        lb_policy=cluster_pb2.Cluster.RING_HASH if stickiness.of(pool) else _ALGORITHMS[pool.lb_algorithm],
        per_connection_buffer_limit_bytes=wire.number(_BUFFER),
        circuit_breakers=_no_breakers(),
        typed_extension_protocol_options={_HTTP_OPTIONS: wire.packed(_http(pool))},
        # Otherwise a member that was removed goes on serving for as long as its health check passes.
        ignore_health_on_host_removal=True,
    )
    # When all are ill, none serves: Envoy's default would send requests to members it knows are down.
    message.common_lb_config.healthy_panic_threshold.value = 0
    # At once: Envoy would sit on changes of health and weight for up to a second, and go on sending to a member known to be down.
    message.common_lb_config.update_merge_window.CopyFrom(wire.seconds(0))
    _secure(message, desired)
    if desired.health_monitor is not None:
        message.health_checks.append(health_check(desired.health_monitor, pool))
    return message


def _secure(message: Any, desired: DesiredPool) -> None:
    socket = transport_socket(desired)
    if socket is not None:
        message.transport_socket.CopyFrom(socket)
    if needs_own_tls(desired.health_monitor, desired.pool):
        message.transport_socket_matches.append(
            cluster_pb2.Cluster.TransportSocketMatch(name="monitor", match=mark(), transport_socket=asking_tls(desired))
        )


def _no_breakers() -> Any:
    """No operator has asked for limits here, and Envoy's own (1024 connections, requests, …) would look like an outage."""
    thresholds = circuit_breaker_pb2.CircuitBreakers.Thresholds(
        priority=base_pb2.DEFAULT,
        max_connections=wire.number(wire.UNLIMITED),
        max_pending_requests=wire.number(wire.UNLIMITED),
        max_requests=wire.number(wire.UNLIMITED),
        max_retries=wire.number(wire.UNLIMITED),
    )
    return circuit_breaker_pb2.CircuitBreakers(thresholds=[thresholds])


def _http(pool: Pool) -> Any:
    """HTTP/1.1; HTTP/2 only over TLS and where the pool offers it, for clear text cannot negotiate it."""
    options = _Options(common_http_protocol_options=protocol_pb2.HttpProtocolOptions(idle_timeout=wire.milliseconds(_IDLE)))
    if not pool.tls_enabled or "h2" not in pool.alpn_protocols:
        options.explicit_http_config.http_protocol_options.SetInParent()
    elif "http/1.1" not in pool.alpn_protocols:
        options.explicit_http_config.http2_protocol_options.CopyFrom(_http2())
    else:
        options.auto_config.http_protocol_options.SetInParent()
        options.auto_config.http2_protocol_options.CopyFrom(_http2())
    return options


def _http2() -> Any:
    """What a member may send us of each answer, before the client has read any of it; Envoy's own is 16 MiB.

    Clients share a connection to the member: those who do not read must not stop the others, so it has room for what a thousand
    of them leave unread. For memory; what it does to the CPU of a request was not measured, for no backend of the benchmarks
    speaks HTTP/2.
    """
    return protocol_pb2.Http2ProtocolOptions(
        initial_stream_window_size=wire.number(_BUFFER), initial_connection_window_size=wire.number(1024 * _BUFFER)
    )
