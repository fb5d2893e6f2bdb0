"""How much of one request is read, and what no request may contain. Checked before anything is parsed."""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ostiary.api.accept import admits
from ostiary.api.problems import is_key_manager, is_load_balancing, refusal
from ostiary.errors import Invalid, Refusal, TooLarge
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


def too_large(most: int) -> TooLarge:
    """The refusal of a body over the limit."""
    return TooLarge("body", f"larger than {most} bytes, the most that is read here")


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
            _no_control_characters(scope)
            _fits(headers, body_max(path))
        except Refusal as error:
            await refusal(path, error)(scope, receive, send)
            return
        await self._app(scope, _counted(receive, body_max(path)), send)


def _not_acceptable(scope: Scope) -> ASGIApp:
    """Octavia's own form for this one error (octavia/api/root_controller.py)."""
    detail = "Only application/json is spoken here."
    error = {"status": 406, "title": "Not Acceptable", "detail": detail, "request_id": scope["request_id"]}
    return JSONResponse({"errors": [error]}, 406)


def _no_control_characters(scope: Scope) -> None:
    """No name or id holds one, and PostgreSQL cannot even be asked about NUL."""
    if _has_control(scope["path"].encode()):
        raise Invalid("path", "control characters are not allowed")
    if _has_control(unquote_to_bytes(scope["query_string"])):
        raise Invalid("query", "control characters are not allowed")


def _has_control(text: bytes) -> bool:
    return any(byte < 0x20 or byte == 0x7F for byte in text)


def _fits(headers: Headers, most: int) -> None:
    length = headers.get("content-length")
    if length is None:
        return
    if not (length.isascii() and length.isdigit()):
        raise Invalid("Content-Length", "is not a number")
    # A number too long to convert is too large as well.
    if len(length) > 18 or int(length) > most:
        raise too_large(most)


def _counted(receive: Receive, most: int) -> Receive:
    """`receive` that raises `TooLarge` before a byte over the limit is handed on: a chunked body has no length to check."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > most:
                raise too_large(most)
        return message

    return counted
