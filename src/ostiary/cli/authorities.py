"""`ostiary ca`: the authorities in the system."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ostiary.cli.client import connect
from ostiary.cli.files import read_pem, write_public
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, as_table, refusals_in_one_line

PATH = "/v1/authorities"
COLUMNS = ("name", "id", "kind", "has_key", "subject", "not_after")

app = typer.Typer(no_args_is_help=True, help="See, make and import certificate authorities.")


@app.command("list")
@refusals_in_one_line
def list_(data_dir: DataDir = None, json: Json = False) -> None:
    """List authorities.

    Example: `ostiary ca list`
    """
    found = connect(data_dir).call("GET", PATH)["authorities"]
    if json:
        as_json(found)
    else:
        as_table(found, COLUMNS, "No authority yet. Make one with `ostiary ca create`.")


@app.command()
@refusals_in_one_line
def show(ca: Annotated[str, typer.Argument(help="Name or id.")], data_dir: DataDir = None, json: Json = False) -> None:
    """Show one authority with its certificate.

    Example: `ostiary ca show "demo issuing CA"`
    """
    (as_json if json else as_fields)(connect(data_dir).find(PATH, "authority", "authorities", ca))


@app.command()
@refusals_in_one_line
def create(
    name: Annotated[str, typer.Argument(help="Its name, also its common name.")],
    parent: Annotated[str | None, typer.Option(help="Name or id of the authority that signs it; none makes a root.")] = None,
    key: Annotated[str, typer.Option(help="EC-P256, EC-P384, ED25519, RSA-3072 or RSA-4096.")] = "EC-P256",
    lifetime_days: Annotated[
        int | None, typer.Option(min=1, help="How long it is valid; default is ten years, for an intermediate five.")
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Make an authority whose key stays in the system, encrypted.

    Examples: `ostiary ca create "My Root"`, `ostiary ca create "My Devices" --parent "My Root" --lifetime-days 1825`
    """
    client = connect(data_dir)
    wanted: dict[str, Any] = {"name": name, "kind": "root", "key": key, "lifetime_days": lifetime_days}
    if parent:
        wanted |= {"kind": "intermediate", "parent_id": client.find(PATH, "authority", "authorities", parent)["id"]}
    made = client.call("POST", PATH, {"authority": wanted})["authority"]
    (as_json if json else as_fields)(made)


@app.command("import")
@refusals_in_one_line
def import_(
    file: Annotated[Path, typer.Argument(help="The CA certificate, PEM.", exists=True, dir_okay=False)],
    name: Annotated[str, typer.Option(help="A name for it; default is its subject.")] = "",
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Trust a CA whose key is elsewhere.

    Example: `ostiary ca import partner-ca.pem --name "Partner CA"`
    """
    pem = read_pem(file, "x509")
    made = connect(data_dir).call("POST", PATH, {"authority": {"name": name, "certificate": pem}})["authority"]
    (as_json if json else as_fields)(made)


@app.command()
@refusals_in_one_line
def export(
    ca: Annotated[str, typer.Argument(help="Name or id.")],
    out: Annotated[Path | None, typer.Option(help="File to write; default is standard output.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Write the authority's certificate, PEM. The key is not exported.

    Example: `ostiary ca export "ostiary server CA" --out ca.pem`
    """
    pem = connect(data_dir).find(PATH, "authority", "authorities", ca)["certificate"]
    if out is None:
        print(pem, end="")
    else:
        write_public(out, pem)
