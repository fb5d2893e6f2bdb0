"""Where a listener's requests go, with which headers, and how long a member may think."""

from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2

from ostiary.access.policy import Policy
from ostiary.envoy import access, identity_headers, names, stickiness, wire
from ostiary.model.desired import DesiredListener
from ostiary.model.listener import Listener
from ostiary.model.pool import Pool
from ostiary.model.roster import Roster
from ostiary.model.session import SESSION_COOKIE

_NOBODY_SERVES = "No server is assigned to this address.\n"
_OURS = (
    "This request carries your session at ostiary's console, which no server behind it is to see. "
    "Open the console, or this page, under another host name.\n"
)


def route(desired: DesiredListener, pool: Pool | None, policy: Policy, roster: Roster | None = None) -> Any:
    """The listener's routes (RouteConfiguration): everything goes to the default pool, but for what the policy refuses."""
    listener = desired.listener
    host = route_components_pb2.VirtualHost(name="all", domains=["*"], routes=_routes(desired, pool, policy))
    if listener.is_tls and listener.hsts_max_age is not None:
        host.response_headers_to_add.append(identity_headers.overwrite("Strict-Transport-Security", _hsts(listener)))
    return route_pb2.RouteConfiguration(
        name=names.route(listener.id),
        virtual_hosts=[host],
        # Envoy's own note of the client's address: members are told what the operator asked for, and no more.
        request_headers_to_remove=["x-envoy-external-address"],
        typed_per_filter_config=access.for_every_route(desired, policy, roster),
    )


def _routes(desired: DesiredListener, pool: Pool | None, policy: Policy) -> list[Any]:
    """With client certificates on there are two, told apart by the handshake itself.

    So headers about a certificate are set only where one was verified, and rules about certificates are asked only there.
    """
    listener = desired.listener
    anyone = _match()
    if listener.client_authentication == "NONE":
        return [_ours(), _route(listener, pool, anyone, certified=False)]
    holder = _match()
    holder.tls_context.presented.value = True
    holder.tls_context.validated.value = True
    routes = [_route(listener, pool, holder, certified=True), _route(listener, pool, anyone, certified=False)]
    for certified, made in zip((True, False), routes, strict=True):
        for name, config in access.for_route(policy, certified=certified).items():
            made.typed_per_filter_config[name].CopyFrom(config)
        made.request_headers_to_remove.extend(_removed(desired, certified=certified))
    return [_ours(), *routes]


def _ours() -> Any:
    """Who is signed in to the console at the same host name sends its cookie here too, for browsers do not tell ports apart.

    It opens everything, so it is handed to no member. One header cannot be taken out of the others in `Cookie`: the request is
    refused, and says what to do. The cookie comes along only below /console (`console.signing_in`).
    """
    route = route_components_pb2.Route(match=_match())
    route.match.headers.add(name="cookie").string_match.contains = f"{SESSION_COOKIE}="
    route.direct_response.status = 400
    route.direct_response.body.inline_string = _OURS
    return route


# By these a client can have some backends take its request for another one than the rules judged.
_OTHER_READINGS = (
    *("x-original-url", "x-rewrite-url", "x-original-uri", "x-forwarded-uri", "x-forwarded-path"),
    *("x-original-path", "x-override-url", "x-request-uri", "x-forwarded-request-uri"),
    *("x-http-method-override", "x-http-method", "x-method-override"),
    *("forwarded", "x-forwarded-host"),
    *("x-original-host", "x-host", "x-forwarded-server", "x-forwarded-method", "x-forwarded-prefix"),
)


def _removed(desired: DesiredListener, *, certified: bool) -> tuple[str, ...]:
    """What members must not be told: who nobody verified, and another host, path or method than was judged."""
    unverified = () if certified else ("x-forwarded-client-cert",)
    return (*unverified, *_OTHER_READINGS) if desired.access.rules or desired.access.exceptions else unverified


def _match() -> Any:
    return route_components_pb2.RouteMatch(prefix="/")


def _route(listener: Listener, pool: Pool | None, match: Any, *, certified: bool) -> Any:
    route = route_components_pb2.Route(
        match=match, request_headers_to_add=identity_headers.inserted(listener, certified=certified)
    )
    if pool is None:
        route.direct_response.status = 503
        route.direct_response.body.CopyFrom(base_pb2.DataSource(inline_string=_NOBODY_SERVES))
    else:
        route.route.CopyFrom(_to(listener, pool))
    return route


def _to(listener: Listener, pool: Pool) -> Any:
    """The way to the pool.

    No limit on the whole exchange (`timeout`): downloads and streams may take their time. Silence is what is limited:
    `idle_timeout` starts anew with every byte in either direction, so that a member silent for `timeout_member_data` after the
    request gets the client a 504, while a WebSocket lives as long as either side speaks. 0 is no limit, as in HAProxy.
    """
    return route_components_pb2.RouteAction(
        cluster=names.pool(pool.id),
        timeout=wire.milliseconds(0),
        idle_timeout=wire.milliseconds(listener.timeout_member_data),
        retry_policy=_retry(),
        hash_policy=_hash_policy(listener, pool),
    )


def _retry() -> Any:
    """Once, on another member, and only where the first cannot have seen the request."""
    previous = wire.packed(previous_hosts_pb2.PreviousHostsPredicate())
    predicate = route_components_pb2.RetryPolicy.RetryHostPredicate(
        name="envoy.retry_host_predicates.previous_hosts", typed_config=previous
    )
    return route_components_pb2.RetryPolicy(
        retry_on="connect-failure,refused-stream",
        num_retries=wire.number(1),
        retry_host_predicate=[predicate],
        host_selection_retry_max_attempts=3,
    )


def _hash_policy(listener: Listener, pool: Pool) -> list[Any]:
    policy = route_components_pb2.RouteAction.HashPolicy()
    match stickiness.of(pool):
        case None:
            return []
        case "source":
            policy.connection_properties.source_ip = True
        case "cookie":
            policy.cookie.CopyFrom(_session_cookie(listener, pool))
    return [policy]


def _session_cookie(listener: Listener, pool: Pool) -> Any:
    """A cookie for the browser's session (lifetime 0), which Envoy makes HttpOnly, and which never travels in clear from TLS."""
    attribute = route_components_pb2.RouteAction.HashPolicy.CookieAttribute
    attributes = [attribute(name="SameSite", value="Lax"), *([attribute(name="Secure")] if listener.is_tls else [])]
    return route_components_pb2.RouteAction.HashPolicy.Cookie(
        name=stickiness.cookie(pool), ttl=wire.seconds(0), path="/", attributes=attributes
    )


def _hsts(listener: Listener) -> str:
    """RFC 6797 6.1."""
    extras = (("includeSubDomains", listener.hsts_include_subdomains), ("preload", listener.hsts_preload))
    return "; ".join([f"max-age={listener.hsts_max_age}", *(name for name, wanted in extras if wanted)])
