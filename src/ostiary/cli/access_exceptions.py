"""`ostiary access exception`: requests that a listener serves without a certificate, until a certain day."""

from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from ostiary.cli.client import connect
from ostiary.cli.listeners import PATH as LISTENERS
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_json, as_table, refusals_in_one_line
from ostiary.cli.times import ahead

PATH: Final = "/v1/access-exceptions"
KINDS: Final = ("CORS_PREFLIGHT", "HEALTH_CHECK", "PATHS")
COLUMNS: Final = ("listener", "name", "kind", "paths", "sources", "owner", "state", "days_left", "not_after", "id")

app = typer.Typer(no_args_is_help=True, help="Requests that need no certificate; each with an owner and an end.")


@app.command("list")
@refusals_in_one_line
def list_(
    listener: Annotated[str | None, typer.Argument(help="The listener's name or id; all without it.")] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List exceptions, those that ended too.

    Example: `ostiary access exception list demo`
    """
    client = connect(data_dir)
    listener_id = None if listener is None else client.find(LISTENERS, "listener", "listeners", listener)["id"]
    found = client.call("GET", PATH, listener_id=listener_id)["access_exceptions"]
    if json:
        as_json(found)
        return
    rows = [{**one, "paths": " ".join(one["paths"]), "sources": " ".join(one["sources"])} for one in found]
    as_table(rows, COLUMNS, "No exception: where a certificate is demanded, every request needs one.")


@app.command()
@refusals_in_one_line
def add(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    listener: Annotated[str, typer.Argument(help="The listener's name or id.")],
    kind: Annotated[
        str,
        typer.Option(
            help="CORS_PREFLIGHT (OPTIONS of browsers), HEALTH_CHECK (GET and HEAD of /health, /healthz or the paths), PATHS.",
            autocompletion=lambda: list(KINDS),
        ),
    ],
    name: Annotated[str, typer.Option(help="Why it is needed.")],
    owner: Annotated[str, typer.Option(help="Who answers for it.")],
    until: Annotated[str, typer.Option(help="When it ends: 2027-01-31, or 90d from now; a year at most.")],
    path: Annotated[
        list[str] | None, typer.Option(help="/a is that path, '/a/*' that and all below; may be given again.")
    ] = None,
    source: Annotated[list[str] | None, typer.Option(help="A network the client comes from; may be given again.")] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Serve some requests without a certificate, until a certain day. People are warned before it ends.

    Examples: `ostiary access exception add demo --kind CORS_PREFLIGHT --name "web app" --owner "web team" --until 90d`,
    `ostiary access exception add demo --kind PATHS --path '/public/*' --name "status page" --owner ann --until 2027-01-31`
    """
    client = connect(data_dir)
    wanted: dict[str, Any] = {
        "listener_id": client.find(LISTENERS, "listener", "listeners", listener)["id"],
        "kind": kind.upper().replace("-", "_"),
        "name": name,
        "owner": owner,
        "not_after": ahead(until, "--until"),
        "paths": path or [],
        "sources": source or [],
    }
    made = client.call("POST", PATH, {"access_exception": wanted})["access_exception"]
    if json:
        as_json(made)
    else:
        print(
            f"Until {made['not_after']} such requests to {made['listener']} need no certificate; {made['owner']} answers for it."
        )


@app.command()
@refusals_in_one_line
def remove(
    exception: Annotated[str, typer.Argument(help="Its name or id.")],
    data_dir: DataDir = None,
) -> None:
    """Remove an exception: a certificate is needed again, at once.

    Example: `ostiary access exception remove "status page"`
    """
    client = connect(data_dir)
    found = client.find(PATH, "access exception", "access_exceptions", exception)
    client.call("DELETE", f"{PATH}/{quote(found['id'], safe='')}")
    print(f"Removed '{found['name']}': such requests to {found['listener']} need a certificate again.")
