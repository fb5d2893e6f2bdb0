"""`ostiary enroll`: on a device, get a certificate with a grant and keep it fresh. The key is made here and stays here."""

import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ostiary.cli.options import Json
from ostiary.cli.output import as_json, refusals_in_one_line
from ostiary.clock import now
from ostiary.errors import Unavailable
from ostiary.holder import units, work
from ostiary.holder.folder import Enrolment, Folder

_LONGEST_TOKEN = 4096


class _LinkFirst(TyperGroup):
    """`ostiary enroll https://…` is `ostiary enroll with https://…`: the word may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See click."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["with", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_LinkFirst,
    no_args_is_help=True,
    subcommand_metavar="LINK | COMMAND [ARGS]...",
)


@app.command("with")
@refusals_in_one_line
def with_(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    link: Annotated[str, typer.Argument(help="The link, https://HOST:PORT/enroll/TOKEN, or the part before the token.")],
    ca_sha256: Annotated[
        str, typer.Option(help="SHA-256 of the authority that vouches for the door; without it, those of this system must.")
    ] = "",
    token_file: Annotated[
        str, typer.Option(help="File with the token, or - for standard input: no argument shows it then.")
    ] = "",
    out: Annotated[Path, typer.Option(help="Folder for key and certificate.", file_okay=False)] = Path("ostiary-certificate"),
    key_type: Annotated[str, typer.Option(help="EC-P256, EC-P384, ED25519, RSA-3072 or RSA-4096.")] = "EC-P256",
    owner_user: Annotated[str, typer.Option(help="The user who is to read the files; only root may give it.")] = "",
    hook: Annotated[str, typer.Option(help="Command to run after each renewal, such as 'systemctl reload nginx'.")] = "",
    systemd: Annotated[bool, typer.Option("--systemd", help="Install a timer that renews it.")] = False,
    name: Annotated[str, typer.Option(help="Name of that timer; default is the folder's.")] = "",
    json: Json = False,
) -> None:
    """Get a certificate with a grant.

    Example: `ostiary enroll with https://door.example:9443/enroll/oe_… --ca-sha256 3f5c… --systemd`; the word may be left out.
    """
    folder = Folder(out.absolute())
    unit = units.unit_name(name or folder.path.name) if systemd else ""
    wanted = Enrolment(door="", key_type=key_type, owner_user=owner_user, hook=hook)
    made = work.enroll(link, _token(token_file), ca_sha256, folder, wanted, now())
    until = made.not_valid_after_utc
    if unit:
        _install(unit, folder, made.not_valid_after_utc - made.not_valid_before_utc)
    if json:
        as_json({"folder": str(folder.path), "not_after": until.isoformat(), "timer": f"{unit}.timer" if unit else None})
        return
    print(f"Wrote key.pem, cert.pem, chain.pem, fullchain.pem and ca.pem to {folder.path}; good until {_said(until)}.")
    if not unit:
        print(f"Renew with: ostiary enroll renew {folder.path} --if-due (often: it does something only when it is due)")


@app.command()
@refusals_in_one_line
def renew(
    folder: Annotated[Path, typer.Argument(help="The folder that `ostiary enroll` made.", file_okay=False)],
    if_due: Annotated[bool, typer.Option("--if-due", help="Only after two thirds of its life; for a timer.")] = False,
    json: Json = False,
) -> None:
    """Renew a certificate, authenticated by the one in place, with a new key.

    Example: `ostiary enroll renew /etc/ostiary/device --if-due`
    """
    done = work.renew(Folder(folder.absolute()), now, if_due=if_due)
    if json:
        as_json({"renewed": done.renewed, "not_after": done.until.isoformat(), "next_at": done.next_at.isoformat()})
    elif done.renewed:
        print(f"Renewed; good until {_said(done.until)}.")
    else:
        print(f"Not due before {_said(done.next_at)}; good until {_said(done.until)}.")


def _said(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _token(file: str) -> str:
    """What a file, or standard input, holds. Raises `Unavailable`."""
    if not file:
        return ""
    try:
        text = sys.stdin.read(_LONGEST_TOKEN) if file == "-" else Path(file).read_text("ascii")[:_LONGEST_TOKEN]
    except (OSError, ValueError):
        raise Unavailable(f"cannot read a token from {file}.") from None
    return text.strip()


def _install(unit: str, folder: Folder, life: timedelta) -> None:
    """Put service and timer where systemd looks, for everybody or for this user, and start the timer."""
    system = os.geteuid() == 0
    where = Path("/etc/systemd/system") if system else Path.home() / ".config/systemd/user"
    program = shutil.which("ostiary") or str(Path(sys.argv[0]).absolute())
    scope = [] if system else ["--user"]
    try:
        where.mkdir(parents=True, exist_ok=True)
        (where / f"{unit}.service").write_text(units.service(folder.path, program))
        (where / f"{unit}.timer").write_text(units.timer(folder.path, life))
        for command in (["daemon-reload"], ["enable", "--now", f"{unit}.timer"]):
            subprocess.run(["systemctl", *scope, *command], check=True, capture_output=True)  # noqa: S603, S607 (systemd's own)
    except (OSError, subprocess.CalledProcessError) as error:
        why = (
            error.stderr.decode(errors="replace").strip() if isinstance(error, subprocess.CalledProcessError) else error.strerror
        )
        again = " ".join(["systemctl", *scope, "enable", "--now", f"{unit}.timer"])
        raise Unavailable(
            f"the certificate is in {folder.path}, but its timer {unit}.timer could not be set up in {where}: {why}. "
            f"Then: {again}"
        ) from None
