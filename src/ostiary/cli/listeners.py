"""`ostiary listener`: see listeners and switch their Client CA."""

from typing import Annotated, Any

import typer

from ostiary.cli import rehearsals
from ostiary.cli.client import Client, Failed, connect
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, as_table, refusals_in_one_line

PATH = "/v2/lbaas/listeners"
COLUMNS = ("name", "id", "protocol", "protocol_port", "client_authentication", "provisioning_status", "provisioning_error")

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The listener's name or id.")]


@app.command("list")
@refusals_in_one_line
def list_(data_dir: DataDir = None, json: Json = False) -> None:
    """List listeners.

    Example: `ostiary listener list`
    """
    found = connect(data_dir).call("GET", PATH)["listeners"]
    if json:
        as_json(found)
    else:
        as_table(found, COLUMNS, "No listener yet. Make one with POST /v2/lbaas/listeners.")


@app.command()
@refusals_in_one_line
def show(listener: Name, data_dir: DataDir = None, json: Json = False) -> None:
    """Show one listener.

    Example: `ostiary listener show demo`
    """
    found = connect(data_dir).find(PATH, "listener", "listeners", listener)
    (as_json if json else as_fields)(found)


@app.command("set")
@refusals_in_one_line
def set_(
    listener: Name,
    client_ca: Annotated[
        str | None, typer.Option(help="Let in only holders of a certificate that this CA signed: its name, id or href.")
    ] = None,
    no_client_ca: Annotated[bool, typer.Option("--no-client-ca", help="Ask for no client certificate.")] = False,
    client_authentication: Annotated[str | None, typer.Option(help="NONE, OPTIONAL, REHEARSAL or MANDATORY.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, whoever would be shut out.")] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Switch the Client CA of a listener. What would shut out clients that a rehearsal saw is said first, and asked about.

    Examples: `ostiary listener set demo --client-ca "demo issuing CA"`, `ostiary listener set demo --no-client-ca`,
    `ostiary listener set demo --client-ca "demo issuing CA" --client-authentication REHEARSAL`,
    `ostiary listener set demo --client-authentication MANDATORY`
    """
    client = connect(data_dir)
    changes = _changes(client, client_ca, client_authentication, off=no_client_ca)
    found = client.find(PATH, "listener", "listeners", listener)
    if changes["client_authentication"] in {"OPTIONAL", "MANDATORY"}:
        rehearsals.be_sure(client, found["id"], yes=yes, quiet=json, **changes)
    after = client.call("PUT", f"{PATH}/{found['id']}", {"listener": changes})["listener"]
    if json:
        as_json(after)
    else:
        print(f"{after['name'] or after['id']}: client_authentication {after['client_authentication']}")


def _changes(client: Client, client_ca: str | None, mode: str | None, *, off: bool) -> dict[str, Any]:
    if off and (client_ca or mode):
        raise Failed("--no-client-ca goes alone")
    if off:
        return {"client_authentication": "NONE"}
    if not client_ca and not mode:
        raise Failed("say what to set: --client-ca CA, --no-client-ca or --client-authentication MODE")
    changes: dict[str, Any] = {"client_authentication": (mode or "MANDATORY").upper()}
    if client_ca:
        is_reference = "/" in client_ca
        changes["client_ca_tls_container_ref"] = (
            client_ca if is_reference else client.find("/v1/authorities", "authority", "authorities", client_ca)["href"]
        )
    return changes
