"""One keeper for one data directory: a lock held for life, and who holds it."""

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ostiary import locks
from ostiary.errors import Conflict
from ostiary.gateway import pids
from ostiary.gateway.pids import Process
from ostiary.paths import Paths

_ATTEMPTS: Final = 10
_BETWEEN_ATTEMPTS: Final = 0.02


@contextmanager
def held(paths: Paths) -> Iterator[None]:
    """Hold the keeper's lock; the kernel lets go of it when the process ends, however it ends. Raises `Conflict` if taken."""
    handle = locks.opened(paths.keeper_lock)
    try:
        if not _try_long(handle):
            raise Conflict(f"a gateway already runs on {paths.data_dir}{_who(paths)}")
        pids.write(paths.keeper_pid, os.getpid())
        yield
        with contextlib.suppress(FileNotFoundError):
            paths.keeper_pid.unlink()
    finally:
        os.close(handle)


def is_held(paths: Paths) -> bool:
    """Whether a keeper lives."""
    if not paths.keeper_lock.exists():
        return False
    handle = locks.opened(paths.keeper_lock)
    try:
        return not locks.taken(handle)
    finally:
        os.close(handle)


def holder(paths: Paths) -> Process | None:
    """The keeper, as a handle that cannot come to mean another process. None if there is none, or not yet a pid file.

    The caller closes it.
    """
    if not is_held(paths) or (process := pids.read(paths.keeper_pid)) is None:
        return None
    # A pid file proves nothing: the process must have the very lock file open.
    if locks.has_open(process.pid, paths.keeper_lock):
        return process
    process.close()
    return None


def _try_long(handle: int) -> bool:
    # Whoever asks whether a keeper lives holds the lock for an instant; that must not keep one from starting.
    for _ in range(_ATTEMPTS):
        if locks.taken(handle):
            return True
        time.sleep(_BETWEEN_ATTEMPTS)
    return locks.taken(handle)


def _who(paths: Paths) -> str:
    process = pids.read(paths.keeper_pid)
    if process is None:
        return ""
    process.close()
    return f" (process {process.pid})"
