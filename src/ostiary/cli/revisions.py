"""`ostiary revision`: the history of the configuration."""

from typing import Annotated

import typer

from ostiary.cli.client import connect
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, as_table, refusals_in_one_line

PATH = "/v1/revisions"
app = typer.Typer(no_args_is_help=True)
Number = Annotated[int, typer.Argument(min=0, help="The revision's number.")]


@app.command("list")
@refusals_in_one_line
def list_(data_dir: DataDir = None, json: Json = False) -> None:
    """List revisions, newest first.

    Example: `ostiary revision list`
    """
    found = connect(data_dir).call("GET", PATH)["revisions"]
    if json:
        as_json(found)
    else:
        as_table(found, ("number", "at", "actor", "action"), "Nothing has been configured yet.")


@app.command()
@refusals_in_one_line
def show(number: Number, data_dir: DataDir = None, json: Json = False) -> None:
    """Show what a revision changed.

    Example: `ostiary revision show 12`
    """
    found = connect(data_dir).call("GET", f"{PATH}/{number}")["revision"]
    (as_json if json else as_fields)(found)


@app.command()
@refusals_in_one_line
def revert(number: Number, data_dir: DataDir = None, json: Json = False) -> None:
    """Put the configuration back to how it was after this revision. This makes a new revision.

    Example: `ostiary revision revert 11`
    """
    made = connect(data_dir).call("POST", f"{PATH}/{number}/revert")["revision"]
    if json:
        as_json(made)
    else:
        print(f"The configuration is as it was after revision {number}; this is revision {made['number']}.")
