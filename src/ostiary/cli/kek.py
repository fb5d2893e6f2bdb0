"""`ostiary kek`: the key-encryption key, which opens every other key at rest. On the files themselves, while nothing runs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli.options import DataDir
from ostiary.cli.output import refusals_in_one_line
from ostiary.cli.passphrases import passphrase
from ostiary.errors import Unavailable
from ostiary.hardening import keep_memory_off_disk
from ostiary.settings import Settings, default_data_dir

if TYPE_CHECKING:
    from ostiary.store.store import Store

app = typer.Typer(no_args_is_help=True)

Database = Annotated[str, typer.Option(envvar="OSTIARY_DATABASE", help="Database URL; default is SQLite in the data directory.")]


@app.command()
@refusals_in_one_line
def protect(
    new_passphrase_file: Annotated[
        Path | None, typer.Option(help="File with the new passphrase; default is to ask for it.", dir_okay=False)
    ] = None,
    data_dir: DataDir = None,
    database: Database = "",
) -> None:
    """Protect the key-encryption key by a passphrase, or change the passphrase.

    From then on `ostiary up` asks for it, or reads it from the file that OSTIARY_PASSPHRASE_FILE names.

    Example: `ostiary kek protect --data-dir /var/lib/ostiary`
    """
    from ostiary import home  # noqa: PLC0415 (slow to load, and only here)
    from ostiary.ops.caller import SYSTEM  # noqa: PLC0415 (likewise)

    settings = Settings(data_dir or default_data_dir(), database)
    with _offline(settings) as (store, old):
        new = passphrase(new_passphrase_file, str(settings.kek_file), new=True)
        home.protect(settings, store, SYSTEM, old, new.encode())
    print(f"{settings.kek_file} is protected. Without the passphrase nothing in the database can be opened: keep it safe.")


@app.command()
@refusals_in_one_line
def unprotect(data_dir: DataDir = None, database: Database = "") -> None:
    """Take the passphrase off: from then on, whoever can read the file has the key.

    Example: `ostiary kek unprotect --data-dir /var/lib/ostiary`
    """
    from ostiary import home  # noqa: PLC0415 (slow to load, and only here)
    from ostiary.ops.caller import SYSTEM  # noqa: PLC0415 (likewise)

    settings = Settings(data_dir or default_data_dir(), database)
    with _offline(settings) as (store, old):
        home.unprotect(settings, store, SYSTEM, old)
    print(f"{settings.kek_file} is no longer protected by a passphrase.")


@app.command()
@refusals_in_one_line
def rotate(data_dir: DataDir = None, database: Database = "") -> None:
    """Make a new key-encryption key and encrypt everything anew with it. Backups made before need the old one.

    Example: `ostiary kek rotate --data-dir /var/lib/ostiary`
    """
    from ostiary import home  # noqa: PLC0415 (slow to load, and only here)
    from ostiary.ops.caller import SYSTEM  # noqa: PLC0415 (likewise)

    settings = Settings(data_dir or default_data_dir(), database)
    with _offline(settings) as (store, secret):
        count = home.rotate(settings, store, SYSTEM, secret)
    print(f"Re-encrypted {count} things. Back {settings.kek_file} up together with the database; the old one opens neither.")


@contextmanager
def _offline(settings: Settings) -> Iterator[tuple["Store", bytes | None]]:
    """The store, and the passphrase if there is one, while no ostiary runs here. Raises `Conflict` if one does."""
    from ostiary import holding, home  # noqa: PLC0415 (slow to load, and only here)

    keep_memory_off_disk()
    if not settings.data_dir.is_dir():
        raise Unavailable(f"there is no data directory {settings.data_dir}; choose another --data-dir")
    with holding.held(settings.data_dir):
        secret = home.passphrase(settings, getpass if sys.stdin.isatty() else None)
        store = home.open_store(settings)
        try:
            yield store, secret
        finally:
            store.close()
