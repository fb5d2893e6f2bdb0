"""`ostiary clients`: who was let in, and when they were last seen."""

from typing import Annotated

import typer

from ostiary.cli.client import connect, listener_id
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_json, as_table, refusals_in_one_line

COLUMNS = (
    "subject",
    "issuer",
    "listener_id",
    "first_seen",
    "last_seen",
    "requests",
    "address_count",
    "addresses",
    "certificate_id",
)
_SHOWN = 3


@refusals_in_one_line
def clients(
    listener: Annotated[str | None, typer.Option(help="Only those seen at this listener, by name or id.")] = None,
    certificate: Annotated[str | None, typer.Option(help="Only this certificate (id).")] = None,
    since: Annotated[str | None, typer.Option(help="Only those seen since this time, such as 2027-01-31T12:00:00Z.")] = None,
    many_addresses: Annotated[
        bool, typer.Option("--many-addresses", help="Only certificates used from many addresses within a day: copied, perhaps.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 50,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List certificates that were let in, last seen first.

    Example: `ostiary clients --since 2027-01-31T12:00:00Z`
    """
    client = connect(data_dir)
    wanted = {"listener_id": listener_id(client, listener), "certificate_id": certificate, "seen_after": since, "limit": limit}
    wanted["many_addresses"] = "true" if many_addresses else None
    given = {name: value for name, value in wanted.items() if value is not None}
    found = client.call("GET", "/v1/clients", **given)["clients"]
    if json:
        as_json(found)
        return
    rows = [{**client, "addresses": _few(client["addresses"])} for client in found]
    as_table(rows, COLUMNS, "No certificate was used from many addresses." if many_addresses else "No client has been seen yet.")


def _few(addresses: list[str]) -> str:
    more = len(addresses) - _SHOWN
    return ", ".join(addresses[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
