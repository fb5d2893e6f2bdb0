"""`ostiary console` and `ostiary session`: sign in to the console, see who is signed in, and sign out."""

from typing import Annotated, Final
from urllib.parse import quote

import typer

from ostiary.cli.client import connect
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_json, as_table, refusals_in_one_line

PATH: Final = "/v1/sessions"
COLUMNS: Final = ("name", "role", "how", "source", "seen_at", "expires_at", "id")

app = typer.Typer(no_args_is_help=True)


@refusals_in_one_line
def console(data_dir: DataDir = None, json: Json = False) -> None:
    """Print a link that signs you in to the console, once and within a quarter of an hour.

    Example: `ostiary console`
    """
    link = connect(data_dir).call("POST", "/v1/sign-in-links")["sign_in_link"]
    if json:
        as_json(link)
    else:
        print(f"{link['url']}\n\nIt works once, until {link['expires_at']}. Whoever opens it is you.")


@app.command("list")
@refusals_in_one_line
def list_(data_dir: DataDir = None, json: Json = False) -> None:
    """List your sessions; everybody's, for administrators.

    Example: `ostiary session list`
    """
    found = connect(data_dir).call("GET", PATH)["sessions"]
    if json:
        as_json(found)
    else:
        as_table(found, COLUMNS, "Nobody is signed in.")


@app.command()
@refusals_in_one_line
def end(
    session: Annotated[str | None, typer.Argument(help="The session's id; without it, all of a person's.")] = None,
    name: Annotated[str | None, typer.Option(help="Whose; yours without it.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Sign out: one browser, or everywhere. Sign-in links that were not followed yet open nothing then.

    Examples: `ostiary session end 0b0c3b8e-5d53-4a5e-9b39-0d8b2d0c1f57`, `ostiary session end --name bob`
    """
    client = connect(data_dir)
    if session is not None:
        client.call("DELETE", f"{PATH}/{quote(session, safe='')}")
        print("Ended.")
    else:
        client.call("DELETE", PATH, name=name)
        print("Signed out everywhere.")
