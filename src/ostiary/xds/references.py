"""What a resource refers to that has to be in place before it. Read from its bytes: who relays a resource knows no more of it."""

from envoy.config.route.v3 import route_pb2
from google.protobuf.message import DecodeError

from ostiary.envoy.resources import CLUSTER, ROUTE, Key, Resource


def clusters_of(resource: Resource) -> frozenset[Key]:
    """The clusters that routes send requests to; nothing for any other type."""
    if resource.type_url != ROUTE:
        return frozenset()
    message = route_pb2.RouteConfiguration()
    try:
        message.ParseFromString(resource.body)
    except DecodeError:
        return frozenset()  # Whoever gets it will say so.
    return frozenset((CLUSTER, way.route.cluster) for host in message.virtual_hosts for way in host.routes if way.route.cluster)
