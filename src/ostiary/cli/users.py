"""`ostiary user`: people who sign in to the console with a client certificate, and what they may do."""

from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from ostiary.cli.client import Client, Failed, connect
from ostiary.cli.holders import CA, CN, DNS, OU, SPIFFE, URI, Email, Fingerprint, Group, Profile, Serial, holders_of, who
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, as_table, refusals_in_one_line

PATH: Final = "/v1/users"
COLUMNS: Final = ("name", "role", "who", "id")

app = typer.Typer(no_args_is_help=True)

User = Annotated[str, typer.Argument(help="The user's name or id.")]


@app.command("list")
@refusals_in_one_line
def list_(data_dir: DataDir = None, json: Json = False) -> None:
    """List users: what they may do, and by which certificate they are known.

    Example: `ostiary user list`
    """
    client = connect(data_dir)
    found = client.call("GET", PATH)["users"]
    if json:
        as_json(found)
        return
    rows = [{**user, "who": "; ".join(who(client, user["certificate"]))} for user in found]
    as_table(rows, COLUMNS, "No user yet: the console opens to links and tokens. Add one with `ostiary user add`.")


@app.command()
@refusals_in_one_line
def show(user: User, data_dir: DataDir = None, json: Json = False) -> None:
    """Show one user.

    Example: `ostiary user show alice`
    """
    (as_json if json else as_fields)(_found(connect(data_dir), user))


@app.command()
@refusals_in_one_line
def add(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    name: Annotated[str, typer.Argument(help="What the record calls them.")],
    role: Annotated[str, typer.Option(help="What they may do: admin, operator or auditor.")],
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
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Add a user: whoever shows a certificate that fits signs in to the console as them. Each kind of option has to fit.

    The certificate has to be one that an administrator issued, and fit no other user.

    Examples: `ostiary user add alice --role admin --cn alice --ca "Staff"`,
    `ostiary user add eve --role auditor --email eve@a.test`
    """
    client = connect(data_dir)
    holders = holders_of(client, (group, profile, ca, fingerprint, serial, cn, ou, dns, uri, email, spiffe))
    made = client.call("POST", PATH, {"user": {"name": name, "role": role, "certificate": holders}})["user"]
    _tell(client, made, "Added", json=json)


@app.command("set")
@refusals_in_one_line
def set_(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    user: User,
    role: Annotated[str | None, typer.Option(help="What they may do: admin, operator or auditor.")] = None,
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
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Change a user. An option that is given takes the place of what was there; '' takes it away.

    Sessions of theirs that began with what is gone are ended.

    Example: `ostiary user set alice --role operator`
    """
    client = connect(data_dir)
    before = _found(client, user)
    changes: dict[str, Any] = {"role": role} if role is not None else {}
    holders = holders_of(client, (group, profile, ca, fingerprint, serial, cn, ou, dns, uri, email, spiffe))
    changes |= {"certificate": {**before["certificate"], **holders}} if holders else {}
    if not changes:
        raise Failed("say what to change; see ostiary user set --help")
    stored = client.call("PUT", f"{PATH}/{quote(before['id'], safe='')}", {"user": changes})["user"]
    _tell(client, stored, "Changed", json=json)


@app.command()
@refusals_in_one_line
def remove(user: User, data_dir: DataDir = None) -> None:
    """Remove a user, and with them their sessions. Whoever has the token of the data directory gets in still.

    Example: `ostiary user remove alice`
    """
    client = connect(data_dir)
    found = _found(client, user)
    client.call("DELETE", f"{PATH}/{quote(found['id'], safe='')}")
    print(f"Removed {found['name']} ({found['id']}).")


def _found(client: Client, user: str) -> dict[str, Any]:
    return client.find(PATH, "user", "users", user)


def _tell(client: Client, user: dict[str, Any], what: str, *, json: bool) -> None:
    if json:
        as_json(user)
    else:
        print(f"{what} {user['name']} ({user['role']}): {'; '.join(who(client, user['certificate']))}.")
