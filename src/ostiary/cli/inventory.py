"""Find issued certificates, show them, and get them as files."""

import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from ostiary.cli.client import Client, Failed, connect
from ostiary.cli.files import write_public_bytes
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, as_table, refusals_in_one_line
from ostiary.clock import now

PATH: Final = "/v1/certificates"
COLUMNS: Final = ("subject", "id", "serial", "status", "owner", "not_after")
STATUSES: Final = ("VALID", "EXPIRED", "NOT_YET_VALID", "REVOKED", "ON_HOLD")
TEXT_FORMATS: Final = ("pem", "chain", "fullchain")
FORMATS: Final = (*TEXT_FORMATS, "der", "crt", "p7b", "mobileconfig")
PAGE: Final = 1000

_SPAN: Final = re.compile(r"(\d{1,5})([hdw])")
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f:]{2,95}")
_BEGINNING: Final = 8  # digits of a fingerprint, at least: less is a typing error sooner than a certificate

Certificate = Annotated[str, typer.Argument(help="Its id, serial number or SHA-256 fingerprint (or the beginning of that).")]
Status = Annotated[
    str | None, typer.Option(help=f"Only those that are {', '.join(STATUSES)}.", autocompletion=lambda: list(STATUSES))
]


@refusals_in_one_line
def list_(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    search: Annotated[
        str | None, typer.Option(help="Words in subject, other names, name or owner, or the beginning of serial or fingerprint.")
    ] = None,
    status: Status = None,
    owner: Annotated[str | None, typer.Option(help="Only those of this owner.")] = None,
    group: Annotated[str | None, typer.Option(help="Only those in this group.")] = None,
    ca: Annotated[str | None, typer.Option(help="Only those of this authority, by name or id.")] = None,
    profile: Annotated[str | None, typer.Option(help="Only those of this profile.")] = None,
    expires_before: Annotated[str | None, typer.Option(help="Only those that end before this time, or within 12h, 30d.")] = None,
    seen_before: Annotated[str | None, typer.Option(help="Only those no listener has seen since this time, or for 30d.")] = None,
    sort: Annotated[str | None, typer.Option(help="Such as not_after, or subject:desc.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Most to show; 0 is all.")] = 100,
    csv: Annotated[bool, typer.Option("--csv", help="Answer with all that match as CSV, for spreadsheets.")] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List issued certificates.

    Examples: `ostiary cert list --expires-before 30d --sort not_after`, `ostiary cert list --search "alice laptop" --csv`
    """
    client = connect(data_dir)
    questions = {
        "q": search,
        "status": status,
        "owner": owner,
        "group": group,
        "authority_id": ca and client.find("/v1/authorities", "authority", "authorities", ca)["id"],
        "profile": profile,
        "expires_before": expires_before and _time(expires_before, ahead=True),
        "seen_before": seen_before and _time(seen_before, ahead=False),
        "sort": sort,
    }
    if csv:
        client.stream(PATH, sys.stdout.buffer, format="csv", **questions)
        return
    found, more = _pages(client, limit, questions)
    if json:
        as_json(found)
        return
    as_table(found, COLUMNS, "No certificate matches." if any(questions.values()) else "No certificate issued yet.")
    if more:
        print(f"\nThere are more than {limit}: use --limit, --search, or --csv for all.")


@refusals_in_one_line
def show(certificate: Certificate, data_dir: DataDir = None, json: Json = False) -> None:
    """Show one certificate; of one that was revoked, how soon that was in force at each gateway.

    Example: `ostiary cert show 6f1c…`
    """
    client = connect(data_dir)
    found = one(client, certificate)
    found = client.call("GET", f"{PATH}/{quote(found['id'], safe='')}")["certificate"]
    (as_json if json else as_fields)(found)


@refusals_in_one_line
def download(
    certificate: Certificate,
    form: Annotated[
        str, typer.Option("--format", help=f"One of {', '.join(FORMATS)}.", autocompletion=lambda: list(FORMATS))
    ] = "pem",
    out: Annotated[Path | None, typer.Option(help="File to write; PEM is printed without it.", dir_okay=False)] = None,
    data_dir: DataDir = None,
) -> None:
    """Get a certificate as a file, alone or with those above it. Its key is where it was made.

    Examples: `ostiary cert download 6f1c… --format fullchain`, `ostiary cert download 6f1c… --format p7b --out alice.p7b`
    """
    client = connect(data_dir)
    found = one(client, certificate)
    content = client.fetch(f"{PATH}/{quote(found['id'], safe='')}/download", format=form)
    if out is not None:
        write_public_bytes(out, content)
        print(f"Wrote {out}")
    elif form in TEXT_FORMATS:
        print(content.decode(), end="")
    else:
        raise Failed(f"{form} is not text; say where to write it with --out")


def one(client: Client, text: str) -> dict[str, Any]:
    """The one certificate with this id, serial number or fingerprint. Raises `Failed` when there is none or more than one."""
    questions: list[dict[str, str]] = [{"id": text}]
    if _HEXADECIMAL.fullmatch(text):
        questions.append({"serial": text})
        if len(text.replace(":", "")) >= _BEGINNING:
            questions.append({"fingerprint_sha256": text})
    for question in questions:
        found = client.call("GET", PATH, limit=2, **question)["certificates"]
        if len(found) == 1:
            return dict(found[0])
        if found:
            raise Failed(f"more than one certificate has '{text}'; give more of its fingerprint, or the id")
    raise Failed(f"there is no certificate '{text}'; search with: ostiary cert list --search")


def _pages(client: Client, limit: int, questions: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """As many as are wanted, and whether there are more."""
    found: list[dict[str, Any]] = []
    while True:
        size = min(limit - len(found), PAGE) if limit else PAGE
        page = client.call("GET", PATH, limit=size, marker=found[-1]["id"] if found else None, **questions)
        found += page["certificates"]
        more = any(link["rel"] == "next" for link in page["certificates_links"])
        if not more or len(found) == limit:
            return found, more


def _time(text: str, *, ahead: bool) -> str:
    """A time as the API takes it: as given, or so far from now. The API says what is no time."""
    span = _SPAN.fullmatch(text)
    if span is None:
        return text
    length = int(span[1]) * _UNITS[span[2]]
    return (now() + length if ahead else now() - length).isoformat(timespec="seconds")
