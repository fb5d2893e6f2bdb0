"""Group commit: what many threads ask for at the same time shares one transaction, and so one wait for the disk."""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, Generic, TypeVar

from ostiary.errors import Unavailable

TX = TypeVar("TX")
T = TypeVar("T")

# Enough that the wait for the disk no longer counts; few enough that writers of another kind get their turn soon.
LARGEST_BATCH: Final = 100
_PAUSE: Final = 0.0005  # seconds; what a commit costs, so that waiting for one more is never dearer than another commit


class _Task(Generic[TX]):
    """One thread's work, and how it ended."""

    __slots__ = ("done", "error", "value", "work")

    def __init__(self, work: Callable[[TX], Any]) -> None:
        self.work = work
        self.value: Any = None
        self.error: BaseException | None = None
        self.done = False


class GroupCommit(Generic[TX]):
    """Whoever comes first does the work of all who came meanwhile, in one transaction made by `begin`.

    Nobody is told of success before the commit. When the work of one fails, that of the others is done again without it.
    """

    def __init__(self, begin: Callable[[], AbstractContextManager[TX]], shared: Callable[[int], None] = lambda _: None) -> None:
        self._begin = begin
        self._shared = shared  # told how many shared a transaction, once it is committed
        self._waiting: deque[_Task[TX]] = deque()  # appending and taking from a deque is atomic
        self._turn = threading.Lock()
        self._last = 1  # how many shared the last transaction

    def submit(self, work: Callable[[TX], T]) -> T:
        """What `work` returns, once it is committed; or what it raised, when nothing of it is."""
        task: _Task[TX] = _Task(work)
        self._waiting.append(task)
        while not task.done:
            with self._turn:
                if not task.done:
                    self._gather()
                    self._run([self._waiting.popleft() for _ in range(min(len(self._waiting), LARGEST_BATCH))])
        if task.error is not None:
            raise task.error
        value: T = task.value
        return value

    def _gather(self) -> None:
        """Where many come at once, wait for those on their way, for as long as any arrive: one who comes alone never waits."""
        while self._last > 1 and (seen := len(self._waiting)) < LARGEST_BATCH:
            time.sleep(_PAUSE)
            if len(self._waiting) == seen:
                break
        self._last = len(self._waiting)

    def _run(self, batch: list[_Task[TX]]) -> None:
        try:
            with self._begin() as transaction:
                for task in batch:
                    task.value = task.work(transaction)
        except BaseException as error:  # noqa: BLE001 (it is raised where the work came from)
            self._failed(batch, error)
        else:
            self._shared(len(batch))
            for task in batch:
                task.done = True

    def _failed(self, batch: list[_Task[TX]], error: BaseException) -> None:
        if len(batch) == 1 or isinstance(error, Unavailable):  # the database itself: trying one by one would not help
            for task in batch:
                task.error, task.done = error, True
            return
        for task in batch:
            self._run([task])
