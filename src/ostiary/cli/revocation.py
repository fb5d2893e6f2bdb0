"""Revoke certificates, one or many; put one on hold and release it."""

import sys
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from ostiary.cli.client import Client, Failed, connect
from ostiary.cli.inventory import COLUMNS, PATH, Certificate, one
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_json, as_table, refusals_in_one_line

# RFC 5280 5.3.1; hold and release are commands of their own.
REASONS: Final = (
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "privilegeWithdrawn",
    "aACompromise",
)
_REVOCATIONS: Final = "/v1/revocations"

Reason = Annotated[str, typer.Option(help=f"One of {', '.join(REASONS)}.", autocompletion=lambda: list(REASONS))]


@refusals_in_one_line
def revoke(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    certificate: Annotated[str | None, typer.Argument(help="Its id, serial number or fingerprint; or use options.")] = None,
    reason: Reason = "unspecified",
    ca: Annotated[str | None, typer.Option(help="All of this authority, by name or id.")] = None,
    owner: Annotated[str | None, typer.Option(help="All of this owner.")] = None,
    group: Annotated[str | None, typer.Option(help="All in this group.")] = None,
    profile: Annotated[str | None, typer.Option(help="All of this profile.")] = None,
    issued_after: Annotated[str | None, typer.Option(help="All issued since this time, such as 2027-01-31T12:00Z.")] = None,
    issued_before: Annotated[str | None, typer.Option(help="All issued before this time.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which would be revoked.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Revoke many without asking.")] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Revoke a certificate, or all that match every option given. Many are shown and counted first.

    Examples: `ostiary cert revoke 6f1c… --reason keyCompromise`, `ostiary cert revoke --group contractors --dry-run`
    """
    client = connect(data_dir)
    matching = {
        "authority_id": ca and client.find("/v1/authorities", "authority", "authorities", ca)["id"],
        "owner": owner,
        "group": group,
        "profile": profile,
        "issued_after": issued_after,
        "issued_before": issued_before,
    }
    given = {name: value for name, value in matching.items() if value is not None}
    if (certificate is None) == (not given):
        raise Failed("say which: one certificate, or options that many match, such as --group")
    if certificate is None:
        _revoke_many(client, given, reason, dry_run=dry_run, yes=yes, json=json)
    elif dry_run:
        as_table([one(client, certificate)], COLUMNS, "")
    else:
        _tell(_revoke_one(client, certificate, reason), "is revoked", json=json)


@refusals_in_one_line
def hold(certificate: Certificate, data_dir: DataDir = None, json: Json = False) -> None:
    """Put a certificate on hold: refused until it is released.

    Example: `ostiary cert hold 6f1c…`
    """
    _tell(_revoke_one(connect(data_dir), certificate, "certificateHold"), "is on hold", json=json)


@refusals_in_one_line
def release(certificate: Certificate, data_dir: DataDir = None, json: Json = False) -> None:
    """Release a certificate from hold.

    Example: `ostiary cert release 6f1c…`
    """
    _tell(_revoke_one(connect(data_dir), certificate, "removeFromCRL"), "is released", json=json)


def _revoke_one(client: Client, certificate: str, reason: str) -> dict[str, Any]:
    found = one(client, certificate)
    made = client.call("POST", f"{PATH}/{quote(found['id'], safe='')}/revoke", {"reason": reason})
    return dict(made["certificate"])


def _tell(certificate: dict[str, Any], what: str, *, json: bool) -> None:
    if json:
        as_json(certificate)
    else:
        print(f"{certificate['subject']} {what} (serial {certificate['serial']}).")


def _revoke_many(client: Client, matching: dict[str, Any], reason: str, *, dry_run: bool, yes: bool, json: bool) -> None:
    found = client.call("POST", _REVOCATIONS, {"matching": matching})  # without a count to expect: a preview
    count = found["count"]
    if not json:
        as_table(found["certificates"], COLUMNS, "No certificate matches that is not revoked already.")
        if count > len(found["certificates"]):
            print(f"… and {count - len(found['certificates'])} more.")
    elif dry_run:
        as_json(found)
    if dry_run or not count:
        return
    _be_sure(count, yes=yes)
    done = client.call("POST", _REVOCATIONS, {"matching": matching, "reason": reason, "expected": count})
    if json:
        as_json(done)
    else:
        print(f"Revoked {done['revoked']}.")


def _be_sure(count: int, *, yes: bool) -> None:
    """Raises `Failed` unless whoever asks means it."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failed(f"{count} would be revoked; say --yes to do it, or --dry-run to only look")
    if not typer.confirm(f"Revoke these {count}?"):
        raise Failed("nothing was revoked")
