"""Just enough WebSocket (RFC 6455) for one text frame there and back, for both ends."""

import base64
import hashlib
import os
from collections.abc import Callable
from typing import Final

Read = Callable[[int], bytes]
"""Exactly so many bytes, fewer only at the end."""

TEXT: Final = 0x1
CLOSE: Final = 0x8
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3


def new_key() -> str:
    """A client's Sec-WebSocket-Key."""
    return base64.b64encode(os.urandom(16)).decode()


def accept(key: str) -> str:
    """The server's Sec-WebSocket-Accept for it."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()  # noqa: S324 (RFC 6455 4.2.2 says SHA-1)


def frame(payload: bytes, opcode: int = TEXT, *, masked: bool = False) -> bytes:
    """A final frame of up to 125 bytes; what a client sends is masked (RFC 6455 5.1)."""
    assert len(payload) < 126
    if not masked:
        return bytes([0x80 | opcode, len(payload)]) + payload
    mask = os.urandom(4)
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + _xor(payload, mask)


def read_frame(read: Read) -> tuple[int, bytes]:
    """The next frame's opcode and payload; the end of the stream reads as a close."""
    head = read(2)
    if len(head) < 2:
        return CLOSE, b""
    mask = read(4) if head[1] & 0x80 else bytes(4)
    return head[0] & 0x0F, _xor(read(head[1] & 0x7F), mask)


def _xor(payload: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
