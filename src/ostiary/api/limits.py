"""How much of one request is read, and what no request may contain. Checked before anything is parsed."""

import re
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ostiary.api.accept import admits
from ostiary.api.problems import is_key_manager, is_load_balancing, refusal
from ostiary.asgi.limits import counted, fits, no_control_characters
from ostiary.errors import Refusal
from ostiary.pki.foreign_lists import SIZE_MAX
from ostiary.pki.ocsp import REQUEST_MAX

BODY_MAX: Final = 2**20
SECRET_BODY_MAX: Final = 8 * 2**20
LISTS: Final = re.compile(r"/v1/authorities/[^/]+/crl")


def body_max(path: str) -> int:
    """Most bytes of a body read at this (canonical) path."""
    if path.startswith("/ocsp/"):
        return REQUEST_MAX
    if LISTS.fullmatch(path):
        return SIZE_MAX
    return SECRET_BODY_MAX if is_key_manager(path) else BODY_MAX


class Limits:
    """ASGI: refuses what is too large by its own word, and stops reading what turns out to be."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        headers = Headers(scope=scope)
        if is_load_balancing(path) and not admits(headers.getlist("accept"), "application/json"):
            await _not_acceptable(scope)(scope, receive, send)
            return
        try:
            no_control_characters(scope)
            fits(headers, body_max(path))
        except Refusal as error:
            await refusal(path, error)(scope, receive, send)
            return
        await self._app(scope, counted(receive, body_max(path)), send)


def _not_acceptable(scope: Scope) -> ASGIApp:
    """Octavia's own form for this one error (octavia/api/root_controller.py)."""
    detail = "Only application/json is spoken here."
    error = {"status": 406, "title": "Not Acceptable", "detail": detail, "request_id": scope["request_id"]}
    return JSONResponse({"errors": [error]}, 406)
