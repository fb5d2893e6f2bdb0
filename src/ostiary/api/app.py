"""The REST API as one ASGI application."""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from ostiary.api import (
    access_exceptions,
    access_rules,
    approvals,
    audit,
    authorities,
    backup,
    balancers,
    break_glass,
    certificates,
    clients,
    containers,
    denials,
    discovery,
    docs,
    downloads,
    enrolment,
    explain,
    gateways,
    house,
    imported,
    install,
    key_export,
    lifecycle,
    listeners,
    members,
    metrics,
    monitors,
    notification_targets,
    openapi,
    pools,
    profiles,
    rehearsals,
    reports,
    requests,
    reviews,
    revisions,
    revocation,
    rotations,
    secrets,
    sessions,
    traffic,
    users,
    warnings,
)
from ostiary.api import tokens as token_routes
from ostiary.api.heads import Heads
from ostiary.api.identity import Door, admin_token
from ostiary.api.limits import Limits
from ostiary.api.paths import Paths
from ostiary.api.problems import crashed, on_http_error, on_refusal
from ostiary.api.straight import Straight
from ostiary.asgi.attempts import Attempts
from ostiary.asgi.edge import Edge
from ostiary.errors import Refusal
from ostiary.ops import tokens
from ostiary.ops.system import System

# In the order in which /docs shows them.
ROUTERS: Final = (
    balancers.router,
    listeners.router,
    pools.router,
    members.router,
    monitors.router,
    access_rules.router,
    access_exceptions.router,
    secrets.router,
    containers.router,
    authorities.router,
    key_export.router,
    imported.router,
    certificates.router,
    downloads.router,
    profiles.router,
    lifecycle.router,
    requests.router,
    rotations.router,
    token_routes.router,
    users.router,
    sessions.router,
    enrolment.router,
    approvals.router,
    break_glass.router,
    revisions.router,
    audit.router,
    reports.router,
    reviews.router,
    backup.router,
    gateways.router,
    house.router,
    clients.router,
    denials.router,
    traffic.router,
    metrics.router,
    warnings.router,
    notification_targets.router,
    rehearsals.router,
    explain.router,
    install.router,
    docs.router,
    revocation.router,
    discovery.router,
)


def create_app(system: System, *, token: str) -> FastAPI:
    """The API of this system, for whoever shows this token."""
    app = FastAPI(
        title="ostiary",
        version=version("ostiary"),
        openapi_url=None,  # FastAPI's own pages load scripts from another host, and would answer without a permission.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # It would hand requests, and the messages of errors, to whatever the environment names (FASTAPI_OTEL_AUTO_CONFIGURE).
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False},
        # One flat list, rather than routers within the application: /openapi.json and the tests walk it.
        routes=[route for router in ROUTERS for route in router.routes],
        # Outermost first: an id for every request, the path as we know it, who is calling, and only then what they send.
        middleware=[
            Middleware(Edge, crashed, partial(system.meters.answered, "api"), system.traced),
            Middleware(Paths),
            Middleware(
                Door, admin_token(token), partial(tokens.holder, system), partial(system.failed_sign_ins.note, "token of the API")
            ),
            Middleware(Limits),
            Middleware(Heads),
        ],
        exception_handlers={Refusal: on_refusal, HTTPException: on_http_error},
    )
    # What the router calls once all middleware is through: our own way to our routes, and the framework's for what is left.
    app.router.middleware_stack = Straight(app.router.routes, app.router.middleware_stack)
    app.state.system = system
    app.state.attempts = Attempts()
    app.openapi = _once(lambda: openapi.document(app))  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _once(make: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    made: list[dict[str, Any]] = []

    def get() -> dict[str, Any]:
        if not made:
            made.append(make())
        return made[0]

    return get
