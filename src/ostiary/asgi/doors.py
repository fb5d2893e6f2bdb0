"""Requests that come by a door of our own: over a Unix socket, from our own gateway, which says who knocks.

Only here is a certificate believed that arrives in a header: the gateway wrote it, from a handshake in which it was verified,
and took away whatever the client had written under that name. Anywhere else the header means nothing.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

# In the scope of requests that came by that door, and of no other.
KNOCK: Final = "ostiary.knock"  # enrolment: a `Knock`
CONSOLE_KNOCK: Final = "ostiary.console_door"  # the console: a `ConsoleKnock`

_BYTE_SEQUENCE: Final = re.compile(r":([A-Za-z0-9+/]+={0,2}):")


@dataclass(frozen=True)
class Knock:
    """Who is at the door to enrolment: their address, and their verified certificate (DER), if they showed one."""

    source: str
    certificate: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ConsoleKnock(Knock):
    """Who is at the console's door."""


_KNOCKS: Final[dict[str, type[Knock]]] = {KNOCK: Knock, CONSOLE_KNOCK: ConsoleKnock}


class AtTheDoor:
    """ASGI: marks every request as one from this door, and its sender as who they are."""

    def __init__(self, app: ASGIApp, door: str = KNOCK) -> None:
        self._app = app
        self._door, self._knock = door, _KNOCKS[door]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"}:
            headers = Headers(scope=scope)
            source = headers.get("x-real-ip", "")
            knock = self._knock(source, _certificate(headers.getlist("client-cert")))
            # The gateway speaks plain HTTP here; who knocks speaks TLS, and links lead back to them.
            scheme = "https" if scope["type"] == "http" else "wss"
            scope = {**scope, self._door: knock, "scheme": scheme, "client": (source, 0) if source else None}
        await self._app(scope, receive, send)


def _certificate(values: list[str]) -> bytes | None:
    """What the one header holds (RFC 9440 2.2: a byte sequence of RFC 8941); None for none, two, or anything else."""
    found = _BYTE_SEQUENCE.fullmatch(values[0]) if len(values) == 1 else None
    if found is None:
        return None
    try:
        return base64.b64decode(found[1], validate=True)
    except binascii.Error:
        return None
