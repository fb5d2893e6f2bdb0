"""Programs that are measured: bound to one processor, and what they and their children used of it."""

import os
import resource
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from support.processes import Running, start


def start_on(core: int | None, *words: object, folder: Path, name: str) -> Running:
    """Start a program that may run on this processor alone, as may all that it starts; or, without one, on any."""
    bound = () if core is None else ("taskset", "--cpu-list", core)
    return start(*bound, *words, folder=folder, name=name, by_itself=True)


def most_files() -> int:
    """How many files a program may have open here, once it has asked for more."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def bind(pid: int, core: int | None) -> None:
    """Bind all threads of a running process to one processor, if there is one for it."""
    if core is None:
        return
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), {core})


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    with suppress(psutil.NoSuchProcess):
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    return []


def cpu_seconds(pids: Iterable[int]) -> float:
    """What these have used so far, in seconds: all threads that live, user and system, to the nanosecond.

    The first number of /proc/PID/task/TID/schedstat: time spent on a processor, ns (Documentation/scheduler/sched-stats.rst
    of the kernel). The work of the network stack for what a process sends over loopback is done in its name, and counted.
    """
    total = 0
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with suppress(FileNotFoundError, ProcessLookupError):
                    total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def rss(pids: Iterable[int]) -> float:
    """Resident memory, MiB; of pages that processes share each has its share (PSS)."""
    total = 0
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024
