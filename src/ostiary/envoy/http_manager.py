"""How HTTP is spoken with clients: what is understood, what is refused, and how long anyone may take."""

from typing import Any, Final

from envoy.config.core.v3 import address_pb2, protocol_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2

from ostiary.envoy import identity_headers, names, wire
from ostiary.envoy.access_log import of_requests
from ostiary.envoy.http_filters import http_filters
from ostiary.envoy.refusal_pages import local_replies
from ostiary.model.desired import DesiredListener
from ostiary.model.listener import Listener

Manager: Final = http_connection_manager_pb2.HttpConnectionManager

# Time from a request's first byte to the end of its headers, whatever the listener's own timeouts: a client that takes
# longer is holding a connection open on purpose (Slowloris).
_HEADERS_WITHIN: Final = 10_000
# A keep-alive connection between requests, when the listener sets no limit: Envoy's own default.
_IDLE: Final = 3_600_000


def http_manager(desired: DesiredListener) -> Any:
    """HttpConnectionManager. It holds no route: routes travel apart, over RDS, so that a new pool touches no connection."""
    listener = desired.listener
    manager = Manager(
        codec_type=_codec(desired),
        stat_prefix=names.stat(listener.id),
        rds=http_connection_manager_pb2.Rds(config_source=wire.ads(), route_config_name=names.route(listener.id)),
        http_filters=http_filters(listener),
        access_log=[of_requests(listener)],
        common_http_protocol_options=_common(listener),
        http2_protocol_options=_http2(),
        server_header_transformation=Manager.PASS_THROUGH,
        stream_idle_timeout=wire.milliseconds(listener.timeout_client_data),
        request_headers_timeout=wire.milliseconds(_HEADERS_WITHIN),
        max_request_headers_kb=wire.number(60),
        upgrade_configs=[Manager.UpgradeConfig(upgrade_type="websocket")],
        generate_request_id=wire.flag(
            False
        ),  # Nobody asked for one. With it 1.5 µs more of 51.5 (request_cost: "with request ids").
    )
    if listener.is_tls:
        manager.local_reply_config.CopyFrom(local_replies())
    _tell_of_long_streams(manager, listener)
    _client_address(manager)
    _one_reading_of_the_path(manager)
    _identity(manager, desired)
    return manager


def _codec(desired: DesiredListener) -> Any:
    # AUTO would take HTTP/2 by its preface alone, from a client that negotiated nothing.
    listener = desired.listener
    return Manager.HTTP1 if listener.is_tls and "h2" not in listener.alpn_protocols else Manager.AUTO


def _common(listener: Listener) -> Any:
    """A header with an underscore is refused, with a 400 that says so.

    CGI and WSGI read `X_SSL_Client_DN` as `X-SSL-Client-DN`. Dropping it would do for safety, yet would leave a client wondering
    where its header went.
    """
    options = protocol_pb2.HttpProtocolOptions(
        idle_timeout=wire.milliseconds(listener.timeout_client_data or _IDLE),
        headers_with_underscores_action=protocol_pb2.HttpProtocolOptions.REJECT_REQUEST,
    )
    if listener.client_authentication != "NONE":
        # Whatever flows on it: the handshake is where certificates are judged, so it has to come again. Nobody who was revoked
        # longer ago than the highest age that can be set need be refused request by request (ostiary.store.desired).
        options.max_connection_duration.CopyFrom(wire.seconds(listener.max_connection_age))
    if listener.max_stream_duration:
        options.max_stream_duration.CopyFrom(wire.seconds(listener.max_stream_duration))
    return options


def _tell_of_long_streams(manager: Any, listener: Listener) -> None:
    """A request that goes on is told of every few seconds, a WebSocket at once too: whose permission is gone is then cut off."""
    manager.access_log_options.access_log_flush_interval.CopyFrom(wire.seconds(listener.stream_recheck))
    manager.access_log_options.flush_log_on_tunnel_successfully_established = True


def _http2() -> Any:
    # Envoy's advice for an edge (configuration/best_practices/edge), but for the stream's window, which is also how much of an
    # answer is held for a client that does not read. With the advised 64 KiB, a body of 1 MB cost 1.35 times bare Envoy's CPU;
    # 1.29 with 128, 1.14 with 256, 1.06 with this (all with the buffers beside it); with 1 MiB no less. What a client may send
    # before anybody takes it is bounded for all streams of a connection together. What a hundred unread streams of many
    # connections hold, envoy.overload bounds.
    return protocol_pb2.Http2ProtocolOptions(
        max_concurrent_streams=wire.number(100),
        initial_stream_window_size=wire.number(512 * 1024),
        initial_connection_window_size=wire.number(1024 * 1024),
    )


def _client_address(manager: Any) -> None:
    """The client is who connects: we stand at the edge, and believe no header about it."""
    manager.use_remote_address.value = True
    # identity_headers adds it when asked: Envoy would write the gateway's own address in place of a loopback client's.
    manager.skip_xff_append = True
    # Nobody is internal, for an internal client could steer Envoy by x-envoy-* headers. An empty list would mean Envoy's own
    # (RFC 1918), so it holds an address that no one can connect from.
    nobody = address_pb2.CidrRange(address_prefix="0.0.0.0", prefix_len=wire.number(32))
    manager.internal_address_config.cidr_ranges.append(nobody)


def _one_reading_of_the_path(manager: Any) -> None:
    """What we read is what the member reads: `/a/../b` and `//b` are made plain first.

    A %2F or %5C within the path is refused (400): some members take it for a slash and some do not, so any rule about
    paths would hold for some only. To decode it instead would hand the member another path than the client asked for.
    """
    manager.normalize_path.value = True
    manager.merge_slashes = True
    manager.path_with_escaped_slashes_action = Manager.REJECT_REQUEST


def _identity(manager: Any, desired: DesiredListener) -> None:
    manager.early_header_mutation_extensions.append(identity_headers.forged())
    manager.forward_client_cert_details = Manager.SANITIZE
    if desired.listener.client_authentication != "NONE":
        manager.forward_client_cert_details = Manager.SANITIZE_SET
        details = manager.set_current_client_cert_details
        details.subject.value = True
        # Envoy does not escape these names, and in a rehearsal nobody is refused for what is in them.
        details.uri = details.dns = desired.listener.client_authentication != "REHEARSAL"
