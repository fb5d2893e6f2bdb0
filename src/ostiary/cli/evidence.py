"""Evidence packs for auditors, and reviews that are signed off."""

import hashlib
import json as json_
import re
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import IO, Annotated, Any, Final

import typer

from ostiary.cli.client import Failed, connect
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_json, as_table, refusals_in_one_line
from ostiary.clock import now

FRAMEWORKS: Final = ("pci-4.0.1", "nist-800-53r5", "iso-27001", "soc2")
SUBJECTS: Final = ("access", "refusals", "exceptions")
COLUMNS: Final = ("created_at", "subject", "from", "to", "reviewed_by", "findings", "id")
REPORT: Final = "/v1/audit/report"
REVIEWS: Final = "/v1/reviews"
_MANIFEST: Final = "manifest.json"
_CHUNK: Final = 65_536
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")

Framework = Annotated[
    list[str],
    typer.Option(
        help=f"For which standard: {', '.join(FRAMEWORKS)}; may be given again.", autocompletion=lambda: list(FRAMEWORKS)
    ),
]
From = Annotated[str, typer.Option("--from", help="The beginning of the period: 2026-10-01 (UTC), or a time.")]
To = Annotated[str, typer.Option("--to", help="Its end. A day is in the period, a time is not.")]


@refusals_in_one_line
def report(
    framework: Framework,
    since: From,
    until: To,
    out: Annotated[Path, typer.Option(help="A folder to be made, or a file that ends in .zip.")],
    record: Annotated[
        bool, typer.Option("--record/--no-record", help="Whether the audit record comes along, so that it can be checked alone.")
    ] = True,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Make an evidence pack: what happened in a period and how things were at its end, as pages, CSV, JSON and hashes.

    Examples: `ostiary audit report --framework pci-4.0.1 --from 2026-10-01 --to 2026-12-31 --out evidence`,
    `ostiary audit report --framework soc2 --framework iso-27001 --from 2026-10-01 --to 2026-12-31 --out evidence.zip`
    """
    client = connect(data_dir)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Failed(f"{out} exists already; choose another name, for evidence is not overwritten")
    try:
        with tempfile.TemporaryFile(dir=out.absolute().parent) as kept:
            client.stream(REPORT, kept, **{"framework": ",".join(framework), "from": since, "to": until, "record": record})
            manifest = _written(kept, out)
    except OSError as error:
        raise Failed(f"cannot write {out}: {error.strerror or error}") from None
    digest = hashlib.sha256(manifest).hexdigest()
    told = json_.loads(manifest)
    if json:
        as_json({"out": str(out), "manifest_sha256": digest, "files": len(told["files"]) + 2, "chain": told["chain"]})
    else:
        begin = "" if out.suffix == ".zip" else f" Begin with {out / 'index.html'}."
        print(f"Wrote {out}: {len(told['files']) + 2} files.{begin}")
        print(f"SHA-256 of its manifest, which is on record too: {digest}")
    if told["chain"]["problem"]:
        raise Failed(f"the pack is there, but the record is broken: {told['chain']['problem']}")


@refusals_in_one_line
def review(
    subject: Annotated[
        str, typer.Argument(help=f"What was looked at: {', '.join(SUBJECTS)}.", autocompletion=lambda: list(SUBJECTS))
    ],
    since: From,
    until: To,
    note: Annotated[str, typer.Option(help="What was looked at and how.")] = "",
    findings: Annotated[str, typer.Option(help="What was found, and what follows from it.")] = "",
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Sign off that you looked at who has access, at who was refused, or at what is excepted. It cannot be taken back.

    Example: `ostiary audit review access --from 2026-07-01 --to 2026-09-30 --note "with both team leads" --findings "none"`
    """
    wanted = {"subject": subject, "from": _begin(since), "to": _end(until), "note": note, "findings": findings}
    made = connect(data_dir).call("POST", REVIEWS, {"review": wanted})["review"]
    if json:
        as_json(made)
    else:
        seen = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in made["seen"].items())
        print(f"Signed off by {made['reviewed_by']}, review {made['id']}, after entry {made['at_entry']} of the record.")
        print(f"There were: {seen}.")


@refusals_in_one_line
def reviews(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many reviews.")] = 20,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List the reviews that were signed off, newest first, and say which are due.

    Example: `ostiary audit reviews`
    """
    found = connect(data_dir).call("GET", REVIEWS, limit=limit, sort="created_at:desc")
    if json:
        as_json({name: found[name] for name in ("reviews", "reviews_due")})
        return
    as_table(found["reviews"], COLUMNS, "No review was signed off yet.")
    for one in found["reviews_due"]:
        if one["is_due"]:
            last = f"the last was at {one['last_at']}" if one["last_at"] else "there was none yet"
            print(f"A review of {one['subject']} is due: {last}, and one is wanted each quarter.")


def _begin(text: str) -> str:
    return f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text


def _end(text: str) -> str:
    """A day is in the period to its last second; of today, what is over."""
    if not _DAY.fullmatch(text):
        return text
    at = now().strftime("%Y-%m-%dT%H:%M:%SZ")
    return at if at.startswith(text) else f"{text}T23:59:59Z"


def _written(kept: IO[bytes], out: Path) -> bytes:
    """Put the pack where it is wanted, if it is whole; its manifest. Raises `Failed`."""
    kept.seek(0)
    try:
        with zipfile.ZipFile(kept) as pack:
            manifest = pack.read(_MANIFEST)
            _check(pack, json_.loads(manifest))
            if out.suffix != ".zip":
                out.mkdir(mode=0o700, exist_ok=True)
                pack.extractall(out)
                return manifest
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise Failed(f"what came is no whole evidence pack ({error}); nothing was written") from None
    kept.seek(0)
    with out.open("xb") as file:
        shutil.copyfileobj(kept, file)
    return manifest


def _check(pack: zipfile.ZipFile, manifest: dict[str, Any]) -> None:
    """Each file that the manifest lists is there, and is the one it lists."""
    for one in manifest["files"]:
        digest = hashlib.sha256()
        with pack.open(one["name"]) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != one["sha256"]:
            raise Failed(f"{one['name']} is not the file that the manifest of the pack lists; nothing was written")
