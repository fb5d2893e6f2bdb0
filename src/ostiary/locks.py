"""Lock files: the kernel lets go of a lock when its holder ends, however it ends. A number in a file proves nothing."""

import contextlib
import fcntl
import os
from pathlib import Path


def opened(file: Path) -> int:
    """A handle on the lock file, made if it is not there; links are not followed. The caller closes it."""
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def taken(handle: int) -> bool:
    """Take the lock, unless somebody holds it; says whether it is ours now."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def has_open(pid: int, file: Path) -> bool:
    """Whether that process has the very lock file open."""
    wanted = file.stat()
    with contextlib.suppress(OSError):  # there is no such process, or it is somebody else's
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # it closes files while we look
                if os.path.samestat(link.stat(), wanted):
                    return True
    return False
