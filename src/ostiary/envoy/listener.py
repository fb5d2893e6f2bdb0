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

# Enough for every request header block; a client that does not read makes us hold no more (Envoy's advice for an edge).
BUFFER = 32 * 1024


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
