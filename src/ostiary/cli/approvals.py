"""`ostiary approval`: what another person has to agree to before it is done."""

from collections.abc import Iterator
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from ostiary.cli.client import connect
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, as_table, refusals_in_one_line

PATH: Final = "/v1/approvals"
COLUMNS: Final = ("action", "id", "status", "requested_by", "because", "expires_at")
_SHOWN: Final = ("id", "status", "action", "requested_by", "source", "justification", "created_at", "expires_at")
_AFTER: Final = ("decided_by", "decided_at", "reason")

app = typer.Typer(no_args_is_help=True)

Approval = Annotated[str, typer.Argument(help="Its id.")]


@app.command("list")
@refusals_in_one_line
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Also those that were decided.")] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List what waits for another person.

    Example: `ostiary approval list`
    """
    found = connect(data_dir).call("GET", PATH, status=None if all_ else "PENDING")["approvals"]
    if json:
        as_json(found)
    else:
        rows = ({**one, "because": " ".join(one["because"])} for one in found)
        as_table(rows, COLUMNS, "Nothing waits for another person.")


@app.command()
@refusals_in_one_line
def show(approval: Approval, data_dir: DataDir = None, json: Json = False) -> None:
    """Show who asks for what and why, what it would change, and whether you may decide.

    Example: `ostiary approval show 6f1c…`
    """
    found = connect(data_dir).call("GET", f"{PATH}/{quote(approval, safe='')}")["approval"]
    if json:
        as_json(found)
        return
    decided = _AFTER if found["decided_by"] else ()
    as_fields({name: found[name] for name in (*_SHOWN, *decided) if found[name]})
    for line in _told(found):
        print(line)


@app.command()
@refusals_in_one_line
def approve(
    approval: Approval,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Agree. It is done now, as it was asked for; or not at all, when something of it changed meanwhile.

    Example: `ostiary approval approve 6f1c… --reason "called back"`
    """
    decided = _decide(approval, "approve", {"reason": reason}, data_dir)
    if json:
        as_json(decided)
    elif decided["status"] == "GRANTED":
        print(f"Agreed. {decided['requested_by']} sends it once more now, before {decided['expires_at']}; nobody else can.")
    else:
        print(f"Agreed, and done: {decided['action']}, asked for by {decided['requested_by']}.")


@app.command()
@refusals_in_one_line
def refuse(
    approval: Approval,
    reason: Annotated[str, typer.Option(help="Why; whoever asked will read it.")],
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Refuse it.

    Example: `ostiary approval refuse 6f1c… --reason "not before the audit"`
    """
    decided = _decide(approval, "refuse", {"reason": reason}, data_dir)
    if json:
        as_json(decided)
    else:
        print(f"Refused approval {decided['id']}.")


@app.command()
@refusals_in_one_line
def withdraw(
    approval: Approval,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Take back what you asked for yourself.

    Example: `ostiary approval withdraw 6f1c…`
    """
    decided = _decide(approval, "withdraw", {"reason": reason}, data_dir)
    if json:
        as_json(decided)
    else:
        print(f"Withdrew approval {decided['id']}.")


@app.command()
@refusals_in_one_line
def justify(
    approval: Approval,
    reason: Annotated[str, typer.Option(help="Why it is needed; whoever decides will read it.")],
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Say why what you asked for is needed. OSTIARY_JUSTIFICATION says it when you ask.

    Example: `ostiary approval justify 6f1c… --reason "CHG-4711: the old CA is retired"`
    """
    told = _decide(approval, "justify", {"justification": reason}, data_dir)
    if json:
        as_json(told)
    else:
        print(f"Said why approval {told['id']} is needed.")


def _decide(approval: str, verb: str, body: dict[str, str], data_dir: Any) -> dict[str, Any]:
    path = f"{PATH}/{quote(approval, safe='')}/{verb}"
    decided: dict[str, Any] = connect(data_dir).call("POST", path, body)["approval"]
    return decided


def _told(found: dict[str, Any]) -> Iterator[str]:
    """Why, what it would change, and what is in the way: a line each."""
    yield "\nBecause:"
    yield from (f"  {one}" for one in found["because"])
    if found["changes"]:
        yield "\nIt would change:"
    for one in found["changes"]:
        before, after = one["before"], one["after"]
        name = (after or before or {}).get("name") or one["resource_id"]
        if before is None or after is None:
            yield f"  {'+' if before is None else '-'} {one['kind']} {name} ({one['resource_id']})"
            continue
        yield f"  ~ {one['kind']} {name} ({one['resource_id']})"
        for field in sorted(after):
            if before.get(field) != after[field] and field not in {"revision", "updated_at"}:
                yield f"      {field}: {before.get(field)} -> {after[field]}"
    if found["more_changes"]:
        yield f"  and {found['more_changes']} more"
    yield from (f"\nChanged meanwhile, so it has to be asked anew: {one}" for one in found["meanwhile"])
    if found["status"] == "PENDING":
        yield f"\nWho may decide: {', '.join(found['deciders'][:20]) or 'nobody who is here'}"
        yield "\nYou may decide." if found["may_decide"] else f"\nYou may not decide: {found['why_not']}"
