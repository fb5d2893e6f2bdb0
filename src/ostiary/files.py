"""Private files: only their owner may read them, and a crash leaves no half of one."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_private(file: Path, content: bytes) -> None:
    """Make a file that only its owner may read: whole or not at all, and never over another (`FileExistsError`)."""
    with _draft(file, content) as draft:
        os.link(draft, file)  # unlike a rename, this refuses to replace
    _keep_name(file.parent)


def replace_private(file: Path, content: bytes) -> None:
    """Put a private file in the place of another, or of none: whoever looks finds the one or the other, whole."""
    with _draft(file, content) as draft:
        draft.replace(file)
    _keep_name(file.parent)


@contextmanager
def writing_private(file: Path, *, over: bool = False) -> Iterator[BinaryIO]:
    """Write a private file bit by bit: when the block ends it is there, whole; when it raises, nothing is.

    `over`: in the place of another, if there is one; else that raises `FileExistsError`.
    """
    with _drafted(file) as (draft, handle):
        yield handle
        _keep_content(handle)
        if over:
            draft.replace(file)
        else:
            os.link(draft, file)
    _keep_name(file.parent)


@contextmanager
def _draft(file: Path, content: bytes) -> Iterator[Path]:
    """The content on disk under a passing name, which is gone afterwards."""
    with _drafted(file) as (draft, handle):
        handle.write(content)
        _keep_content(handle)
        yield draft


@contextmanager
def _drafted(file: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new private file under a passing name, which is gone afterwards."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            yield draft, handle
    finally:
        draft.unlink(missing_ok=True)


def _keep_content(handle: BinaryIO) -> None:
    handle.flush()
    os.fsync(handle.fileno())


def _keep_name(folder: Path) -> None:
    """Until the folder itself is on disk, a crash may lose the new name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
