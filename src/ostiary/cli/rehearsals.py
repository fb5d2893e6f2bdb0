"""`ostiary rehearsal`: who would have been refused, before anybody is; and the question that comes before somebody is."""

import sys
from typing import Annotated, Any, Final

import typer

from ostiary.cli.client import Client, Failed, connect
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_json, as_table, refusals_in_one_line

PATH: Final = "/v1/rehearsals"
LISTENERS: Final = "/v2/lbaas/listeners"
LISTED: Final = ("listener", "rehearses", "since", "clients", "would_be_refused", "last_would_be_refusal")
REFUSALS: Final = ("last", "count", "code", "who", "from", "asked_for", "access_rule")
RULES: Final = ("rule", "action", "rehearsed", "would_refuse", "would_admit", "last_would_be_refusal")
_NAMED: Final = 3
_SCOPES: Final = {"LISTENER": "all of it", "RULES": "access rules"}

app = typer.Typer(no_args_is_help=True)


@app.command("list")
@refusals_in_one_line
def list_(data_dir: DataDir = None, json: Json = False) -> None:
    """List the listeners that rehearse.

    Example: `ostiary rehearsal list`
    """
    found = connect(data_dir).call("GET", PATH)["rehearsals"]
    if json:
        as_json(found)
        return
    nothing = "Nothing is rehearsed. Begin with `ostiary listener set L --client-authentication REHEARSAL`."
    as_table(map(_listed, found), LISTED, nothing)


@app.command()
@refusals_in_one_line
def show(
    listener: Annotated[str, typer.Argument(help="The listener's name or id.")],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of those who would have been refused.")] = 50,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show who would have been refused since the rehearsal began, why, and what to do about it.

    Examples: `ostiary rehearsal show demo`, `ostiary rehearsal show demo --json`
    """
    client = connect(data_dir)
    listener_id = client.find(LISTENERS, "listener", "listeners", listener)["id"]
    found = client.call("GET", f"{PATH}/{listener_id}", limit=limit)["rehearsal"]
    if json:
        as_json(found)
        return
    print(_summary(found))
    if found["rules"]:
        print()
        as_table(map(_rule, found["rules"]), RULES, "")
    if not found["refusals"]:
        return
    print()
    as_table(map(_row, found["refusals"]), REFUSALS, "")
    if found["more_refusals"]:
        print(f"… and more: --limit {limit * 2}")
    print()
    for code, fix in {one["code"]: one["fix"] for one in found["reasons"]}.items():
        print(f"{code}: {fix}")


def be_sure(client: Client, listener_id: str, *, yes: bool, quiet: bool = False, **change: str | None) -> None:
    """Say whom a change would shut out, of those who came within 24 hours; and ask, where it would. Raises `Failed` for a no.

    `change` is what the preview is asked about (`/v1/rehearsals/{id}/preview`).
    """
    told = client.call("GET", f"{PATH}/{listener_id}/preview", **change)["preview"]
    words = _preview(told)
    if yes or not told["would_be_refused"]:
        if words and not quiet:
            print(words)
        return
    if not sys.stdin.isatty():
        raise Failed(f"{words} Say --yes to shut them out.")
    if not typer.confirm(f"{words} Go on?", err=True):
        raise Failed("nothing was changed")


def _preview(told: dict[str, Any]) -> str:
    notes = " ".join(told["notes"])
    clients, refused = told["clients"], told["would_be_refused"]
    if clients is None:
        return notes if refused is None else ""
    seen = f"{_clients(clients)} seen since {told['since']}"
    if refused is None:
        return f"{seen} with a valid certificate. {notes}"
    if not clients:
        return f"No client was seen since {told['since']}: whom this would shut out is not known. {notes}".rstrip()
    if not refused:
        return f"{seen}; none of them would be refused. {notes}".rstrip()
    return f"{seen}; {refused} of them would be refused: {_some(told['some'], refused)}. {notes}".rstrip()


def _clients(number: int) -> str:
    return "1 client was" if number == 1 else f"{number} clients were"


def _some(some: list[dict[str, Any]], of: int) -> str:
    named = list(dict.fromkeys(f"{_who(one)} ({one['code']})" for one in some if not one["summed"]))[:_NAMED]
    more = of - len(named)
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def _summary(found: dict[str, Any]) -> str:
    name = found["listener_name"] or found["listener_id"]
    head = f"{name} rehearses {_SCOPES.get(found['scope'], found['scope'])} since {found['since']}."
    if not found["requests"] and not found["clients"]:
        return f"{head} Nobody came yet."
    refused, lately = found["would_be_refused"], found["last_24_hours"]
    told = (
        f"{head} {_clients(found['clients'])} seen; {refused['clients']} would have been refused "
        f"({refused['requests']} of {found['requests']} requests), the last at {found['last_would_be_refusal']}."
        if refused["requests"] or refused["clients"]
        else f"{head} {_clients(found['clients'])} seen, and nobody would have been refused ({found['requests']} requests)."
    )
    last = f"Since {lately['since']}: {_clients(lately['clients'])} seen, {lately['would_be_refused']} would have been refused."
    apart = found["requests_not_told_apart"]
    return "\n".join([told, last, *([f"{apart} requests came from clients too many to tell them apart."] if apart else [])])


def _listed(one: dict[str, Any]) -> dict[str, Any]:
    return {
        **one,
        "listener": one["listener_name"] or one["listener_id"],
        "rehearses": _SCOPES.get(one["scope"], one["scope"]),
        "would_be_refused": one["would_be_refused"]["clients"],
    }


def _rule(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "rule": one["name"],
        "action": one["action"],
        "rehearsed": "yes" if one["shadow"] else "with the listener",
        "would_refuse": one["would_refuse"]["requests"],
        "would_admit": one["would_admit"]["requests"],
        "last_would_be_refusal": one["last_would_be_refusal"],
    }


def _row(one: dict[str, Any]) -> dict[str, Any]:
    example = one["example"]
    asked_for = f"{example['method']} {example['host']}{example['path']}".strip() if example else None
    rule = one["access_rule_name"] or one["access_rule_id"]
    return {**one, "who": _who(one), "from": one["client"], "asked_for": asked_for, "access_rule": rule}


def _who(one: dict[str, Any]) -> str:
    shown = one["certificate"]
    if one["summed"]:
        return "many"
    if shown is None:
        return f"{one['client']} without certificate"
    return str(shown["subject"] or shown["fingerprint_sha256"])
