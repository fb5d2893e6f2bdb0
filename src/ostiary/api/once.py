"""The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header): a request sent again under it is not done again."""

import hashlib
from typing import Final

from fastapi import Request

from ostiary.errors import Invalid
from ostiary.ops.idempotency import Once

HEADER: Final = "Idempotency-Key"
_LONGEST: Final = 255


def once(request: Request, raw: bytes) -> Once | None:
    """The key a request comes with, bound to where it goes and what it says; None without one. Raises `Invalid`."""
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    key = given[0].strip().strip('"')  # a structured-field string, or bare as most write it
    if len(given) != 1 or not key or len(key) > _LONGEST or not (key.isascii() and key.isprintable()):
        raise Invalid(HEADER, f"it must be one key of 1 to {_LONGEST} printable characters, such as a UUID.")
    said = b"\n".join((request.method.encode(), request.url.path.encode(), raw))
    return Once(key=key, request_sha256=hashlib.sha256(said).hexdigest())
