"""`ostiary notify`: who is told what ends and what is wrong, by letter or by webhook."""

from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from ostiary.cli.client import Failed, connect
from ostiary.cli.fields import Set, fields_of
from ostiary.cli.files import read_pem
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, as_table, refusals_in_one_line
from ostiary.cli.passphrases import passphrase

PATH: Final = "/v1/notification-targets"
COLUMNS: Final = ("name", "kind", "place", "topics", "severity", "state", "waiting", "given_up", "id")
TOPICS: Final = ("expiry", "freshness", "gateways", "break-glass", "approvals", "notifications")
_SECURITY: Final = ("starttls", "tls", "plain")

app = typer.Typer(no_args_is_help=True)
add = typer.Typer(no_args_is_help=True, help="Have somebody told: a mailbox, or a program by its webhook.")
app.add_typer(add, name="add")

Target = Annotated[str, typer.Argument(help="The target's name or id.")]
Topics = Annotated[
    list[str] | None, typer.Option("--topic", help=f"One of {', '.join(TOPICS)}; may be given again. Default: all.")
]
Severity = Annotated[str, typer.Option(help="The least that is told: info, warning or critical.")]
Language = Annotated[str, typer.Option(help="en or vi.")]
Digest = Annotated[
    int | None,
    typer.Option("--digest-hours", min=0, max=168, help="Gather what does not hurry for so long; 0 tells each by itself."),
]
Networks = Annotated[
    list[str] | None,
    typer.Option("--private-network", help="A network of yours where it may be, such as 10.20.0.0/16; may be given again."),
]
Trusted = Annotated[
    Path | None, typer.Option("--ca-file", help="CA certificates, PEM, that vouch for its server.", dir_okay=False)
]


@app.command("list")
@refusals_in_one_line
def list_(data_dir: DataDir = None, json: Json = False) -> None:
    """List targets, and how it stands with each.

    Example: `ostiary notify list`
    """
    found = connect(data_dir).call("GET", PATH)["notification_targets"]
    if json:
        as_json(found)
        return
    as_table(
        map(_row, found), COLUMNS, "Nobody is told. Add a target with `ostiary notify add email` or `ostiary notify add webhook`."
    )


@app.command()
@refusals_in_one_line
def show(target: Target, data_dir: DataDir = None, json: Json = False) -> None:
    """Show a target with its last messages, and why those were not taken that wait or were given up.

    Example: `ostiary notify show ops`
    """
    client = connect(data_dir)
    found = client.call("GET", f"{PATH}/{quote(client.find(PATH, 'target', 'notification_targets', target)['id'], safe='')}")
    one = found["notification_target"]
    if json:
        as_json(one)
        return
    as_fields({name: value for name, value in one.items() if name not in {"messages", "secret"}})
    print()
    as_table(one["messages"], ("created_at", "type", "state", "attempts", "next_at", "error"), "Nothing was sent to it yet.")


@add.command()
@refusals_in_one_line
def email(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    name: Annotated[str, typer.Argument(help="A name for people.")],
    host: Annotated[str, typer.Option(help="The mail server.")],
    sender: Annotated[str, typer.Option("--from", help="Whom letters are from.")],
    to: Annotated[list[str], typer.Option(help="Whom letters are for; may be given again.")],
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="Default: 587, 465 for tls, 25 for plain.")] = None,
    security: Annotated[str, typer.Option(help="starttls, tls from the beginning, or plain.")] = "starttls",
    user: Annotated[str, typer.Option(help="Whom to sign in as; its password is asked for.")] = "",
    password_file: Annotated[Path | None, typer.Option(help="File with that password.", dir_okay=False)] = None,
    topic: Topics = None,
    severity: Severity = "info",
    language: Language = "en",
    digest_hours: Digest = None,
    private_network: Networks = None,
    ca_file: Trusted = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Tell people by letter. What does not hurry comes in one letter a day, what is critical at once.

    Example: `ostiary notify add email ops --host mail.example.com --from ostiary@example.com --to ops@example.com --user ostiary`
    """
    wanted = {
        "kind": "EMAIL",
        "host": host,
        "sender": sender,
        "recipients": to,
        "security": _one_of("--security", security, _SECURITY),
        **({"port": port} if port else {}),
        **({"username": user, "password": passphrase(password_file, user)} if user else {}),
    }
    _add(data_dir, wanted | _common(name, topic, severity, language, digest_hours, private_network, ca_file), json=json)


@add.command()
@refusals_in_one_line
def webhook(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    name: Annotated[str, typer.Argument(help="A name for people.")],
    url: Annotated[str, typer.Option(help="Where it is, or - to read it from --url-file: an address may be a secret.")] = "-",
    url_file: Annotated[Path | None, typer.Option(help="File with the address.", dir_okay=False)] = None,
    secret_file: Annotated[
        Path | None, typer.Option(help="File with the key of signatures, whsec_…; default is to make one.", dir_okay=False)
    ] = None,
    topic: Topics = None,
    severity: Severity = "info",
    language: Language = "en",
    digest_hours: Digest = None,
    private_network: Networks = None,
    ca_file: Trusted = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Tell a program, by signed JSON as Standard Webhooks has it. The key of its signatures is shown this once.

    Example: `ostiary notify add webhook alerts --url https://alerts.example.com/ostiary --severity warning`
    """
    address = passphrase(url_file, "the address") if url == "-" else url
    wanted = {"kind": "WEBHOOK", "url": address}
    wanted |= {"secret": passphrase(secret_file, "the key")} if secret_file is not None else {}
    _add(data_dir, wanted | _common(name, topic, severity, language, digest_hours, private_network, ca_file), json=json)


@app.command("set")
@refusals_in_one_line
def set_(
    target: Target,
    given: Set = None,
    password_file: Annotated[Path | None, typer.Option(help="File with another password.", dir_okay=False)] = None,
    url_file: Annotated[Path | None, typer.Option(help="File with another address of a webhook.", dir_okay=False)] = None,
    secret_file: Annotated[Path | None, typer.Option(help="File with another key of signatures.", dir_okay=False)] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Change a target; what is secret stays as it is unless it is given. What waits for it is tried at once.

    Examples: `ostiary notify set ops --set severity=CRITICAL`, `ostiary notify set ops --set enabled=false`,
    `ostiary notify set ops --set host=mail2.example.com --password-file ops.password`
    """
    files = {"password": password_file, "url": url_file, "secret": secret_file}
    changes = {**fields_of(given), **{name: passphrase(file, name) for name, file in files.items() if file is not None}}
    if not changes:
        raise Failed("say what to change, such as --set severity=CRITICAL; see: ostiary notify set --help")
    client = connect(data_dir)
    found = client.find(PATH, "target", "notification_targets", target)
    stored = client.call("PUT", f"{PATH}/{quote(found['id'], safe='')}", {"notification_target": changes})["notification_target"]
    if json:
        as_json(stored)
    else:
        print(f"Changed {stored['name']}. See that it works: ostiary notify test {stored['name']}")


@app.command()
@refusals_in_one_line
def remove(target: Target, data_dir: DataDir = None) -> None:
    """Remove a target, and what waits for it.

    Example: `ostiary notify remove ops`
    """
    client = connect(data_dir)
    found = client.find(PATH, "target", "notification_targets", target)
    client.call("DELETE", f"{PATH}/{quote(found['id'], safe='')}")
    print(f"Removed {found['name']} ({found['id']}).")


@app.command("test")
@refusals_in_one_line
def try_(target: Target, data_dir: DataDir = None, json: Json = False) -> None:
    """Send a test at once, and say what came of it.

    Example: `ostiary notify test ops`
    """
    client = connect(data_dir)
    found = client.find(PATH, "target", "notification_targets", target)
    outcome = client.call("POST", f"{PATH}/{quote(found['id'], safe='')}/test")["test"]
    if json:
        as_json(outcome)
        return
    if not outcome["delivered"]:
        raise Failed(f"{found['name']} was not told: {outcome['problem']}")
    print(f"{found['name']} has it." + (f" But {outcome['problem']}" if outcome["problem"] else ""))


def _common(
    name: str,
    topics: list[str] | None,
    severity: str,
    language: str,
    digest_hours: int | None,
    networks: list[str] | None,
    ca_file: Path | None,
) -> dict[str, Any]:
    return {
        "name": name,
        "severity": _one_of("--severity", severity, ("info", "warning", "critical")),
        "language": language,
        **({"topics": [_one_of("--topic", one, TOPICS) for one in topics]} if topics else {}),
        **({"digest_hours": digest_hours} if digest_hours is not None else {}),
        **({"private_networks": networks} if networks else {}),
        **({"trusted_certificates": read_pem(ca_file, "x509")} if ca_file is not None else {}),
    }


def _one_of(option: str, given: str, words: tuple[str, ...]) -> str:
    if given.lower() not in words:
        raise Failed(f"{option}: '{given}' is none of {', '.join(words)}")
    return given.upper().replace("-", "_")


def _add(data_dir: Path | None, wanted: dict[str, Any], *, json: bool) -> None:
    made = connect(data_dir).call("POST", PATH, {"notification_target": wanted})["notification_target"]
    if json:
        as_json(made)
        return
    print(f"Added {made['name']} ({made['id']}). See that it works: ostiary notify test {made['name']}")
    if made["secret"]:
        print(f"The key of its signatures, shown this once:\n\n  {made['secret']}")


def _row(one: dict[str, Any]) -> dict[str, Any]:
    state = "works" if one["last_sent_at"] else "not tried yet"
    state = f"fails since {one['failing_since']}" if one["failing_since"] else state
    return {
        **one,
        "place": one["url_shown"] or f"{one['host']}: {', '.join(one['recipients'])}",
        "topics": "all" if len(one["topics"]) == len(TOPICS) else ", ".join(one["topics"]).lower().replace("_", "-"),
        "state": state if one["enabled"] else "out of service",
    }
