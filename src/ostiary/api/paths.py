"""The other spellings of a path that real clients use, brought to the one we serve."""

import re
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

# In order; the first that matches is taken. Seen on the wire: openstacksdk follows the version document to /v2; octaviaclient and
# gophercloud use /v2.0, and octaviaclient given /v2 calls /v2/v2.0; barbicanclient without Keystone calls /secrets, given
# /v1 it calls /v1/v1/secrets, and openstacksdk calls /v2/secrets.
_SPELLINGS: Final = (
    (re.compile(r"^(?:/v2)?/v2\.0(?=/lbaas(?:/|$))"), "/v2"),
    (re.compile(r"^(?:/v1/v1|/v2(?:\.0)?)?(?=/(?:secrets|containers)(?:/|$))"), "/v1"),
    (re.compile(r"^/v2\.0$"), "/v2"),
)


def canonical(path: str) -> str:
    """The path as the routes know it: without a trailing slash, under /v2/lbaas or /v1."""
    path = path.rstrip("/") or "/"
    for spelling, ours in _SPELLINGS:
        changed, found = spelling.subn(ours, path, count=1)
        if found:
            return changed
    return path


class Paths:
    """Routes see the canonical path; `asked_path` keeps what the client wrote, for links back to it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "asked_path": scope["path"], "path": canonical(scope["path"])}
        await self._app(scope, receive, send)
