"""Requests that come by the door to enrolment: over the API's Unix socket, from our own gateway, which says who knocks.

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

KNOCK: Final = "ostiary.knock"  # in the scope of such requests, and of no other

_BYTE_SEQUENCE: Final = re.compile(r":([A-Za-z0-9+/]+={0,2}):")


@dataclass(frozen=True)
class Knock:
    """Who is at the door: their address, and their verified certificate (DER), if they showed one."""

    source: str
    certificate: bytes | None = field(default=None, repr=False)


class AtTheDoor:
    """ASGI: marks every request as one from the door."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            knock = Knock(source=headers.get("x-real-ip", ""), certificate=_certificate(headers.getlist("client-cert")))
            # The gateway speaks plain HTTP here; who knocks speaks TLS, and links lead back to them.
            scope = {**scope, KNOCK: knock, "scheme": "https"}
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
