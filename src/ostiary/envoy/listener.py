"""A listener: the port. It holds only what cannot change on a live one; the rest is in its filter chain."""

from typing import Any

from envoy.config.core.v3 import address_pb2, base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2

from ostiary.envoy import names, wire
from ostiary.envoy.access_log import of_connections
from ostiary.envoy.filter_chain import filter_chain
from ostiary.model.desired import DesiredListener
from ostiary.model.pool import Pool

# What is held for a client that does not read, or of what it sends; Envoy's own is 1 MiB, its advice for an edge 32 KiB. So it
# stopped and went on so often that a body of 1 MB cost 1.25 (HTTP/1.1) and 1.35 times (HTTP/2) bare Envoy's CPU in a quiet
# run, up to 1.9 and 2.5 in a busy one; with this and `cluster._BUFFER` 1.14 and 1.06. What all clients together make us hold
# is bounded by envoy.overload (docs/decisions/0035-a-bound-on-memory.md).
BUFFER = 512 * 1024


def listener(desired: DesiredListener, pool: Pool | None) -> Any:
    """The listener's message (Listener)."""
    given = desired.listener
    message = listener_pb2.Listener(
        name=names.listener(given.id),
        address=_address(desired.address, given.protocol_port),
        filter_chains=[filter_chain(desired, pool)],
        traffic_direction=base_pb2.INBOUND,
        per_connection_buffer_limit_bytes=wire.number(BUFFER),
        # A second program that binds the same port must fail aloud; with reuse on, it would quietly get some of the connections.
        enable_reuse_port=wire.flag(False),
    )
    if given.is_tls:
        message.listener_filters.append(_tls_inspector())
    if given.is_tls or not given.is_http:
        # Of plain HTTP, the requests tell it all.
        message.access_log.append(of_connections(given.id, is_tls=given.is_tls))
    if given.timeout_tcp_inspect:
        message.listener_filters_timeout.CopyFrom(wire.milliseconds(given.timeout_tcp_inspect))
    return message


def _address(address: str, port: int) -> Any:
    return address_pb2.Address(socket_address=address_pb2.SocketAddress(address=address, port_value=port))


def _tls_inspector() -> Any:
    """Reads the name the client asks for, before the handshake; on every TLS listener, so that no setting adds or removes it."""
    return listener_components_pb2.ListenerFilter(
        name="envoy.filters.listener.tls_inspector", typed_config=wire.packed(tls_inspector_pb2.TlsInspector())
    )
