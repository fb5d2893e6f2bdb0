"""`ostiary restore`: fill an empty place from a backup."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ostiary.cli.backup import about, kek_passphrase, progress, tell_elsewhere
from ostiary.cli.client import Failed
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_json, refusals_in_one_line
from ostiary.cli.passphrases import PassphraseFile, passphrase
from ostiary.settings import Settings, default_data_dir

if TYPE_CHECKING:
    from ostiary.restoring import Done

_LIST_MAX = 128 * 1024 * 1024


@refusals_in_one_line
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `ostiary backup` wrote.", exists=True, dir_okay=False)],
    newer_crl: Annotated[
        list[Path] | None,
        typer.Option(help="A revocation list of ours that is newer than the backup; may be given again.", exists=True),
    ] = None,
    end_tokens: Annotated[
        bool, typer.Option("--end-tokens", help="End all access tokens too; sessions, links and grants end always.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    data_dir: DataDir = None,
    database: Annotated[
        str, typer.Option(envvar="OSTIARY_DATABASE", help="Database URL; default is SQLite in the data directory.")
    ] = "",
    json: Json = False,
) -> None:
    """Fill an empty data directory and an empty database from a backup. All of it is restored, or nothing.

    What was done since the backup is forgotten, with one exception: certificates that were revoked since stay revoked as far as
    a list proves it, be it one that the gateway in this data directory holds, or one given with --newer-crl. Then `ostiary up`.

    Example: `ostiary restore ostiary-monday.backup --data-dir /var/lib/ostiary --newer-crl newest.crl`
    """
    from ostiary import restoring  # noqa: PLC0415 (slow to load, and only here)
    from ostiary.hardening import keep_memory_off_disk  # noqa: PLC0415 (likewise)

    keep_memory_off_disk()
    settings = Settings(data_dir or default_data_dir(), database)
    newer = [der for given in newer_crl or () for der in _ders(given)]
    secret = passphrase(passphrase_file, str(file))
    with progress(file) as progressed:
        given = restoring.Given(file, secret.encode(), newer, end_tokens, kek_passphrase(settings), progressed)
        done = restoring.restore(settings, given)
    if json:
        as_json({"restored": True} if done is None else _told(done))
    elif done is None:
        print(f"The restore into {settings.data_dir} had come to its end before it was cut short. Now: ostiary up")
    else:
        _tell(done, settings)


def _told(done: "Done") -> dict[str, Any]:
    return {"restored": True, "backup": about(done), "outcome": done.outcome.model_dump(mode="json")}


def _tell(done: "Done", settings: Settings) -> None:
    outcome, manifest = done.outcome, done.manifest
    print(f"Restored {done.rows:,} rows as of {manifest.made_at:%Y-%m-%d %H:%M} UTC.")
    print(f"The record is whole: {outcome.entries:,} entries, head {outcome.audit_hash}")
    ended = f"{outcome.sessions_ended} sessions, {outcome.grants_ended} grants, {outcome.tokens_ended} access tokens"
    print(f"Ended: {ended}, {outcome.approvals_ended} approvals and emergencies.")
    if outcome.tokens_kept:
        print(f"These access tokens open the API still (--end-tokens ends them): {', '.join(outcome.tokens_kept)}")
    for one in outcome.recalled:
        unknown = f", {one.unknown} of certificates that the backup does not know" if one.unknown else ""
        print(f"Revoked since the backup, by list {one.number} of {one.authority}: {one.revoked}{unknown}")
    tell_elsewhere(done)
    started = {name: value for name, value in manifest.setup.items() if value not in ("", False) and name != "version"}
    print(f"\nIt was started with: {', '.join(f'{name}={value}' for name, value in started.items())}")
    print(f"A new admin token is made when it is started: ostiary up --data-dir {settings.data_dir}")


def _ders(file: Path) -> tuple[bytes, ...]:
    from ostiary.pki import pem  # noqa: PLC0415 (slow to load, and only here)

    try:
        with file.open("rb") as handle:
            content = handle.read(_LIST_MAX + 1)
    except OSError as error:
        raise Failed(f"cannot read {file}: {error.strerror}") from None
    if content.startswith(b"\x30"):
        return (content,)
    return pem.ders(content, ("X509 CRL",), "revocation list", "--newer-crl", limit=_LIST_MAX)
