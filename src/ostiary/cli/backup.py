"""`ostiary backup`: everything, encrypted, in one file; and the proof that such a file is good."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final, Protocol

import typer

from ostiary.cli.client import Failed, connect
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, refusals_in_one_line
from ostiary.cli.passphrases import PassphraseFile, passphrase
from ostiary.files import writing_private
from ostiary.settings import Settings, default_data_dir, from_environment

if TYPE_CHECKING:
    from ostiary.restoring import Done

# The group's own help is the line that stands in the list of commands.
_MORE: Final = """\
It works while ostiary runs and while it does not. The passphrase is asked for twice, or read from a file; without it the backup
is of no use to anybody: keep it where the backup is not. What is not in it: keys in a PKCS#11 token, the admin token, logs.

Example: `ostiary backup --out ostiary-monday.backup --passphrase-file /etc/ostiary/backup-passphrase`"""

app = typer.Typer(no_args_is_help=True, epilog=_MORE)

_LOCK: Final = "ostiary.lock"

Database = Annotated[str, typer.Option(envvar="OSTIARY_DATABASE", help="Database URL; default is SQLite in the data directory.")]


class _Writes(Protocol):
    def write(self, content: bytes, /) -> Any: ...


@app.callback(invoke_without_command=True)
@refusals_in_one_line
def make(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option(help="Where to; mode 0600.", dir_okay=False)] = None,
    without_kek: Annotated[
        bool, typer.Option("--without-kek", help="Leave the key-encryption key out; keep the file kek elsewhere then.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    data_dir: DataDir = None,
    database: Database = "",
    json: Json = False,
) -> None:
    """Back everything up into one encrypted file."""
    if context.invoked_subcommand is not None:
        return
    if out is None:
        raise Failed("--out is missing: say where the backup is to be written")
    if out.exists() and not force:
        raise Failed(f"{out} is there already; choose another --out, or --force")
    secret = passphrase(passphrase_file, "the backup", new=True)
    try:
        with progress(None) as progressed, writing_private(out, over=force) as file:
            _write(_Counting(file, progressed), secret, data_dir, database, with_kek=not without_kek)
    except FileExistsError:
        raise Failed(f"{out} is there already; choose another --out, or --force") from None
    except OSError as error:
        raise Failed(f"{out} cannot be written: {error.strerror}") from None
    told = {"file": str(out), "octets": out.stat().st_size, "with_kek": not without_kek}
    if json:
        as_json(told)
        return
    print(f"{out}: {told['octets']:,} bytes. Prove that it is good: ostiary backup verify {out}")
    if without_kek:
        print("The key-encryption key is not in it. Keep the file kek of the data directory elsewhere: both are needed.")


@app.command()
@refusals_in_one_line
def verify(
    file: Annotated[Path, typer.Argument(help="A file that `ostiary backup` wrote.", exists=True, dir_okay=False)],
    passphrase_file: PassphraseFile = None,
    json: Json = False,
) -> None:
    """Open all of a backup and try it out in a database that is thrown away: each piece, each row, the record's chain, the key.

    Nothing of yours is touched, and ostiary need not run. It takes as much room in the temporary folder as the database has.

    Example: `ostiary backup verify ostiary-monday.backup`
    """
    from ostiary import restoring  # noqa: PLC0415 (slow to load, and only here)
    from ostiary.hardening import keep_memory_off_disk  # noqa: PLC0415 (likewise)

    keep_memory_off_disk()
    secret = passphrase(passphrase_file, str(file))
    with progress(file) as progressed:
        done = restoring.verify(
            restoring.Given(file, secret.encode(), kek_passphrase=kek_passphrase(Settings(file.parent)), progressed=progressed)
        )
    told = about(done)
    if json:
        as_json(told)
        return
    print(f"{file} is good.")
    as_fields({name: value for name, value in told.items() if name not in {"setup", "keys_elsewhere"}})
    tell_elsewhere(done)


def about(done: "Done") -> dict[str, Any]:
    """What there is to say of a backup that was opened to its end."""
    manifest = done.manifest
    return {
        "made_at": manifest.made_at.isoformat(timespec="seconds"),
        "sha256": done.outcome.backup_sha256,
        "version": manifest.version,
        "schema": manifest.schema_version,
        "rows": done.rows,
        "revision": manifest.revision,
        "audit_entries": done.outcome.entries,
        "audit_head": manifest.audit_hash,
        "with_kek": manifest.has_kek,
        "kek_opens_it": done.opens or None,
        "keys_elsewhere": [one.model_dump() for one in manifest.keys_elsewhere],
        "setup": manifest.setup,
    }


def tell_elsewhere(done: "Done") -> None:
    """Say loudly which keys no backup holds."""
    manifest = done.manifest
    for place, words in (("token", "in a PKCS#11 token"), ("offline", "offline")):
        if names := [one.authority for one in manifest.keys_elsewhere if one.place == place]:
            print(f"\nNOT IN THIS BACKUP: the keys of {len(names)} authorities, which are {words}: {', '.join(names)}")
    if not manifest.has_kek:
        print("\nNOT IN THIS BACKUP: the key-encryption key (the file kek), without which it opens nothing.")
    elif not done.opens:
        print("\nThe key-encryption key has a passphrase of its own, which was not given: whether it fits was not tried.")


def kek_passphrase(settings: Settings) -> Callable[[], bytes | None]:
    """Ask for the passphrase of the key-encryption key, should it have one: from the file in the environment, or of a person."""

    def ask() -> bytes | None:
        from getpass import getpass  # noqa: PLC0415 (only here)

        from ostiary import home  # noqa: PLC0415 (slow to load)

        if settings.passphrase_file is not None:
            return home.passphrase_in(settings.passphrase_file)
        return getpass("Passphrase of the key-encryption key: ").encode() if sys.stdin.isatty() else None

    return ask


def _write(into: _Writes, secret: str, data_dir: Path | None, database: str, *, with_kek: bool) -> None:
    """From the ostiary that runs; where none runs on the data directory, from what is in there."""
    settings = Settings(data_dir or default_data_dir(), database)
    if from_environment("URL") or _is_running(settings.data_dir):
        body = {"backup": {"passphrase": secret, "with_kek": with_kek}}
        connect(data_dir).make("/v1/backup", body, into)  # type: ignore[arg-type]  # all that is done with it is to write
        return
    for piece in _pieces(settings, secret, with_kek=with_kek):
        into.write(piece)


def _pieces(settings: Settings, secret: str, *, with_kek: bool) -> Iterable[bytes]:
    from ostiary import holding, home  # noqa: PLC0415 (slow to load, and only here)
    from ostiary.clock import now  # noqa: PLC0415 (likewise)
    from ostiary.hardening import keep_memory_off_disk  # noqa: PLC0415 (likewise)
    from ostiary.ops import backups, setup  # noqa: PLC0415 (likewise)
    from ostiary.ops.caller import SYSTEM  # noqa: PLC0415 (likewise)

    keep_memory_off_disk()
    if not settings.data_dir.is_dir():
        raise Failed(f"there is no data directory {settings.data_dir}; choose another --data-dir")
    with holding.held(settings.data_dir):
        store = home.open_store(settings)
        try:
            kept = home.keepsakes(settings)
            shown = setup.of(settings, passphrase=backups.is_protected(kept))
            yield from backups.stream(store, SYSTEM, secret.encode(), backups.What(now(), shown, kept), with_kek=with_kek)
        finally:
            store.close()


def _is_running(data_dir: Path) -> bool:
    """Whether an ostiary holds the data directory."""
    from ostiary import locks  # noqa: PLC0415 (only here)

    if not (data_dir / _LOCK).exists():
        return False
    handle = locks.opened(data_dir / _LOCK)
    try:
        return not locks.taken(handle)
    finally:
        os.close(handle)


class _Counting:
    """A file that says how much was written to it."""

    def __init__(self, file: BinaryIO, progressed: Callable[[int], None]) -> None:
        self._file = file
        self._progressed = progressed

    def write(self, content: bytes) -> int:
        self._progressed(len(content))
        return self._file.write(content)


@contextmanager
def progress(file: Path | None) -> Iterator[Callable[[int], None]]:
    """A bar for people who watch, of the octets of a file; of those that were written, where it is not known how many will be."""
    if not sys.stderr.isatty():
        yield lambda _octets: None
        return
    from rich.console import Console  # noqa: PLC0415 (slow to load)
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn  # noqa: PLC0415 (likewise)

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=file.stat().st_size if file is not None else None)
        yield lambda octets: bar.advance(task, octets)
