"""Private files: read and written so that nobody else sees them and a crash leaves no half of one."""

import os
from pathlib import Path


def write_private(file: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all, and never over another."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
