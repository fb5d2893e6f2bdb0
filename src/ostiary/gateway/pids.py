"""Processes that outlive whoever started them: found again by number and start time, and held by a handle (pidfd)."""

import asyncio
import contextlib
import json
import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process, ours or adopted. `handle` (pidfd_open(2)) means this one even after its number is used again."""

    pid: int
    handle: int

    def send(self, number: signal.Signals) -> None:
        """Signal it; nothing if it is gone."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, number)

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        # A pidfd becomes readable when its process ends.
        poll = select.poll()
        poll.register(self.handle, select.POLLIN)
        return not poll.poll(0)

    async def ended(self) -> None:
        """Wait until it has."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.add_reader(self.handle, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(self.handle)

    def wait(self, seconds: float) -> bool:
        """Wait for its end without an event loop; says whether it came."""
        poll = select.poll()
        poll.register(self.handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def close(self) -> None:
        """Let go of the handle."""
        os.close(self.handle)


def write(file: Path, pid: int) -> None:
    """Note which process it is."""
    fresh = file.with_name(file.name + ".new")
    fresh.write_text(json.dumps({"pid": pid, "started": _started(pid)}))
    fresh.replace(file)


def read(file: Path) -> Process | None:
    """The process noted, if it still is that one; the caller closes it."""
    try:
        noted = json.loads(file.read_text())
        pid, started = int(noted["pid"]), int(noted["started"])
        handle = os.pidfd_open(pid)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    process = Process(pid, handle)
    # Read after the handle was taken: if it matches, the handle is of the process that was noted.
    if _started(pid) == started and process.is_alive:
        return process
    process.close()
    return None


def of(pid: int) -> Process:
    """A child that has not been waited for; the caller closes it."""
    return Process(pid, os.pidfd_open(pid))


def _started(pid: int) -> int:
    """When it started, in clock ticks since boot: field 22 of /proc/PID/stat (proc(5)). 0 if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])
