"""Who holds a data directory: only one ostiary may, and only that one is stopped. Loads little: `ostiary down` needs no more."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ostiary import locks
from ostiary.errors import Conflict, Unavailable
from ostiary.paths import Paths

LOCK: Final = "ostiary.lock"
POLL_SECONDS: Final = 0.05


@contextmanager
def held(data_dir: Path) -> Iterator[None]:
    """Hold the data directory. The kernel lets go of the lock when the process ends, however it ends. Raises `Conflict`."""
    Paths(data_dir).prepare()
    handle = locks.opened(data_dir / LOCK)
    try:
        if not locks.taken(handle):
            raise Conflict(
                f"another ostiary (process {_holder(handle)}) runs on {data_dir}; stop it first or choose another --data-dir."
            )
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def holds(data_dir: Path) -> bool:
    """Whether it is still this process that holds the data directory: somebody may have removed or replaced it."""
    return (data_dir / LOCK).exists() and locks.has_open(os.getpid(), data_dir / LOCK)


def stop_holder(data_dir: Path, timeout: float) -> bool:
    """Have the ostiary that runs on this data directory stop, and wait for it; says whether there was one.

    Raises `Unavailable` if it takes longer than `timeout` seconds.
    """
    if not (data_dir / LOCK).exists():
        return False
    handle = locks.opened(data_dir / LOCK)
    try:
        if locks.taken(handle):
            return False
        holder = _holder(handle)
        # One that has just started has not yet written its number over that of the one before.
        if not holder.isdigit() or not locks.has_open(int(holder), data_dir / LOCK):
            raise Unavailable(f"an ostiary is just starting on {data_dir}; try again.")
        os.kill(int(holder), signal.SIGTERM)
        deadline = time.monotonic() + timeout
        while not locks.taken(handle):
            if time.monotonic() > deadline:
                raise Unavailable(f"ostiary (process {holder}) is still stopping after {timeout:g} s.")
            time.sleep(POLL_SECONDS)
        return True
    finally:
        os.close(handle)


def _holder(handle: int) -> str:
    return os.pread(handle, 32, 0).decode("ascii", "replace").strip()
