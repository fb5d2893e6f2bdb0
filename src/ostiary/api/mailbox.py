"""Answers from other threads for those who wait in an event loop: whoever comes meanwhile shares one wake-up of the loop.

To wake a loop is a system call in the thread that tells, and one in the loop: for each of hundreds a second, that adds up.
"""

import asyncio
import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """What is to be told in each loop. `put` from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[asyncio.AbstractEventLoop, deque[tuple[asyncio.Future[T], T]]] = {}

    def put(self, future: asyncio.Future[T], value: T) -> None:
        """Have this be the result of that, soon, unless who waits has gone. Raises `RuntimeError` when its loop is closed."""
        loop = future.get_loop()
        with self._lock:
            waiting = self._waiting.get(loop)
            if waiting is not None:
                waiting.append((future, value))
                return
            self._waiting[loop] = deque([(future, value)])
        try:
            loop.call_soon_threadsafe(self._deliver, loop)
        except RuntimeError:
            with self._lock:
                self._waiting.pop(loop, None)
            raise

    def _deliver(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            waiting = self._waiting.pop(loop)
        for future, value in waiting:
            if not future.done():
                future.set_result(value)
