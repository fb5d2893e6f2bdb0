"""The keeper seen from outside: is one there, start one, stop it. Imports nothing heavy."""

import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ostiary.errors import Unavailable
from ostiary.gateway import lock
from ostiary.paths import Paths

_TIME_TO_START: Final = 20.0
_POLL: Final = 0.02
_LARGEST_LOG: Final = 16 * 1024 * 1024
_LAST_WORDS: Final = 2000


@dataclass(frozen=True)
class Adopted:
    """A keeper was running already."""

    pid: int | None


@dataclass(frozen=True)
class Started:
    """A keeper was started."""

    pid: int


def alive(data_dir: Path) -> bool:
    """Whether a keeper runs on this data directory."""
    return lock.is_held(Paths(data_dir))


def ensure_running(data_dir: Path, drain_seconds: int = 10, workers: int = 0, memory_mib: int = 0) -> Adopted | Started:
    """See that a keeper runs. It outlives us. Raises `Unavailable` with its last words if it does not start.

    What it is told holds for what it starts: a keeper that runs already, or an Envoy that it adopts, stays as it is.
    """
    paths = Paths(data_dir)
    paths.prepare()
    if lock.is_held(paths):
        return _adopted(paths)
    child = _start(paths, drain_seconds, workers, memory_mib)
    deadline = time.monotonic() + _TIME_TO_START
    while time.monotonic() < deadline:
        if child.poll() is not None:
            if lock.is_held(paths):
                return _adopted(paths)  # somebody else was faster
            raise Unavailable(f"the gateway did not start: {_last_words(paths.keeper_log)}")
        if (process := lock.holder(paths)) is not None:
            process.close()
            return Started(process.pid)
        time.sleep(_POLL)
    child.kill()
    raise Unavailable(f"the gateway did not start within {_TIME_TO_START:g} s: {_last_words(paths.keeper_log)}")


def stop(data_dir: Path, timeout: float = 30.0) -> bool:
    """Have the keeper drain and stop its Envoy and end; says whether there was one. Raises `Unavailable` if it takes longer."""
    process = lock.holder(Paths(data_dir))
    if process is None:
        return False
    try:
        process.send(signal.SIGTERM)
        if not process.wait(timeout):
            raise Unavailable(f"the gateway (process {process.pid}) is still draining after {timeout:g} s")
    finally:
        process.close()
    return True


def _adopted(paths: Paths) -> Adopted:
    process = lock.holder(paths)
    if process is None:
        return Adopted(None)
    process.close()
    return Adopted(process.pid)


def _start(paths: Paths, drain_seconds: int, workers: int, memory_mib: int) -> subprocess.Popen[bytes]:
    if paths.keeper_log.exists() and paths.keeper_log.stat().st_size > _LARGEST_LOG:
        paths.keeper_log.replace(paths.keeper_log.with_suffix(".log.1"))
    words = [sys.executable, "-P", "-m", "ostiary.gateway"]
    words += ["--data-dir", str(paths.data_dir.resolve()), "--drain-seconds", str(drain_seconds)]
    words += ["--workers", str(workers), "--memory-mib", str(memory_mib)]
    with paths.keeper_log.open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 (our own program and words)
            words, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    # It usually outlives us; should it not, somebody has to take note of its end, or its entry in the process table stays.
    threading.Thread(target=child.wait, name="keeper's end", daemon=True).start()
    return child


def _last_words(log: Path) -> str:
    return log.read_bytes()[-_LAST_WORDS:].decode(errors="replace").strip() if log.exists() else "it said nothing"
