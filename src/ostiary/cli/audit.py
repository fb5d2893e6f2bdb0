"""`ostiary audit`: the record of every change."""

from typing import Annotated

import typer

from ostiary.cli.client import Failed, connect
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_json, as_table, refusals_in_one_line

app = typer.Typer(no_args_is_help=True)


@app.command("list")
@refusals_in_one_line
def list_(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many entries.")] = 20,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List the latest entries, newest first.

    Example: `ostiary audit list --limit 50`
    """
    found = connect(data_dir).call("GET", "/v1/audit", limit=limit, order="desc")["audit"]
    if json:
        as_json(found)
    else:
        as_table(found, ("sequence", "at", "actor", "action", "kind", "resource_id"), "The record is empty.")


@app.command()
@refusals_in_one_line
def verify(data_dir: DataDir = None, json: Json = False) -> None:
    """Check the hash chain over the whole record; exit 1 when it is broken.

    Example: `ostiary audit verify`
    """
    result = connect(data_dir).call("GET", "/v1/audit/verify")["verification"]
    if json:
        as_json(result)
    if result["problem"]:
        raise Failed(f"the record is broken: {result['problem']}")
    if not json:
        print(f"The record is whole: {result['entries']} entries, head {result['head_hash']}")
