"""`ostiary ca rotate`, and what else becomes of an authority: the next of its series, its revocation."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from ostiary.cli.client import Client, Failed, connect
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, as_table, refusals_in_one_line

PATH = "/v1/rotations"
AUTHORITIES = "/v1/authorities"
COLUMNS = ("name", "id", "state", "started_at", "ended_at")
CLIENTS = ("subject", "owner", "last_seen", "id")

app = typer.Typer(
    no_args_is_help=True, help="Put a new authority in the place of an old one: start, see who is left, finish, undo."
)
Rotation = Annotated[str, typer.Argument(help="Id of the rotation, or name or id of the old authority.")]


@app.command()
@refusals_in_one_line
def start(
    old: Annotated[str, typer.Argument(help="Name or id of the authority that is to go.")],
    new: Annotated[str, typer.Argument(help="Name or id of the one that takes its place.")],
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Add the new authority beside the old wherever that is trusted. It issues from now on; nobody is refused.

    Example: `ostiary ca rotate start "Devices" "Devices 2027"`
    """
    client = connect(data_dir)
    from_id, to_id = (client.find(AUTHORITIES, "authority", "authorities", each)["id"] for each in (old, new))
    made = client.call("POST", PATH, {"rotation": {"from_id": from_id, "to_id": to_id}})["rotation"]
    _report(made, json=json)


@app.command("list")
@refusals_in_one_line
def list_(data_dir: DataDir = None, json: Json = False) -> None:
    """List rotations.

    Example: `ostiary ca rotate list`
    """
    found = connect(data_dir).call("GET", PATH)["rotations"]
    if json:
        as_json(found)
    else:
        as_table(found, COLUMNS, "No authority was rotated yet.")


@app.command()
@refusals_in_one_line
def show(rotation: Rotation, data_dir: DataDir = None, json: Json = False) -> None:
    """Show how far a rotation is, and who is left on the old authority.

    Example: `ostiary ca rotate show "Devices"`
    """
    client = connect(data_dir)
    _report(_found(client, rotation), json=json)


@app.command()
@refusals_in_one_line
def finish(
    rotation: Rotation,
    force: Annotated[bool, typer.Option("--force", help="Shut out clients that still hold its certificates.")] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Remove the old authority wherever it is trusted. Refused while clients hold its certificates, unless forced.

    Example: `ostiary ca rotate finish "Devices"`
    """
    client = connect(data_dir)
    done = client.call("POST", f"{PATH}/{_found(client, rotation)['id']}/finish", {"force": force})["rotation"]
    _report(done, json=json)


@app.command()
@refusals_in_one_line
def undo(rotation: Rotation, data_dir: DataDir = None, json: Json = False) -> None:
    """Take the new authority off again; after the end, put the old one back in its place.

    Example: `ostiary ca rotate undo "Devices"`
    """
    client = connect(data_dir)
    _report(client.call("POST", f"{PATH}/{_found(client, rotation)['id']}/undo")["rotation"], json=json)


@refusals_in_one_line
def roll(
    ca: Annotated[str, typer.Argument(help="Name or id.")],
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Have a new issuing CA take over under the same name now. It comes by itself after 5,000 certificates.

    Example: `ostiary ca roll "Devices"`
    """
    client = connect(data_dir)
    authority = client.find(AUTHORITIES, "authority", "authorities", ca)
    made = client.call("POST", f"{AUTHORITIES}/{authority['id']}/roll")["authority"]
    if json:
        as_json(made)
    else:
        print(f"{made['name']} now issues as {made['subject']} ({made['id']}); listeners that trust it trust this one too.")


@refusals_in_one_line
def revoke(
    ca: Annotated[str, typer.Argument(help="Name or id.")],
    reason: Annotated[str, typer.Option(help="Why, as RFC 5280 names it.")] = "unspecified",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Revoke an intermediate: it signs no more, and all its clients are refused.

    Example: `ostiary ca revoke "Devices" --reason cACompromise`
    """
    client = connect(data_dir)
    authority = client.find(AUTHORITIES, "authority", "authorities", ca)
    if not yes:
        typer.confirm(f"Every client of {authority['subject']} will be refused, for good. Go on?", abort=True, err=True)
    gone = client.call("POST", f"{AUTHORITIES}/{authority['id']}/revoke", {"reason": reason})["authority"]
    if json:
        as_json(gone)
    else:
        print(f"Revoked {gone['subject']} ({gone['revocation_reason']}) at {gone['revoked_at']}.")


def _found(client: Client, named: str) -> dict[str, Any]:
    """The rotation of this id, or the latest of the authority of this name or id."""
    every = client.call("GET", PATH)["rotations"]
    known = [one for one in every if one["id"] == named]
    if not known:
        series = {
            one["series_id"] for key in ("name", "id") for one in client.call("GET", AUTHORITIES, **{key: named})["authorities"]
        }
        known = [one for one in every if one["from_series_id"] in series]
    if not known:
        raise Failed(f"there is no rotation '{named}', and none of an authority of that name")
    found: dict[str, Any] = client.call("GET", f"{PATH}/{quote(known[-1]['id'], safe='')}")["rotation"]
    return found


def _report(rotation: dict[str, Any], *, json: bool) -> None:
    if json:
        as_json(rotation)
        return
    left = rotation.pop("left")
    as_fields({name: rotation[name] for name in ("name", "id", "state", "started_at", "ended_at", "forced", "clients_shut_out")})
    print(
        f"\n{left['active'] + left['strangers']} clients are left on the old authority, {left['seen'] + left['strangers']} of "
        f"them seen within 30 days; {left['dormant']} good certificates were not seen."
    )
    if left["some"]:
        as_table(left["some"], CLIENTS, "")
