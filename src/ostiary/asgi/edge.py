"""The outermost layer: each request gets an id, each reply its safety headers, and no error shows its insides."""

import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ostiary import logs
from ostiary.asgi import answered
from ostiary.asgi.answered import Answered, Strangers, Told
from ostiary.ids import new_id
from ostiary.tracing import Take, linked, trace

log = structlog.get_logger("ostiary.api")

# What is answered, given the path and the id of the request, when nothing else could be.
Crashed = Callable[[str, str], ASGIApp]

_STREAM: Final = b"text/event-stream"
_SECRETS: Final = re.compile(r"^(/enroll/|/console/sign-in/).+")  # what follows is a secret

# What a reply says itself about these is left as it is: pages have a policy of their own, public files may be kept.
HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    # Nothing that we answer is a page that loads, runs or frames anything, except /docs with its one inline style sheet.
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
)


class Edge:
    """ASGI: request ids, headers, the last `except`, and what is said of each request afterwards (`asgi.answered`)."""

    def __init__(self, app: ASGIApp, crashed: Crashed, told: Told = lambda *_: None, take: Take | None = None) -> None:
        self._app = app
        self._crashed = crashed
        self._told = told
        self._take = take
        self._strangers = Strangers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008, "reason": ""})  # There are no web sockets here.
        else:
            request_id, began = f"req-{new_id()}", perf_counter()
            one = Answered(scope["method"])
            with logs.about(request_id=request_id), self._traced(scope, request_id, one):
                try:
                    await self._answer({**scope, "request_id": request_id, answered.KEY: one}, receive, send, one)
                finally:
                    source = str(scope["client"][0]) if scope.get("client") else ""
                    answered.tell(one, perf_counter() - began, source, self._strangers, self._told)

    @contextmanager
    def _traced(self, scope: Scope, request_id: str, one: Answered) -> Iterator[None]:
        """One trace for each request, if somebody takes it. Where a caller's own trace is comes along as a link, no more."""
        if self._take is None:
            yield
            return
        with trace(self._take, scope["method"], links=linked(Headers(scope=scope).get("traceparent"))) as doing:
            try:
                yield
            finally:
                if doing is not None:
                    doing.name = f"{one.method_name} {one.route}" if one.route else one.method_name
                    about = {"http.request.method": one.method_name, "http.route": one.route, "ostiary.request_id": request_id}
                    doing.attributes |= {**about, "http.response.status_code": one.status}
                    doing.failed = str(one.status) if one.status >= 500 else doing.failed

    async def _answer(self, scope: Scope, receive: Receive, send: Send, one: Answered) -> None:
        started = False
        request_id: str = scope["request_id"]

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = list(message.get("headers", ()))
                one.status = message["status"]
                one.is_stream = any(name.lower() == b"content-type" and value.startswith(_STREAM) for name, value in own)
                said = {name.lower() for name, _ in own}
                extra = [*(one for one in HEADERS if one[0] not in said), (b"x-openstack-request-id", request_id.encode())]
                message = {**message, "headers": [*own, *extra]}
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            log.debug("client left before its request was read")
        except Exception:
            _report(scope, request_id)
            if started:
                raise  # Half a reply is out; only cutting the connection tells the client so.
            await self._crashed(scope["path"], request_id)(scope, receive, send_with_headers)


def _report(scope: Scope, request_id: str) -> None:
    """Log the error being handled, whole.

    As text: the renderers of structlog would add the local variables of each frame, and those may hold keys. For the same reason
    neither query nor headers are told.
    """
    log.error(
        "internal error",
        request_id=request_id,
        method=scope["method"],
        path=_SECRETS.sub(r"\1…", scope["path"]),
        traceback=traceback.format_exc(),
    )
