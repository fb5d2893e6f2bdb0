"""How a refusal looks on the wire: one table from error to status, and one form of body for each family of clients."""

import asyncio
from http import HTTPStatus
from typing import Any, Final

from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from ostiary.api.paths import canonical
from ostiary.errors import Awaits, Conflict, Denied, Invalid, NotFound, Refusal, TooLarge, TooMany, Unauthenticated, Unavailable
from ostiary.ops import refused_calls

# Looked through in order: a TooLarge is an Invalid too.
STATUSES: Final[tuple[tuple[type[Refusal], int], ...]] = (
    (TooLarge, 413),
    (Invalid, 400),
    (Unauthenticated, 401),
    (Denied, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Awaits, 409),  # to whom a 202 would say more than is true, see `awaits`
    (TooMany, 429),
    (Unavailable, 503),
)
KEY_MANAGER: Final = ("/v1/secrets", "/v1/containers")


def status_of(error: Refusal) -> int:
    """The HTTP status that says this."""
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 400)


def is_load_balancing(path: str) -> bool:
    """Whether the clients of this path are OpenStack load-balancer clients."""
    return path == "/v2" or path.startswith(("/v2/", "/v2.0/"))


def is_key_manager(path: str) -> bool:
    """Whether the clients of this path are OpenStack key-manager clients."""
    return any(path == root or path.startswith(f"{root}/") for root in KEY_MANAGER)


def problem(path: str, status: int, detail: str, *, field: str | None = None, headers: dict[str, str] | None = None) -> Response:
    """The reply that refuses a request to this (canonical) path, in the form its clients read."""
    if is_load_balancing(path):
        return JSONResponse(fault(status, detail), status, headers)
    document: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    if field is not None:
        document["field"] = field
    if is_key_manager(path):
        return JSONResponse({"code": status, "description": detail, **document}, status, headers)
    return JSONResponse(document, status, headers, media_type="application/problem+json")


def fault(status: int, detail: str) -> dict[str, Any]:
    """The body of an error as Octavia's clients read it."""
    return {"faultcode": "Client" if status < 500 else "Server", "faultstring": detail, "debuginfo": None}


def refusal(path: str, error: Refusal) -> Response:
    """The reply to a request that the core refused."""
    status = status_of(error)
    headers = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "60"}, 503: {"Retry-After": "1"}}.get(status)
    field = error.field if isinstance(error, Invalid | Conflict) else None
    return problem(path, status, str(error), field=field, headers=headers)


def awaits(method: str, path: str, error: Awaits) -> Response:
    """The reply to what was not done yet: another person has to agree, and `Location` is where they look at it.

    202 (RFC 9110 15.3.3), but not to whoever takes any success for the thing done or the file asked for: OpenStack's clients, and
    who reads.
    """
    headers = {"Location": f"/v1/approvals/{error.approval_id}"}
    if method in {"GET", "HEAD"} or is_load_balancing(path) or is_key_manager(path):
        return problem(path, 409, str(error), headers=headers)
    body = {"approval": error.approval, "href": headers["Location"], "detail": str(error)}
    return JSONResponse(body, 202, headers)


def crashed(path: str, request_id: str) -> Response:
    """The reply where an error of ours ended a request; it shows nothing of its insides."""
    return problem(canonical(path), 500, f"internal error; quote {request_id} when reporting it")


async def on_refusal(request: Request, error: Exception) -> Response:
    """For FastAPI: what the core raised."""
    assert isinstance(error, Refusal)  # noqa: S101 (it is registered for nothing else)
    if isinstance(error, Denied):
        system = request.app.state.system
        system.refused_calls.note(request.scope["caller"], error)
        await asyncio.to_thread(refused_calls.tell, system)
    if isinstance(error, Awaits):
        return awaits(request.method, request.scope["path"], error)
    return refusal(request.scope["path"], error)


async def on_http_error(request: Request, error: Exception) -> Response:
    """For FastAPI: what it raises itself, for an unknown path or method."""
    assert isinstance(error, HTTPException)  # noqa: S101 (it is registered for nothing else)
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else dict(error.headers or {})
    return problem(request.scope["path"], error.status_code, error.detail, headers=headers)


def _allowed(request: Request) -> str:
    """All methods of this path (RFC 9110 15.5.6); the framework names only those of the first route it came across."""
    here = (
        route for route in request.app.routes if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
    )
    return ", ".join(sorted({method for route in here for method in route.methods or ()}))
