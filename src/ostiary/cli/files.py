"""Files that commands read and write. What goes wrong with one is said in one line; a private key is never written over."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ostiary.cli.client import Failed
from ostiary.files import write_private

_LARGEST: Final = 1024 * 1024
_LARGEST_LIST: Final = 8 * 1024 * 1024


def read_pem(file: Path, what: str) -> str:
    """The text of a PEM file. `what` is the openssl command for such things, to say how to convert it. Raises `Failed`."""
    try:
        return _content(file).decode("ascii")
    except UnicodeDecodeError:
        raise Failed(f"{file} is not PEM; convert it with: openssl {what} -inform DER -in {file}") from None


def read_list(file: Path) -> bytes:
    """A revocation list, PEM or DER. Raises `Failed`."""
    return _content(file, _LARGEST_LIST)


def is_pkcs12(file: Path) -> bool:
    """Whether it begins as one does: a SEQUENCE, of whatever length, and in it the version, 3 (RFC 7292 4). Raises `Failed`."""
    start = _content(file)[:9]
    return start[:1] == b"\x30" and b"\x02\x01\x03" in start[2:]


def read_base64(file: Path) -> str:
    """The bytes of a file in base64. Raises `Failed`."""
    return base64.b64encode(_content(file)).decode("ascii")


def _content(file: Path, largest: int = _LARGEST) -> bytes:
    try:
        with file.open("rb") as handle:
            content = handle.read(largest + 1)
    except OSError as error:
        raise Failed(f"cannot read {file}: {error.strerror}") from None
    if len(content) > largest:
        raise Failed(f"{file} is larger than {largest} bytes, which no such file is")
    return content


def write_public(file: Path, text: str) -> None:
    """Write what everybody may see, over what is there unless that is a private key. Raises `Failed`."""
    write_public_bytes(file, text.encode())


def write_public_bytes(file: Path, content: bytes) -> None:
    """The same for what is not text. Raises `Failed`."""
    try:
        if file.is_file() and b"PRIVATE KEY-----" in file.read_bytes():
            raise Failed(f"{file} holds a private key, which is not overwritten; choose another file")
        file.write_bytes(content)
    except OSError as error:
        raise Failed(f"cannot write {file}: {error.strerror}") from None


def write_key(file: Path, content: bytes) -> None:
    """Write a private key that only its owner may read, to a file that does not exist yet. Raises `Failed`."""
    try:
        write_private(file, content)
    except FileExistsError:
        raise Failed(f"{file} exists; a key is not overwritten. Choose another file or delete it first.") from None
    except OSError as error:
        raise Failed(f"cannot write {file}: {error.strerror}") from None


@contextmanager
def reserved(*files: Path) -> Iterator[None]:
    """Make files that only their owner may read, empty, before what is to go into them exists; gone again if it comes to nothing.

    What is handed out only once must not be lost because there is nowhere to put it. Raises `Failed`.
    """
    made: list[Path] = []
    try:
        for file in files:
            write_key(file, b"")
            made.append(file)
        yield
    except BaseException:
        for file in made:
            file.unlink(missing_ok=True)
        raise


def fill(file: Path, content: bytes) -> None:
    """Write into a file that was reserved. Raises `Failed`."""
    try:
        file.write_bytes(content)
    except OSError as error:
        raise Failed(f"cannot write {file}: {error.strerror}") from None
