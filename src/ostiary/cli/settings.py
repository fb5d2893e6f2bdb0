"""`ostiary settings`: what people decide about this ostiary as a whole."""

from typing import Annotated, Final

import typer

from ostiary.cli.client import Failed, connect
from ostiary.cli.fields import Set, fields_of
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, refusals_in_one_line

PATH: Final = "/v1/settings"

app = typer.Typer(no_args_is_help=True)


@app.command()
@refusals_in_one_line
def show(data_dir: DataDir = None, json: Json = False) -> None:
    """Show what is decided.

    Example: `ostiary settings show`
    """
    (as_json if json else as_fields)(connect(data_dir).call("GET", PATH)["settings"])


@app.command("set")
@refusals_in_one_line
def set_(
    fields: Set = None,
    reset: Annotated[list[str] | None, typer.Option(help="A field to put back to its default; may be given again.")] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Change it, while everything runs.

    Example: `ostiary settings set --set audit_retention_days=800`
    """
    changes = {**fields_of(fields), **{name.replace("-", "_"): None for name in reset or []}}
    if not changes:
        raise Failed("nothing to change: give --set FIELD=VALUE, or --reset FIELD")
    (as_json if json else as_fields)(connect(data_dir).call("PUT", PATH, {"settings": changes})["settings"])
