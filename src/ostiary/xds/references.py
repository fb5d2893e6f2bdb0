"""What a resource refers to that has to be in place before it. Read from its bytes: who relays a resource knows no more of it."""

from collections.abc import Iterator

from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from google.protobuf.message import DecodeError

from ostiary.envoy.resources import CLUSTER, LISTENER, ROUTE, Key, Resource


def clusters_of(resource: Resource) -> frozenset[Key]:
    """The clusters that routes, or listeners without routes, send requests to; nothing for any other type."""
    names = {ROUTE: _of_routes, LISTENER: _of_tcp}.get(resource.type_url)
    if names is None:
        return frozenset()
    try:
        return frozenset((CLUSTER, name) for name in names(resource.body) if name)
    except DecodeError:
        return frozenset()  # Whoever gets it will say so.


def _of_routes(body: bytes) -> Iterator[str]:
    for host in route_pb2.RouteConfiguration.FromString(body).virtual_hosts:
        for way in host.routes:
            yield way.route.cluster


def _of_tcp(body: bytes) -> Iterator[str]:
    proxy = tcp_proxy_pb2.TcpProxy()
    for chain in listener_pb2.Listener.FromString(body).filter_chains:
        for network_filter in chain.filters:
            if network_filter.typed_config.Unpack(proxy):
                yield proxy.cluster
