"""What becomes of each request: one line in the log, and its place among the numbers.

A line holds the route's template, never the path, which may be a secret; and neither query nor headers nor body.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

import structlog

log = structlog.get_logger(source="http")

# Of strangers, so many that failed are written down one by one within a minute: whoever can reach us could fill the disk.
MOST_OF_STRANGERS: Final = 60
_WITHIN: Final = 60.0
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
KEY: Final = "ostiary.answered"  # in the scope


@dataclass
class Answered:
    """A request on its way: what is found out about it inside is written here. `is_change` is None where no route says so."""

    method: str
    route: str = ""
    is_change: bool | None = None
    is_stranger: bool = True
    status: int = 0
    is_stream: bool = False

    @property
    def method_name(self) -> str:
        """The method, if it is one that anybody uses: a client may write anything."""
        return self.method if self.method in _METHODS else "other"

    @property
    def is_read(self) -> bool:
        """Whether it changed nothing."""
        return self.method in _READING if self.is_change is None else not self.is_change


# Method, route, class of status, and seconds; None for a stream, which lasts as long as somebody listens.
Told = Callable[[str, str, str, float | None], None]


class Strangers:
    """How many lines strangers have had within the last minute. Safe from any thread."""

    def __init__(self, most: int = MOST_OF_STRANGERS, clock: Callable[[], float] = monotonic) -> None:
        self._most, self._clock = most, clock
        self._lock = threading.Lock()
        self._since, self._count = 0.0, 0

    def may(self) -> bool:
        """Whether one more is written. The first of the next minute says how many were not."""
        with self._lock:
            left_out = 0
            if self._clock() - self._since >= _WITHIN:
                left_out = max(0, self._count - self._most)
                self._since, self._count = self._clock(), 0
            self._count += 1
            fits = self._count <= self._most
        if left_out:
            log.warning("requests of strangers failed that are not written down one by one", count=left_out)
        return fits


def tell(one: Answered, seconds: float, source: str, strangers: Strangers, told: Told) -> None:
    """Say what became of it: changes and failures to everybody, reading to who debugs."""
    kind = f"{one.status // 100}xx" if one.status else "none"
    told(one.method_name, one.route or "none", kind, None if one.is_stream else seconds)
    about = {
        "method": one.method_name,
        "route": one.route or None,
        "status": one.status,
        "seconds": round(seconds, 4),
        "from": source,
    }
    if one.status >= 500:
        log.warning("request", **about)
    elif one.status >= 400:
        if not one.is_stranger or strangers.may():
            log.info("request", **about)
    elif one.is_read:
        log.debug("request", **about)
    else:
        log.info("request", **about)
