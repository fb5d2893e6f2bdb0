"""`ostiary expiring`: what ends and what is wrong, and what to do about it."""

from typing import Annotated, Any, Final

import typer

from ostiary.cli.client import connect
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_json, as_table, refusals_in_one_line

COLUMNS: Final = ("severity", "what", "name", "ends", "used_by", "last_seen", "owner")
_WHAT: Final = "CLIENT_CERTIFICATE, SERVER_CERTIFICATE, AUTHORITY, REVOCATION_LIST, ACCESS_EXCEPTION, ACCESS_TOKEN …"


@refusals_in_one_line
def expiring(
    days: Annotated[int | None, typer.Option(min=0, max=99_999, help="Only what ends within so many days, or has ended.")] = None,
    kind: Annotated[str | None, typer.Option(help=f"Only of this kind: {_WHAT}")] = None,
    severity: Annotated[
        str | None, typer.Option(help="Only what is as severe as this, or more: info, warning, critical.")
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List what people should see to, the most urgent first: certificates in use, CAs and exceptions that end, stale lists.

    Examples: `ostiary expiring --days 7`, `ostiary expiring --severity critical --json`
    """
    given = {"within_days": days, "kind": _word(kind), "severity": _word(severity)}
    found = connect(data_dir).call("GET", "/v1/warnings", **{name: value for name, value in given.items() if value is not None})
    if json:
        as_json(found["warnings"])
        return
    as_table(map(_row, found["warnings"]), COLUMNS, "Nothing ends soon, and nothing is wrong.")
    if found["total"] > len(found["warnings"]):
        print(f"\nThe most urgent {len(found['warnings'])} of {found['total']}.")
    ways = {one["what_to_do"]: one["command"] for one in reversed(found["warnings"]) if one["what_to_do"]}
    for way, command in reversed(ways.items()):
        print(f"\n{way}" + (f"\n  {command}" if command else ""))


def _word(text: str | None) -> str | None:
    return None if text is None else text.upper().replace("-", "_")


def _row(one: dict[str, Any]) -> dict[str, Any]:
    return {
        **one,
        "severity": one["severity"].lower(),
        "what": one["kind"].lower().replace("_", " "),
        "ends": one["ends_at"] or "now",
        "used_by": ", ".join(one["listeners"]),
    }
