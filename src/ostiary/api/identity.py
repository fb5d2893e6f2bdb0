"""Who is calling. No token, no answer but 401: before the body is read, and also for paths that do not exist."""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ostiary import logs
from ostiary.api.problems import refusal
from ostiary.asgi.answered import KEY
from ostiary.asgi.doors import KNOCK, Knock
from ostiary.errors import NotFound, Unauthenticated
from ostiary.ops.caller import Caller

TokenCheck = Callable[[bytes], bool]
# Who holds an access token, given it, the address it came from and the id of the request; None when it is none that is good.
Holders = Callable[[bytes, str, str], Caller | None]

# What answers without a token. `declared.public` marks the same routes, and a test holds the two together.
PUBLIC: Final = re.compile(
    r"/|/v1|/v2|/healthz|/readyz|/pki/[^/]+|/enroll/[^/]+|/install(?:/[^/]+)?|/static/[^/]+|/ocsp/[^/]+/[A-Za-z0-9+/=_ %-]+"
)
# What may be sent without one: what it carries is its own proof.
PUBLIC_POST: Final = re.compile(r"/v1/enroll|/v1/enroll/renew|/ocsp/[^/]+")

# All that the door to enrolment leads to (envoy.house_doors.PATHS); no token opens anything else there.
AT_THE_DOOR: Final = re.compile(r"/(?:enroll|v1/enroll|pki|ocsp|install|static)(?:/.*)?")


def admin_token(token: str) -> TokenCheck:
    """Whether what is presented is this token. Keeps only its digest, and compares in constant time."""
    if not token:
        raise ValueError("an empty token would let everyone in")
    expected = hashlib.sha256(token.encode()).digest()
    return lambda presented: hmac.compare_digest(hashlib.sha256(presented).digest(), expected)


def is_public(method: str, path: str) -> bool:
    """Whether a request needs no token."""
    if method == "POST":
        return PUBLIC_POST.fullmatch(path) is not None
    return method in ("GET", "HEAD") and PUBLIC.fullmatch(path) is not None


class Door:
    """ASGI: lets in who shows a token; what is inside finds the caller in `scope["caller"]`.

    `refused` is called with the address of whoever shows one that is none, or no longer one.
    """

    def __init__(
        self,
        app: ASGIApp,
        check: TokenCheck,
        holders: Holders = lambda *_: None,
        refused: Callable[[str], None] = lambda _source: None,
    ) -> None:
        self._app = app
        self._check = check
        self._holders = holders
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        knock: Knock | None = scope.get(KNOCK)
        if knock is not None and not AT_THE_DOOR.fullmatch(scope["path"]):
            await refusal(scope["path"], NotFound("Path", scope["path"]))(scope, receive, send)
            return
        # Whoever comes by the door is a stranger, whatever token they show: administration is done elsewhere.
        known = None if knock is not None else await self._known(scope)
        if known is None and not is_public(scope["method"], scope["path"]):
            await refusal(scope["path"], Unauthenticated("A valid token is required."))(scope, receive, send)
            return
        stranger = Caller(name="anonymous", role="public", source=_source(scope), request_id=scope["request_id"])
        if known is not None:
            scope[KEY].is_stranger = False
        logs.also(actor=(known or stranger).name, role=(known or stranger).role)
        await self._app({**scope, "caller": known or stranger}, receive, send)

    async def _known(self, scope: Scope) -> Caller | None:
        token = presented_token(Headers(scope=scope))
        if token is None:
            return None
        if self._check(token):
            by = {"source": _source(scope), "request_id": scope["request_id"], "credential": "admin-token"}
            return Caller(name="admin", role="admin", **by)
        found = await asyncio.to_thread(self._holders, token, _source(scope), scope["request_id"])
        if found is None:
            self._refused(_source(scope))
        return found


def _source(scope: Scope) -> str:
    """The address it came from; at a door, as our gateway tells it."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def presented_token(headers: Headers) -> bytes | None:
    """The one token a request presents; None when there is none, when two differ, or when it uses a scheme we do not know."""
    tokens = {value.encode("latin-1") for value in headers.getlist("x-auth-token")}
    for value in headers.getlist("authorization"):
        scheme, _, credentials = value.partition(" ")
        if scheme.lower() != "bearer":
            return None
        tokens.add(credentials.strip().encode("latin-1"))
    return tokens.pop() if len(tokens) == 1 else None
