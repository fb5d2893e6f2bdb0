"""Doors of our own: listeners before our own Unix sockets. Whoever knocks may show a certificate; at the console's, may have to.

They are built as every other listener is, so that a forged header, an unclean name or a resumed session gets no further here than
elsewhere. What we hear of who knocks, we hear from the gateway: the address (`X-Real-IP`), and the certificate, if the handshake
verified one (`Client-Cert`, RFC 9440).
"""

from typing import Any, Final

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, protocol_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from ostiary.access.policy import Policy
from ostiary.envoy import access, identity_headers, names, wire
from ostiary.model.desired import DesiredHouseDoor, DesiredListener
from ostiary.model.house_door import HouseDoorKind
from ostiary.model.listener import ClientAuthentication, Listener

# All that strangers can ask for, with what is below it. The API holds to its own list too (api.identity.AT_THE_DOOR).
PATHS: Final = ("/enroll", "/v1/enroll", "/pki", "/ocsp", "/install", "/static")

# A signature costs milliseconds, but many may wait for one commit, and a key in a hardware token takes its time.
_ANSWER_WITHIN: Final = 60_000
_CONNECT_WITHIN: Final = 1_000
# The API closes a connection that was idle for 5 s (uvicorn); we let go first.
_IDLE: Final = 4_000
_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def as_listener(desired: DesiredHouseDoor) -> DesiredListener:
    """The door as a listener like any other."""
    demanded: ClientAuthentication = "MANDATORY" if desired.demands_certificate else "OPTIONAL"
    listener = Listener(
        id=desired.kind,
        name=desired.kind,
        protocol="TERMINATED_HTTPS",
        protocol_port=desired.port,
        client_authentication="NONE" if desired.trust is None else demanded,
        insert_headers={"X-Real-IP": "true", "Client-Cert": "true"},
    )
    return DesiredListener(listener=listener, address=desired.address, identities=desired.identities, trust=desired.trust)


def route(kind: HouseDoorKind, door: DesiredListener, policy: Policy) -> Any:
    """Where its requests go (RouteConfiguration): to us; at the door to enrolment only below `PATHS`, all else is not found."""
    asking = door.listener.client_authentication != "NONE"
    matches = [route_components_pb2.RouteMatch(path_separated_prefix=path) for path in PATHS]
    if kind == "console":
        matches = [route_components_pb2.RouteMatch(prefix="/")]
    routes = [
        _route(door.listener, match, policy, certified=certified)
        for match in matches
        for certified in ((True, False) if asking else (False,))
    ]
    return route_pb2.RouteConfiguration(
        name=names.route(door.listener.id),
        virtual_hosts=[route_components_pb2.VirtualHost(name="all", domains=["*"], routes=routes)],
        # A certificate that nobody verified is nobody's; X-Forwarded-For may hold what a client wrote.
        request_headers_to_remove=["x-envoy-external-address", "x-forwarded-for"],
        typed_per_filter_config=access.for_every_route(door, policy, None),
    )


def _route(listener: Listener, match: Any, policy: Policy, *, certified: bool) -> Any:
    made = route_components_pb2.Route(
        match=match,
        request_headers_to_add=identity_headers.inserted(listener, certified=certified),
        request_headers_to_remove=[] if certified else ["client-cert"],
        route=_to(listener.id),
        typed_per_filter_config=access.for_route(policy, certified=certified),
    )
    if certified:
        made.match.tls_context.presented.value = True
        made.match.tls_context.validated.value = True
    return made


def _to(kind: str) -> Any:
    """The way to us. The console's pages may go on telling what happens; silence is what is limited there."""
    to = route_components_pb2.RouteAction(cluster=names.house(kind))
    to.timeout.CopyFrom(wire.milliseconds(0 if kind == "console" else _ANSWER_WITHIN))
    if kind == "console":
        to.idle_timeout.CopyFrom(wire.milliseconds(_ANSWER_WITHIN))
    return to


def cluster(desired: DesiredHouseDoor) -> Any:
    """Our Unix socket behind the door (Cluster)."""
    address = address_pb2.Address(pipe=address_pb2.Pipe(path=desired.socket))
    endpoint = endpoint_components_pb2.LbEndpoint(endpoint=endpoint_components_pb2.Endpoint(address=address))
    name = names.house(desired.kind)
    return cluster_pb2.Cluster(
        name=name,
        type=cluster_pb2.Cluster.STATIC,
        connect_timeout=wire.milliseconds(_CONNECT_WITHIN),
        load_assignment=endpoint_pb2.ClusterLoadAssignment(
            cluster_name=name, endpoints=[endpoint_components_pb2.LocalityLbEndpoints(lb_endpoints=[endpoint])]
        ),
        typed_extension_protocol_options={_HTTP_OPTIONS: wire.packed(_http())},
    )


def _http() -> Any:
    common = protocol_pb2.HttpProtocolOptions(idle_timeout=wire.milliseconds(_IDLE))
    options = http_protocol_options_pb2.HttpProtocolOptions(common_http_protocol_options=common)
    options.explicit_http_config.http_protocol_options.SetInParent()
    return options
