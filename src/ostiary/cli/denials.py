"""`ostiary denials`: who was refused, why, and what to do about it."""

from typing import Annotated, Any

import typer

from ostiary.cli.client import connect, listener_id
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_json, as_table, refusals_in_one_line

COLUMNS = ("last", "count", "stage", "code", "who", "from", "asked_for", "listener", "access_rule_id")


@refusals_in_one_line
def denials(
    listener: Annotated[str | None, typer.Option(help="Only those of this listener, by name or id.")] = None,
    code: Annotated[
        str | None, typer.Option(help="Only this reason, such as expired; tls_failed lists what no certificate is to blame for.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only what was refused since this time, such as 2027-01-31T12:00:00Z.")
    ] = None,
    certificate: Annotated[str | None, typer.Option(help="Only this certificate (SHA-256 fingerprint).")] = None,
    reference: Annotated[str | None, typer.Option(help="What a refused client was shown.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 50,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List who was refused and why, the last first, and what to do about each reason.

    Examples: `ostiary denials --code expired --since 2027-01-31T12:00:00Z`, `ostiary denials --reference 1801394400123`
    """
    client = connect(data_dir)
    wanted = {
        "listener_id": listener_id(client, listener),
        "code": code,
        "since": since,
        "fingerprint_sha256": certificate,
        "reference": reference,
        "limit": limit,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    found = client.call("GET", "/v1/denials", **given)["denials"]
    if json:
        as_json(found)
        return
    as_table(map(_row, found), COLUMNS, "Nobody was refused." if len(given) == 1 else "Nobody was refused in that way.")
    if found:
        print()
        for known, fix in {one["code"]: one["fix"] for one in found}.items():
            print(f"{known}: {fix}")


def _row(one: dict[str, Any]) -> dict[str, Any]:
    shown, example = one["certificate"], one["example"]
    asked_for = f"{example['method']} {example['host']}{example['path']}".strip() if example else None
    who = "many" if one["summed"] else shown["subject"] or shown["fingerprint_sha256"] if shown else "no certificate"
    return {
        **one,
        "who": who,
        "from": one["client"],
        "asked_for": asked_for,
        "listener": one["listener_name"] or one["listener_id"],
    }
