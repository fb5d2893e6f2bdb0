"""`ostiary access`: which clients may reach what on a listener; what-if; exceptions."""

import sys
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from ostiary.cli import access_exceptions, inventory, rehearsals
from ostiary.cli.client import Client, Failed, connect
from ostiary.cli.files import read_pem
from ostiary.cli.holders import (
    CA,
    CN,
    DNS,
    OU,
    SPIFFE,
    URI,
    Email,
    Fingerprint,
    Group,
    Many,
    Profile,
    Serial,
    holders_of,
    texts,
    who,
)
from ostiary.cli.listeners import PATH as LISTENERS
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, as_table, refusals_in_one_line
from ostiary.cli.times import ahead

PATH: Final = "/v1/access-rules"
COLUMNS: Final = ("position", "name", "action", "who", "what", "from", "when", "id")
OF_ALL: Final = ("listener", *COLUMNS)
CHECKS: Final = ("stage", "name", "result", "detail")
_OF_REQUESTS: Final = ("hosts", "paths", "methods", "sources")
_GIVEN: Final = ("name", "position", "action", "certificate", *_OF_REQUESTS, "not_before", "not_after", "shadow")

app = typer.Typer(no_args_is_help=True)
app.add_typer(access_exceptions.app, name="exception")

Listener = Annotated[str, typer.Argument(help="The listener's name or id.")]
Rule = Annotated[str, typer.Argument(help="The rule's name or id.")]
Allow = Annotated[bool, typer.Option("--allow", help="Let through what fits.")]
Deny = Annotated[bool, typer.Option("--deny", help="Refuse what fits.")]
Host = Annotated[Many, typer.Option("--host", help="The host asked for, *.a.test (one label) or **.a.test (all below).")]
PathOption = Annotated[Many, typer.Option("--path", help="/a is that path, '/a/*' that and all below, '/a*' all that begin so.")]
Method = Annotated[Many, typer.Option("--method", help="The HTTP method.")]
Source = Annotated[Many, typer.Option("--source", help="A network the client comes from.")]
From = Annotated[str | None, typer.Option("--from", help="From when it holds: 2027-01-31, 2027-01-31T12:00:00Z, or 2h from now.")]
Until = Annotated[str | None, typer.Option("--until", help="Until when it holds, likewise.")]
Position = Annotated[
    int | None, typer.Option("--position", min=1, help="Its place, from 1; the others make room. Default: last.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("list")
@refusals_in_one_line
def list_(
    listener: Annotated[str | None, typer.Argument(help="The listener's name or id; all without it.")] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List access rules in the order they are tried.

    Example: `ostiary access list demo`
    """
    client = connect(data_dir)
    listener_id = None if listener is None else client.find(LISTENERS, "listener", "listeners", listener)["id"]
    found = client.call("GET", PATH, listener_id=listener_id)["access_rules"]
    if json:
        as_json(found)
        return
    nothing = "No access rule yet: every valid certificate is let in. Add one with `ostiary access add`."
    as_table([_row(client, rule) for rule in found], COLUMNS if listener_id else OF_ALL, nothing)
    for rule in found:
        _warn(rule)


@app.command()
@refusals_in_one_line
def add(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    listener: Listener,
    name: Annotated[str, typer.Option(help="What it is for.")],
    allow: Allow = False,
    deny: Deny = False,
    group: Group = None,
    profile: Profile = None,
    ca: CA = None,
    fingerprint: Fingerprint = None,
    serial: Serial = None,
    cn: CN = None,
    ou: OU = None,
    dns: DNS = None,
    uri: URI = None,
    email: Email = None,
    spiffe: SPIFFE = None,
    host: Host = None,
    path: PathOption = None,
    method: Method = None,
    source: Source = None,
    from_: From = None,
    until: Until = None,
    position: Position = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="Only rehearse it: what it would refuse is told, and served.")] = False,
    yes: Yes = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Add an access rule. Without options a rule fits everybody and everything; each kind of option that is given has to fit.

    With the first rule, what no rule allows is refused: whom that shuts out of the clients of the last 24 hours is told first.

    Examples: `ostiary access add demo --allow --name "field reads" --group field --path '/v1/*' --method GET`,
    `ostiary access add demo --deny --name "no admin from outside" --path '/admin/*' --position 1`
    """
    client = connect(data_dir)
    found = client.find(LISTENERS, "listener", "listeners", listener)
    given: dict[str, Any] = {"name": name, "position": position, "action": _action(allow=allow, deny=deny), "shadow": shadow}
    holders = holders_of(client, (group, profile, ca, fingerprint, serial, cn, ou, dns, uri, email, spiffe))
    given |= {"certificate": holders, **_requests(host, path, method, source), **_window(from_, until)}
    rule = {key: value for key, value in given.items() if value}
    _be_sure(client, found, {"rule": rule}, yes=yes)
    made = client.call("POST", PATH, {"access_rule": {"listener_id": found["id"], **rule}})["access_rule"]
    _tell(made, f"Added '{made['name']}' at position {made['position']} of {made['listener']}.", json=json)


@app.command()
@refusals_in_one_line
def show(rule: Rule, data_dir: DataDir = None, json: Json = False) -> None:
    """Show one access rule.

    Example: `ostiary access show "field reads"`
    """
    (as_json if json else as_fields)(_found(connect(data_dir), rule))


@app.command("set")
@refusals_in_one_line
def set_(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    rule: Rule,
    name: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    allow: Allow = False,
    deny: Deny = False,
    group: Group = None,
    profile: Profile = None,
    ca: CA = None,
    fingerprint: Fingerprint = None,
    serial: Serial = None,
    cn: CN = None,
    ou: OU = None,
    dns: DNS = None,
    uri: URI = None,
    email: Email = None,
    spiffe: SPIFFE = None,
    host: Host = None,
    path: PathOption = None,
    method: Method = None,
    source: Source = None,
    from_: From = None,
    until: Until = None,
    shadow: Annotated[
        bool | None, typer.Option("--shadow/--no-shadow", " /--enforce", help="Whether it is only rehearsed.")
    ] = None,
    yes: Yes = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Change an access rule. What is given takes the place of what it had; an empty text takes it away.

    Examples: `ostiary access set "field reads" --enforce`, `ostiary access set "field reads" --method GET --method HEAD`,
    `ostiary access set "field reads" --until ''`
    """
    client = connect(data_dir)
    before = _found(client, rule)
    changes: dict[str, Any] = {**_requests(host, path, method, source), **_window(from_, until)}
    changes |= {"name": name} if name is not None else {}
    changes |= {"action": _action(allow=allow, deny=deny)} if allow or deny else {}
    changes |= {"shadow": shadow} if shadow is not None else {}
    holders = holders_of(client, (group, profile, ca, fingerprint, serial, cn, ou, dns, uri, email, spiffe))
    changes |= {"certificate": {**before["certificate"], **holders}} if holders else {}
    if not changes:
        raise Failed("say what to change; see ostiary access set --help")
    _change(client, before, changes, yes=yes, json=json)


@app.command()
@refusals_in_one_line
def move(
    rule: Rule,
    position: Annotated[int, typer.Argument(min=1, help="Its new place, from 1.")],
    yes: Yes = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Move an access rule: it is tried at that place, and the others make room.

    Example: `ostiary access move "field reads" 1`
    """
    client = connect(data_dir)
    _change(client, _found(client, rule), {"position": position}, yes=yes, json=json)


@app.command()
@refusals_in_one_line
def remove(rule: Rule, yes: Yes = False, data_dir: DataDir = None) -> None:
    """Remove an access rule. Without any, every valid certificate is let in.

    Example: `ostiary access remove "field reads"`
    """
    client = connect(data_dir)
    found = _found(client, rule)
    others = client.call("GET", PATH, listener_id=found["listener_id"])["access_rules"]
    if len(others) == 1 and not yes:
        _ask(f"It is the only rule of {found['listener']}: without it every valid certificate is let in.")
    _be_sure(client, {"id": found["listener_id"], "name": found["listener"]}, {"without": [found["id"]]}, yes=yes)
    client.call("DELETE", f"{PATH}/{quote(found['id'], safe='')}")
    print(f"Removed '{found['name']}' from {found['listener']}.")


@app.command("test")
@refusals_in_one_line
def try_(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    listener: Listener,
    cert: Annotated[
        Path | None, typer.Option(help="What the client shows: PEM, with its chain.", exists=True, dir_okay=False)
    ] = None,
    cert_id: Annotated[str | None, typer.Option(help="The same of a certificate on record: id, serial or fingerprint.")] = None,
    host: Annotated[str, typer.Option(help="The host that is asked for.")] = "",
    path: Annotated[str, typer.Option(help="The path, with its query.")] = "/",
    method: Annotated[str, typer.Option(help="The HTTP method.")] = "GET",
    source: Annotated[str | None, typer.Option(help="The client's address; needed where a rule asks for networks.")] = None,
    header: Annotated[Many, typer.Option(help="A header, such as 'Origin: https://a.test'; may be given again.")] = None,
    at: Annotated[str | None, typer.Option(help="When: 2027-01-31T12:00:00Z, or 2h from now; default is now.")] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Ask what would become of a request, check by check. Nothing is changed and no traffic is touched.

    Example: `ostiary access test demo --cert client.pem --host api.test --path /v1/items --method POST`
    """
    client = connect(data_dir)
    asked: dict[str, Any] = {"listener_id": client.find(LISTENERS, "listener", "listeners", listener)["id"]}
    asked |= {"host": host, "path": path, "method": method, "source": source, "headers": dict(map(_header, header or []))}
    if cert is not None and cert_id is not None:
        raise Failed("--cert and --cert-id say the same; give one of them")
    asked |= {"certificate": read_pem(cert, "x509")} if cert is not None else {}
    asked |= {"certificate_id": inventory.one(client, cert_id)["id"]} if cert_id is not None else {}
    asked |= {"at": ahead(at, "--at")} if at is not None else {}
    told = client.call("POST", f"{PATH}/test", asked)["test"]
    if json:
        as_json(told)
        return
    by = f" by '{told['access_rule']}'" if told["access_rule"] else ""
    print(f"{told['decision']}: {told['reason']}{by}, at the {told['stage']}. {told['detail']} {told['fix']}".rstrip())
    if told["would_be"] is not None:
        would_be = told["would_be"]
        print(f"If what is rehearsed were in force: {would_be['decision']}, {would_be['reason']}. {would_be['detail']}".rstrip())
    print()
    as_table(told["checks"], CHECKS, "Nothing is checked.")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise Failed(f"--header: '{text}' is no header such as 'Origin: https://a.test'")
    return name.strip(), value.strip()


def _action(*, allow: bool, deny: bool) -> str:
    if allow == deny:
        raise Failed("say one of --allow and --deny")
    return "ALLOW" if allow else "DENY"


def _requests(host: Many, path: Many, method: Many, source: Many) -> dict[str, list[str]]:
    given = zip(_OF_REQUESTS, (host, path, method, source), strict=True)
    return {name: texts(values) for name, values in given if values}


def _window(from_: str | None, until: str | None) -> dict[str, str | None]:
    given = {"not_before": (from_, "--from"), "not_after": (until, "--until")}
    return {name: ahead(text, option) if text else None for name, (text, option) in given.items() if text is not None}


def _found(client: Client, rule: str) -> dict[str, Any]:
    return client.find(PATH, "access rule", "access_rules", rule)


def _change(client: Client, before: dict[str, Any], changes: dict[str, Any], *, yes: bool, json: bool) -> None:
    after = {name: value for name, value in {**before, **changes}.items() if name in _GIVEN}
    listener = {"id": before["listener_id"], "name": before["listener"]}
    _be_sure(client, listener, {"without": [before["id"]], "rule": after}, yes=yes)
    if before["shadow"] and changes.get("shadow") is False:  # by what was rehearsed, requests are counted too
        rehearsals.be_sure(client, before["listener_id"], yes=yes, quiet=json, access_rule_id=before["id"])
    stored = client.call("PUT", f"{PATH}/{quote(before['id'], safe='')}", {"access_rule": changes})["access_rule"]
    _tell(stored, f"Changed '{stored['name']}', at position {stored['position']} of {stored['listener']}.", json=json)


def _be_sure(client: Client, listener: dict[str, Any], trial: dict[str, Any], *, yes: bool) -> None:
    """Say whom it would shut out. Raises `Failed` unless whoever asks means it."""
    if yes:
        return
    told = client.call("POST", f"{PATH}/preview", {"listener_id": listener["id"], **trial})["preview"]
    if told["refused"]:
        some = ", ".join(one["subject"] or one["fingerprint_sha256"][:16] for one in told["some"][:3])
        more = f" and {told['refused'] - 3} more" if told["refused"] > 3 else ""
        _ask(
            f"{told['refused']} of {told['looked_at']} clients that {listener['name'] or listener['id']} served within 24 hours "
            f"would be refused, whatever they ask for: {some}{more}."
        )


def _ask(about: str) -> None:
    if not sys.stdin.isatty():
        raise Failed(f"{about} Say --yes to do it")
    if not typer.confirm(f"{about} Go on?"):
        raise Failed("nothing was changed")


def _tell(rule: dict[str, Any], what: str, *, json: bool) -> None:
    if json:
        as_json(rule)
        return
    print(what)
    _warn(rule)


def _warn(rule: dict[str, Any]) -> None:
    for words in rule["warnings"]:
        print(f"'{rule['name']}': {words}")


def _row(client: Client, rule: dict[str, Any]) -> dict[str, Any]:
    """A rule for people: who, what, from where, when."""
    what = [*rule["methods"], *rule["hosts"], *rule["paths"]]
    return {
        **rule,
        "action": f"{rule['action']} (shadow)" if rule["shadow"] else rule["action"],
        "who": "; ".join(who(client, rule["certificate"])) or "everybody",
        "what": " ".join(what) or "everything",
        "from": " ".join(rule["sources"]) or "anywhere",
        "when": " to ".join(rule[name] or "…" for name in ("not_before", "not_after"))
        if rule["not_before"] or rule["not_after"]
        else "always",
    }
