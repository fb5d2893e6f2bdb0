"""`ostiary break-glass`: in an emergency, do without others' approval for a while."""

from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from ostiary.cli.client import Failed, connect
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_json, as_table, refusals_in_one_line

PATH: Final = "/v1/break-glass"
COLUMNS: Final = ("begun_by", "id", "state", "reason", "begun_at", "ends_at", "uses", "reviewed_by")

app = typer.Typer(invoke_without_command=True)

Emergency = Annotated[str, typer.Argument(help="Its id.")]


@app.callback()
@refusals_in_one_line
def begin(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why it cannot wait. Everybody reads it, and it stays on record.")] = "",
    minutes: Annotated[int, typer.Option(min=1, max=240, help="After how long it ends by itself.")] = 30,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """In an emergency: do without others' approval for a while; everybody is told, and somebody looks at it afterwards.

    Example: `ostiary break-glass --reason "the CA of our partner was stolen" --minutes 15`
    """
    if context.invoked_subcommand is not None:
        return
    if not reason.strip():
        raise Failed('--reason: say why it cannot wait: ostiary break-glass --reason "…"')
    begun = connect(data_dir).call("POST", PATH, {"reason": reason, "minutes": minutes})["break_glass"]
    if json:
        as_json(begun)
    else:
        print(f"You do without approval until {begun['ends_at']}. End it sooner: ostiary break-glass end {begun['id']}")


@app.command("list")
@refusals_in_one_line
def list_(data_dir: DataDir = None, json: Json = False) -> None:
    """List emergencies: those that go on, and who signed off the others.

    Example: `ostiary break-glass list`
    """
    found = connect(data_dir).call("GET", PATH)["break_glasses"]
    if json:
        as_json(found)
    else:
        as_table(found, COLUMNS, "There was none.")


@app.command()
@refusals_in_one_line
def end(emergency: Emergency, data_dir: DataDir = None, json: Json = False) -> None:
    """End it now.

    Example: `ostiary break-glass end 6f1c…`
    """
    ended = _post(emergency, "end", None, data_dir)
    if json:
        as_json(ended)
    else:
        print(f"It is over. Done without approval: {ended['uses']}. Another person signs it off now.")


@app.command()
@refusals_in_one_line
def review(
    emergency: Emergency,
    words: Annotated[str, typer.Option("--say", help="What was done, and whether it was right.")],
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Sign off what was done in an emergency of somebody else's.

    Example: `ostiary break-glass review 6f1c… --say "the right thing, and undone since"`
    """
    signed = _post(emergency, "review", {"review": words}, data_dir)
    if json:
        as_json(signed)
    else:
        print(f"Signed off break-glass {signed['id']}.")


def _post(emergency: str, verb: str, body: dict[str, str] | None, data_dir: Any) -> dict[str, Any]:
    done: dict[str, Any] = connect(data_dir).call("POST", f"{PATH}/{quote(emergency, safe='')}/{verb}", body)["break_glass"]
    return done
