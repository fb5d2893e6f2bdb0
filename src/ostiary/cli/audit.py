"""`ostiary audit`: the record of every change, its proof, and its export."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ostiary.cli import evidence
from ostiary.cli.client import Client, Failed, connect
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_json, as_table, refusals_in_one_line

PATH: Final = "/v1/audit"
_POLL_SECONDS: Final = 0.2  # between two questions how far it is: nothing but a bar hangs on it

app = typer.Typer(no_args_is_help=True)

Actor = Annotated[str | None, typer.Option(help="Only what this one did.")]
Action = Annotated[str | None, typer.Option(help="Only this action, such as listener:update.")]
Resource = Annotated[str | None, typer.Option("--resource", help="Only what was done to the thing with this id.")]
Since = Annotated[str | None, typer.Option(help="Only from then on, such as 2027-01-31 or 2027-01-31T12:00:00Z.")]
Until = Annotated[str | None, typer.Option(help="Only before then.")]


@app.command("list")
@refusals_in_one_line
def list_(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many entries.")] = 20,
    actor: Actor = None,
    action: Action = None,
    resource: Resource = None,
    since: Since = None,
    until: Until = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List the latest entries that fit, newest first.

    Example: `ostiary audit list --action listener:update --since 2027-01-01`
    """
    asked = _asked(actor, action, resource, since, until)
    found = connect(data_dir).call("GET", PATH, limit=limit, order="desc", **asked)["audit"]
    if json:
        as_json(found)
    else:
        nothing = "Nothing on record fits." if any(asked.values()) else "The record is empty."
        as_table(found, ("sequence", "at", "actor", "action", "kind", "resource_id"), nothing)


@app.command()
@refusals_in_one_line
def verify(
    export: Annotated[
        Path | None, typer.Argument(help="An export to check instead, with no ostiary running.", exists=True, dir_okay=False)
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option(help="For an export: fingerprint of a key to trust, as `ostiary audit key` told it.")
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Check the hash chain and the signed heads over the whole record, or an export of it; exit 1 when it is broken.

    Examples: `ostiary audit verify`, `ostiary audit verify record.jsonl --key 9f86d081…`
    """
    if export is not None:
        _verify_export(export, key or [], json=json)
        return
    if key:
        raise Failed("--key is for an export; the running ostiary knows its own keys")
    result = _followed(connect(data_dir), quiet=json)
    if json:
        as_json(result)
    if result["failed"]:
        raise Failed(f"the record could not be verified: {result['failed']}")
    if result["problem"]:
        raise Failed(f"the record is broken: {result['problem']}")
    if not json:
        signed = (
            f"{result['heads']} signed heads, the last of entry {result['signed_until']}" if result["heads"] else "no signed head"
        )
        removed = f" (those up to {result['begins_after']} were removed for their age)" if result["begins_after"] else ""
        print(f"The record is whole: {result['entries']} entries{removed}, {signed}, head {result['head_hash']}")
        print(_speed(result["entries"], result["seconds"]))


@app.command("export")
@refusals_in_one_line
def export_(
    out: Annotated[Path, typer.Option(help="Where to; a file that is there is not written over.")],
    actor: Actor = None,
    action: Action = None,
    resource: Resource = None,
    since: Since = None,
    until: Until = None,
    data_dir: DataDir = None,
) -> None:
    """Hand out the record as JSON lines with its signed heads, for somebody to check alone. That is on record itself.

    With a filter it is a selection: each entry can be checked, but not that none was left out.

    Example: `ostiary audit export --out record.jsonl`
    """
    try:
        with out.open("xb") as file:
            connect(data_dir).stream(f"{PATH}/export", file, **_asked(actor, action, resource, since, until))
    except FileExistsError:
        raise Failed(f"{out} is there already; choose another --out") from None
    except OSError as error:
        raise Failed(f"{out} cannot be written: {error.strerror}") from None
    except Failed:
        out.unlink()  # half of it would be worse than nothing
        raise
    print(f"{out}: check it with `ostiary audit verifier > verify_audit.py` and `python verify_audit.py {out} --key …`")


@app.command()
@refusals_in_one_line
def key(data_dir: DataDir = None, json: Json = False) -> None:
    """Show the fingerprint of the key that signs the record. Give it to the auditor by another way than the export.

    Example: `ostiary audit key`
    """
    found = connect(data_dir).call("GET", f"{PATH}/heads", limit=1)["keys"]
    if json:
        as_json(found)
    else:
        as_table(found, ("id", "at"), "There is none yet.")


@app.command()
@refusals_in_one_line
def heads(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20, data_dir: DataDir = None, json: Json = False
) -> None:
    """Show the newest signed heads of the record: noted elsewhere, one shows if the record were ever written anew.

    Example: `ostiary audit heads --limit 5`
    """
    found = connect(data_dir).call("GET", f"{PATH}/heads", limit=limit)["heads"]
    if json:
        as_json(found)
    else:
        as_table(found, ("sequence", "at", "hash", "key_id"), "No head was signed yet.")


@app.command()
def verifier() -> None:
    """Print the program that checks an export without ostiary: one file, for Python and `cryptography`.

    Example: `ostiary audit verifier > verify_audit.py`
    """
    from ostiary import audit_verifier  # noqa: PLC0415 (loads what nothing else needs here)

    sys.stdout.write(Path(audit_verifier.__file__).read_text())


def _asked(actor: str | None, action: str | None, resource: str | None, since: str | None, until: str | None) -> dict[str, Any]:
    return {"actor": actor, "action": action, "resource_id": resource, "since": since, "until": until}


def _followed(client: Client, *, quiet: bool) -> Mapping[str, Any]:
    """Have it verified, with a bar that shows how far it is where somebody watches."""
    from rich.console import Console  # noqa: PLC0415 (slow to load)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415 (likewise)

    console = Console(stderr=True)
    columns = (
        TextColumn("Verifying"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    begun = time.monotonic()
    found = client.call("POST", f"{PATH}/verify")["verification"]
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("", total=None, speed="")
        while found["is_going_on"]:
            time.sleep(_POLL_SECONDS)
            found = client.call("GET", f"{PATH}/verify/progress")["verification"]
            per_second = found["entries"] / max(time.monotonic() - begun, _POLL_SECONDS)
            bar.update(task, completed=found["reached"], total=found["written"] or None, speed=f"{per_second:,.0f}/s")
    return {**found, "seconds": round(time.monotonic() - begun, 1)}


def _speed(entries: int, seconds: float) -> str:
    return f"{entries:,} entries in {seconds:.1f} s ({entries / max(seconds, 0.1):,.0f} a second)"


def _verify_export(export: Path, keys: list[str], *, json: bool) -> None:
    from rich.progress import Progress  # noqa: PLC0415 (slow to load)

    from ostiary import audit_verifier  # noqa: PLC0415 (loads what nothing else needs here)

    begun = time.monotonic()
    try:
        with export.open("rb") as file, Progress(transient=True, disable=json or not sys.stderr.isatty()) as bar:
            task = bar.add_task("Verifying", total=export.stat().st_size)
            verdict = audit_verifier.verify(
                audit_verifier.lines_of(file), keys=keys, progress=lambda _verdict: bar.update(task, completed=file.tell())
            )
    except OSError as error:
        raise Failed(f"{export} cannot be read: {error.strerror}") from None
    if json:
        as_json(vars(verdict))
    if verdict.problem is not None:
        raise Failed(f"the export is not as it was written: {verdict.problem}")
    if not json:
        print(audit_verifier.told(verdict))
        print(_speed(verdict.entries, time.monotonic() - begun))


app.command()(evidence.report)
app.command()(evidence.review)
app.command()(evidence.reviews)
