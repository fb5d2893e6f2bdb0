"""What a process that holds keys does first: see to it that its memory is not written to disk when it crashes."""

import contextlib
import resource
from pathlib import Path
from typing import Final

_FILTER: Final = Path("/proc/self/coredump_filter")


def keep_memory_off_disk() -> None:
    """No core dump of this process, nor of those it starts: both settings are inherited, Envoy's process too.

    Two settings, because the kernel does not ask the limit when dumps go to a program (core(5): a `core_pattern` that begins
    with `|`, as systemd and Ubuntu have it). Then the filter leaves every page of ours out. Not PR_SET_DUMPABLE, which would also
    close /proc/PID/fd to other users, where `locks.has_open` looks.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # a kernel without core dumps has no filter either
        _FILTER.write_text("0")
