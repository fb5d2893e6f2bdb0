"""`ostiary traffic`: how much came through, and how much was refused and why, over time."""

from typing import Annotated, Any

import typer

from ostiary.cli.client import connect, listener_id
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_json, as_table, refusals_in_one_line
from ostiary.cli.times import ago

COLUMNS = ("from", "admitted", "refused", "why", "handshakes", "failed_handshakes")


@refusals_in_one_line
def traffic(
    listener: Annotated[str | None, typer.Option(help="Only through this listener, by name or id.")] = None,
    last: Annotated[str, typer.Option(help="How far back: minutes, hours, days or weeks, such as 30m, 24h, 7d, 4w.")] = "24h",
    points: Annotated[int, typer.Option(min=2, max=1000, help="In how many steps, at most.")] = 25,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Count what was admitted and refused, step by step, the last one last.

    Example: `ostiary traffic --last 7d`
    """
    client = connect(data_dir)
    wanted = {"listener_id": listener_id(client, listener), "since": ago(last, "--last"), "points": points}
    found = client.call("GET", "/v1/traffic", **wanted)["traffic"]
    if json:
        as_json(found)
        return
    as_table(map(_row, filter(_is_something, found["steps"])), COLUMNS, f"Nothing came through in the last {last}.")
    if found["admitted"] or found["refused"]:
        why = f" ({_codes(found['refused'])})" if found["refused"] else ""
        print(f"\nAdmitted {found['admitted']}, refused {sum(found['refused'].values())}{why}.")


def _is_something(step: dict[str, Any]) -> bool:
    return any(step[name] for name in ("requests", "handshakes", "failed_handshakes", "refused"))


def _row(step: dict[str, Any]) -> dict[str, Any]:
    return {**step, "from": step["at"], "refused": sum(step["refused"].values()), "why": _codes(step["refused"])}


def _codes(refused: dict[str, int]) -> str:
    return ", ".join(f"{code} {count}" for code, count in refused.items())
