"""What happens to an accepted connection: who may connect, TLS, and the protocol spoken within.

Everything that an operator may change on a live listener is in here and not in the listener itself: Envoy swaps a filter
chain in place, without closing the port, as long as nothing else in the listener's message differs.
"""

import ipaddress
from typing import Any

from envoy.config.core.v3 import address_pb2
from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.network.connection_limit.v3 import connection_limit_pb2
from envoy.extensions.filters.network.direct_response.v3 import config_pb2 as direct_response_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.type.v3 import hash_policy_pb2

from ostiary.envoy import names, noted, records, stickiness, wire
from ostiary.envoy.downstream_tls import client_trust, downstream_tls
from ostiary.envoy.http_manager import http_manager
from ostiary.errors import Invalid
from ostiary.model.desired import DesiredListener
from ostiary.model.listener import Listener
from ostiary.model.pool import Pool

_HANDSHAKE_WITHIN = 10_000


def filter_chain(desired: DesiredListener, pool: Pool | None) -> Any:
    """The listener's one filter chain (FilterChain). A client whose address matches none is closed at once."""
    listener = desired.listener
    chain = listener_components_pb2.FilterChain(
        filter_chain_match=listener_components_pb2.FilterChainMatch(
            source_prefix_ranges=[_range(cidr) for cidr in sorted(set(listener.allowed_cidrs))]
        ),
        filters=[*_limit(listener), *_noted(listener), _protocol(desired, pool)],
    )
    client_trust(desired)  # Refuses client authentication where there is no TLS to do it with.
    if listener.is_tls:
        chain.transport_socket.CopyFrom(downstream_tls(desired))
        chain.transport_socket_connect_timeout.CopyFrom(wire.milliseconds(_HANDSHAKE_WITHIN))
    return chain


def _range(cidr: str) -> Any:
    network = ipaddress.ip_network(cidr)
    return address_pb2.CidrRange(address_prefix=str(network.network_address), prefix_len=wire.number(network.prefixlen))


def _limit(listener: Listener) -> list[Any]:
    if listener.connection_limit < 0:
        return []
    if listener.connection_limit == 0:
        raise Invalid("connection_limit", "must be 1 or more, or -1 for no limit; to let nobody in, set admin_state_up to false.")
    limit = connection_limit_pb2.ConnectionLimit(stat_prefix=names.stat(listener.id))
    limit.max_connections.value = listener.connection_limit
    return [_filter("envoy.filters.network.connection_limit", limit)]


def _noted(listener: Listener) -> list[Any]:
    if listener.client_authentication == "NONE":
        return []
    whole = listener.client_authentication == "REHEARSAL"
    holder = wire.json_list(records.HOLDER_FORM, records.holder_list())
    config = noted.noted(records.CONNECTION, holder, listener.trust_revision, whole=whole)
    return [_filter("envoy.filters.network.set_filter_state", config)]


def _protocol(desired: DesiredListener, pool: Pool | None) -> Any:
    if desired.listener.is_http:
        return _filter("envoy.filters.network.http_connection_manager", http_manager(desired))
    if pool is None:
        # Answers with nothing, then closes: there is nobody to speak to.
        return _filter("envoy.filters.network.direct_response", direct_response_pb2.Config())
    return _filter("envoy.filters.network.tcp_proxy", _tcp(desired.listener, pool))


def _tcp(listener: Listener, pool: Pool) -> Any:
    """TcpProxy. One timer watches both directions; the shorter of the two limits counts, and 0 is none."""
    limits = [limit for limit in (listener.timeout_client_data, listener.timeout_member_data) if limit]
    return tcp_proxy_pb2.TcpProxy(
        stat_prefix=names.stat(listener.id),
        cluster=names.pool(pool.id),
        idle_timeout=wire.milliseconds(min(limits, default=0)),
        hash_policy=[_by_source()] if stickiness.of(pool) else [],
    )


def _by_source() -> Any:
    return hash_policy_pb2.HashPolicy(source_ip=hash_policy_pb2.HashPolicy.SourceIp())


def _filter(name: str, config: Any) -> Any:
    return listener_components_pb2.Filter(name=name, typed_config=wire.packed(config))
