"""The door to enrolment: a listener of our own, before the API's Unix socket. Whoever knocks may show a certificate, none must.

It is built as every other listener is, so that a forged header, an unclean name or a resumed session gets no further here than
elsewhere. What the API hears of who knocks, it hears from the gateway: the address (`X-Real-IP`), and the certificate, if the
handshake verified one (`Client-Cert`, RFC 9440).
"""

from typing import Any, Final

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, protocol_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from ostiary.envoy import access, identity_headers, names, wire
from ostiary.model.desired import DesiredEnrolment, DesiredListener
from ostiary.model.listener import Listener

# All that can be asked for here, with what is below it. The API holds to its own list too (api.enrolment_door).
PATHS: Final = ("/enroll", "/v1/enroll", "/pki", "/ocsp", "/install", "/static")

# A signature costs milliseconds, but many may wait for one commit, and a key in a hardware token takes its time.
_ANSWER_WITHIN: Final = 60_000
_CONNECT_WITHIN: Final = 1_000
# The API closes a connection that was idle for 5 s (uvicorn); we let go first.
_IDLE: Final = 4_000
_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def as_listener(desired: DesiredEnrolment) -> DesiredListener:
    """The door as a listener like any other."""
    listener = Listener(
        id=names.ENROLMENT,
        name="the door to enrolment",
        protocol="TERMINATED_HTTPS",
        protocol_port=desired.port,
        client_authentication="NONE" if desired.trust is None else "OPTIONAL",
        insert_headers={"X-Real-IP": "true", "Client-Cert": "true"},
    )
    return DesiredListener(listener=listener, address=desired.address, identities=desired.identities, trust=desired.trust)


def route(door: DesiredListener, denied: frozenset[str]) -> Any:
    """Where its requests go (RouteConfiguration): to the API, and only below `PATHS`; anything else is not found."""
    asking = door.listener.client_authentication != "NONE"
    routes = [
        _route(door.listener, path, certified=certified)
        for path in PATHS
        for certified in ((True, False) if asking else (False,))
    ]
    return route_pb2.RouteConfiguration(
        name=names.route(door.listener.id),
        virtual_hosts=[route_components_pb2.VirtualHost(name="all", domains=["*"], routes=routes)],
        # A certificate that nobody verified is nobody's; X-Forwarded-For may hold what a client wrote.
        request_headers_to_remove=["x-envoy-external-address", "x-forwarded-for"],
        typed_per_filter_config=access.denied(denied) if asking else {},
    )


def _route(listener: Listener, path: str, *, certified: bool) -> Any:
    match = route_components_pb2.RouteMatch(path_separated_prefix=path)
    if certified:
        match.tls_context.presented.value = True
        match.tls_context.validated.value = True
    return route_components_pb2.Route(
        match=match,
        request_headers_to_add=identity_headers.inserted(listener, certified=certified),
        request_headers_to_remove=[] if certified else ["client-cert"],
        route=route_components_pb2.RouteAction(cluster=names.API, timeout=wire.milliseconds(_ANSWER_WITHIN)),
    )


def api(socket: str) -> Any:
    """The API's Unix socket (Cluster)."""
    address = address_pb2.Address(pipe=address_pb2.Pipe(path=socket))
    endpoint = endpoint_components_pb2.LbEndpoint(endpoint=endpoint_components_pb2.Endpoint(address=address))
    return cluster_pb2.Cluster(
        name=names.API,
        type=cluster_pb2.Cluster.STATIC,
        connect_timeout=wire.milliseconds(_CONNECT_WITHIN),
        load_assignment=endpoint_pb2.ClusterLoadAssignment(
            cluster_name=names.API, endpoints=[endpoint_components_pb2.LocalityLbEndpoints(lb_endpoints=[endpoint])]
        ),
        typed_extension_protocol_options={_HTTP_OPTIONS: wire.packed(_http())},
    )


def _http() -> Any:
    common = protocol_pb2.HttpProtocolOptions(idle_timeout=wire.milliseconds(_IDLE))
    options = http_protocol_options_pb2.HttpProtocolOptions(common_http_protocol_options=common)
    options.explicit_http_config.http_protocol_options.SetInParent()
    return options
