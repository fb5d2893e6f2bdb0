"""Few threads that do what many ask for, some at a time: who asks leaves word where to tell them, and goes on."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

AT_A_TIME: Final = 16

# Of some things that are asked for, what became of each; None where it has to be asked for in another way.
Work = Callable[[Sequence[Any]], list[Any]]

log = structlog.get_logger("ostiary.crew")


class Crew:
    """Who waits, and the threads that see to them, once there are any. Safe from any thread."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Any, Callable[[Any], None]]] = deque()
        self._arrived = threading.Condition()
        self._threads: list[threading.Thread] = []

    def __len__(self) -> int:
        return len(self._threads)

    def start(self, count: int, work: Work) -> None:
        """So many threads from now on; those that there are stay."""
        with self._arrived:
            if self._threads:
                return
            self._threads = [threading.Thread(target=self._go_on, args=(work,), daemon=True, name="crew") for _ in range(count)]
        for each in self._threads:
            each.start()

    def ask(self, thing: Any, told: Callable[[Any], None]) -> None:
        """`told` is called from another thread with what became of it; with None, when it has to be asked for in another way."""
        with self._arrived:
            self._waiting.append((thing, told))
            self._arrived.notify()

    def _go_on(self, work: Work) -> None:
        while True:
            with self._arrived:
                while not self._waiting:
                    self._arrived.wait()
                some = [self._waiting.popleft() for _ in range(min(len(self._waiting), AT_A_TIME))]
            try:
                done = work([thing for thing, _ in some])
            except Exception:
                log.exception("what was asked for together could not be done; it is done one by one")
                done = [None] * len(some)
            for (_, told), one in zip(some, done, strict=True):
                with contextlib.suppress(RuntimeError):  # the event loop of who asked has ended: nobody waits
                    told(one)
