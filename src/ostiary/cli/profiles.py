"""`ostiary profile`: what each kind of certificate may hold."""

import json as json_format
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from ostiary.cli.client import Failed, connect
from ostiary.cli.fields import Set, fields_of
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, as_table, refusals_in_one_line

PATH = "/v1/profiles"
COLUMNS = ("name", "description", "approval", "default_lifetime", "max_lifetime", "adjusted")
_FILE_LIMIT = 1024 * 1024

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Its name.")]
File = Annotated[
    Path | None,
    typer.Option("--file", help="The fields as JSON, as `profile show --json` tells.", exists=True, dir_okay=False),
]


@app.command("list")
@refusals_in_one_line
def list_(data_dir: DataDir = None, json: Json = False) -> None:
    """List profiles.

    Example: `ostiary profile list`
    """
    found = connect(data_dir).call("GET", PATH)["profiles"]
    if json:
        as_json(found)
    else:
        as_table(found, COLUMNS, "No profile.")


@app.command()
@refusals_in_one_line
def show(name: Name, data_dir: DataDir = None, json: Json = False) -> None:
    """Show a profile, and the rule behind each limit.

    Example: `ostiary profile show device`
    """
    (as_json if json else as_fields)(connect(data_dir).call("GET", _path(name))["profile"])


@app.command()
@refusals_in_one_line
def create(name: Name, file: File = None, fields: Set = None, data_dir: DataDir = None, json: Json = False) -> None:
    """Make a profile of your own.

    Example: `ostiary profile create sensor --set names_allowed='["dns"]' --set names_required='["dns"]' --set max_lifetime=P30D
    --set default_lifetime=P7D`
    """
    wanted = {**_fields(file, fields), "name": name}
    (as_json if json else as_fields)(connect(data_dir).call("POST", PATH, {"profile": wanted})["profile"])


@app.command("set")
@refusals_in_one_line
def set_(name: Name, file: File = None, fields: Set = None, data_dir: DataDir = None, json: Json = False) -> None:
    """Change a profile. What was issued before stays as it is.

    Example: `ostiary profile set client --set approval=one --set max_lifetime=P30D --set default_lifetime=P7D`
    """
    changes = _fields(file, fields)
    if not changes:
        raise Failed("nothing to change: give --set FIELD=VALUE, or --file")
    (as_json if json else as_fields)(connect(data_dir).call("PUT", _path(name), {"profile": changes})["profile"])


@app.command()
@refusals_in_one_line
def delete(name: Name, data_dir: DataDir = None) -> None:
    """Remove a profile of your own, or put one that is built in back to what it was.

    Example: `ostiary profile delete client`
    """
    connect(data_dir).call("DELETE", _path(name))
    print(f"Profile {name} is gone, or as it was built in.")


def _path(name: str) -> str:
    return f"{PATH}/{quote(name, safe='')}"


def _fields(file: Path | None, given: list[str] | None) -> dict[str, Any]:
    """What the file says, and over it what the options say."""
    return {**(_read(file) if file else {}), **fields_of(given)}


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _FILE_LIMIT:
            raise Failed(f"{file} is too large to be a profile")
        fields = json_format.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise Failed(f"{file} cannot be read as JSON: {error}") from None
    if not isinstance(fields, dict):
        raise Failed(f"{file} must hold one object")
    return {name: value for name, value in fields.items() if name not in _SHOWN_ONLY}


# What a reply adds, and who made it when: so that what was shown can be edited and given back.
_SHOWN_ONLY = frozenset({"id", "name", "project_id", "created_at", "updated_at", "revision", "built_in", "adjusted", "rules"})
