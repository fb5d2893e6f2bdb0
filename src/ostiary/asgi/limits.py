"""How much of one request is read, and what no request may contain. Checked before anything is parsed."""

from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from ostiary.errors import Invalid, TooLarge


def too_large(most: int) -> TooLarge:
    """The refusal of a body over the limit."""
    return TooLarge("body", f"larger than {most} bytes, the most that is read here")


def no_control_characters(scope: Scope) -> None:
    """Raises `Invalid` for one in path or query. No name or id holds one, and PostgreSQL cannot even be asked about NUL."""
    if _has_control(scope["path"].encode()):
        raise Invalid("path", "control characters are not allowed")
    if _has_control(unquote_to_bytes(scope["query_string"])):
        raise Invalid("query", "control characters are not allowed")


def _has_control(text: bytes) -> bool:
    return any(byte < 0x20 or byte == 0x7F for byte in text)


def fits(headers: Headers, most: int) -> None:
    """Raises `Invalid` where the request says itself that its body is larger than that, or says nothing sensible."""
    length = headers.get("content-length")
    if length is None:
        return
    if not (length.isascii() and length.isdigit()):
        raise Invalid("Content-Length", "is not a number")
    # A number too long to convert is too large as well.
    if len(length) > 18 or int(length) > most:
        raise too_large(most)


def counted(receive: Receive, most: int) -> Receive:
    """`receive` that raises `TooLarge` before a byte over the limit is handed on: a chunked body has no length to check."""
    seen = 0

    async def receive_some() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > most:
                raise too_large(most)
        return message

    return receive_some
