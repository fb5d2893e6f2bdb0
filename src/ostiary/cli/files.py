"""Files that commands read and write. What goes wrong with one is said in one line; a private key is never written over."""

from pathlib import Path
from typing import Final

from ostiary.cli.client import Failed
from ostiary.files import write_private

_LARGEST: Final = 1024 * 1024


def read_pem(file: Path, what: str) -> str:
    """The text of a PEM file. `what` is the openssl command for such things, to say how to convert it. Raises `Failed`."""
    try:
        with file.open("rb") as handle:
            content = handle.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise Failed(f"{file} is larger than {_LARGEST} bytes, which no such file is")
        return content.decode("ascii")
    except UnicodeDecodeError:
        raise Failed(f"{file} is not PEM; convert it with: openssl {what} -inform DER -in {file}") from None
    except OSError as error:
        raise Failed(f"cannot read {file}: {error.strerror}") from None


def write_public(file: Path, text: str) -> None:
    """Write what everybody may see, over what is there unless that is a private key. Raises `Failed`."""
    try:
        if file.is_file() and b"PRIVATE KEY-----" in file.read_bytes():
            raise Failed(f"{file} holds a private key, which is not overwritten; choose another file")
        file.write_text(text)
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
