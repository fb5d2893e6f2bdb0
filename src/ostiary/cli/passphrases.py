"""Passphrases of commands: from a file or a terminal, never from an argument, which everybody on the machine could read."""

import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated, Final

import typer

from ostiary.cli.client import Failed

_LARGEST: Final = 1024

PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="File with the passphrase; default is to ask for it.", dir_okay=False)
]


def passphrase(file: Path | None, of: str, *, new: bool = False) -> str:
    """The passphrase in the file, without the line's end; else what is typed, twice when it is `new`. Raises `Failed`."""
    if file is not None:
        return _read(file)
    if not sys.stdin.isatty():
        raise Failed(f"there is no terminal to ask for the passphrase of {of} on; use --passphrase-file")
    first = getpass(f"{'New passphrase' if new else 'Passphrase'} of {of}: ")
    if new and getpass("Once more: ") != first:
        raise Failed("the two passphrases are not the same")
    return first


def _read(file: Path) -> str:
    try:
        with file.open("rb") as handle:
            content = handle.read(_LARGEST + 2)
        return content.rstrip(b"\r\n").decode()
    except UnicodeDecodeError:
        raise Failed(f"{file} is not text") from None
    except OSError as error:
        raise Failed(f"cannot read {file}: {error.strerror}") from None
