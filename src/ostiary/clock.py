"""The only place that asks what time it is."""

import ctypes
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

Clock = Callable[[], datetime]

_TIMEX_OCTETS: Final = 512  # more than a `struct timex` has on any machine; all zero it asks and sets nothing
_TIME_ERROR: Final = 5  # adjtimex(2): "the system clock is not synchronized to a reliable server"


def now() -> datetime:
    """The current time, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 (this is the place)


def is_synchronised() -> bool | None:
    """Whether this machine's clock follows a trusted one, as its kernel was told; None where that cannot be asked."""
    try:
        state = int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_OCTETS)))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR
