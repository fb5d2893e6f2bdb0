"""`ostiary token`: grants to enrol, and keys to the API."""

import re
from typing import Annotated, Any

import typer

from ostiary.cli.client import Failed, connect
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_json, as_table, refusals_in_one_line

PATH = "/v1/tokens"
COLUMNS = ("name", "id", "kind", "status", "role", "profile", "expires_at", "created_by")
_OF_SERVERS = "ostiary server CA"  # signs no client
_SPAN = re.compile(r"(\d+)([mhd])")
_UNITS = {"m": "PT{}M", "h": "PT{}H", "d": "P{}D"}
_NAMES = {"cn": "common_name", "dns": "dns", "ip": "ip", "uri": "uri", "email": "email"}

app = typer.Typer(no_args_is_help=True)


@app.command()
@refusals_in_one_line
def create(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="A name of the certificate: CN, or dns:…, ip:…, uri:…, email:…; may be given again. With --role, whose it is."
        ),
    ] = None,
    profile: Annotated[str, typer.Option(help="What kind of certificate.")] = "device",
    ca: Annotated[str, typer.Option(help="Name or id of the authority that signs; needed when there are several.")] = "",
    group: Annotated[list[str] | None, typer.Option(help="A group it belongs to; may be given again.")] = None,
    owner: Annotated[str, typer.Option(help="Who will hold it.")] = "",
    lifetime: Annotated[str, typer.Option(help="How long the certificate is valid, such as 90d; default is the profile's.")] = "",
    uses: Annotated[int, typer.Option(min=1, max=1000, help="How many certificates it is good for.")] = 1,
    expires: Annotated[str, typer.Option(help="How long the token is good: 30m, 1h, 7d.")] = "",
    role: Annotated[str, typer.Option(help="A key to the API in place of a grant: admin, operator, auditor or monitor.")] = "",
    qr: Annotated[bool, typer.Option("--qr", help="Draw the link as a QR code.")] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Make a grant, and show the command, the link or the QR code to use it with. It is shown this once.

    Examples: `ostiary token create --profile device --name sensor-7 --group field --expires 1h --qr`,
    `ostiary token create --role operator --name bob`, `ostiary token create --role monitor --name prometheus --expires 365d`
    """
    client = connect(data_dir)
    wanted: dict[str, Any] = {"expires_in": _span(expires, "--expires")} if expires else {}
    if role:
        wanted |= {"role": role, "name": (name or [""])[0]}
    else:
        wanted |= {"profile": profile, "names": _names(name or []), "groups": group or [], "owner": owner, "uses": uses}
        wanted |= {"authority_id": _authority(client, ca)["id"]}
        wanted |= {"lifetime": _span(lifetime, "--lifetime")} if lifetime else {}
    made = client.call("POST", PATH, {"token": wanted})["token"]
    if json:
        as_json(made)
    elif role:
        print(
            f"{made['secret']}\n\nThis is shown once. {made['name']} sets OSTIARY_TOKEN to it; good until {made['expires_at']}."
        )
    else:
        _show(made, qr=qr)


@app.command("list")
@refusals_in_one_line
def list_(data_dir: DataDir = None, json: Json = False) -> None:
    """List tokens, without their secrets.

    Example: `ostiary token list`
    """
    found = connect(data_dir).call("GET", PATH)["tokens"]
    if json:
        as_json(found)
    else:
        as_table(found, COLUMNS, "No token yet. Make one with `ostiary token create`.")


@app.command()
@refusals_in_one_line
def revoke(token: Annotated[str, typer.Argument(help="Its id, or its name.")], data_dir: DataDir = None) -> None:
    """Revoke a token: from now on it opens nothing. Certificates that it was used for stay.

    Example: `ostiary token revoke sensor-7`
    """
    client = connect(data_dir)
    found = client.find(PATH, "token", "tokens", token)
    client.call("DELETE", f"{PATH}/{found['id']}")
    print(f"Revoked {found['name']} ({found['id']}).")


def _show(made: dict[str, Any], *, qr: bool) -> None:
    if not made["url"]:
        print(f"{made['secret']}\n\nThere is no door to enrol at: start with `ostiary up --enroll-listen HOST:PORT`.")
        return
    print(
        f"Good for {made['uses']} certificate{'s' if made['uses'] != 1 else ''} until {made['expires_at']}. This is shown once.\n"
    )
    print(f"On the device:\n\n  {made['command']}\n")
    print(f"In a browser there:\n\n  {made['url']}\n")
    if qr:
        _draw(made["url"])
    print("Or with curl and openssl:\n")
    print("".join(f"  {line}\n" for line in made["shell"].splitlines()), end="")


def _draw(url: str) -> None:
    import segno  # noqa: PLC0415 (only here)

    segno.make(url, error="m", micro=False).terminal(compact=True)
    print()


def _authority(client: Any, name_or_id: str) -> dict[str, Any]:
    """The authority named, or the only one that could be meant."""
    if name_or_id:
        return dict(client.find("/v1/authorities", "authority", "authorities", name_or_id))
    able = [
        one
        for one in client.call("GET", "/v1/authorities")["authorities"]
        if one["has_key"] and one["name"] != "ostiary server CA"
    ]
    issuing = [one for one in able if one["kind"] == "intermediate"] or able
    if len(issuing) == 1:
        return dict(issuing[0])
    if not issuing:
        raise Failed('there is no authority to sign with; make one: ostiary ca create "My Devices"')
    raise Failed(f"there are several authorities; choose one with --ca: {', '.join(one['name'] for one in issuing)}")


def _names(texts: list[str]) -> dict[str, Any]:
    """`sensor-7` is a common name, `dns:sensor-7.test` what it says."""
    names: dict[str, Any] = {}
    for text in texts:
        kind, _, rest = text.partition(":")
        if kind in _NAMES and rest:
            key, value = _NAMES[kind], rest
        else:
            key, value = "common_name", text
        if key == "common_name":
            if key in names:
                raise Failed("a certificate has one common name; write others as dns:…, ip:…, uri:… or email:…")
            names[key] = value
        else:
            names.setdefault(key, []).append(value)
    return names


def _span(text: str, option: str) -> str:
    """`30m`, `1h` or `7d` as ISO 8601, which is taken too."""
    found = _SPAN.fullmatch(text)
    if found is not None:
        return _UNITS[found[2]].format(found[1])
    if text.startswith("P"):
        return text
    raise Failed(f"{option}: '{text}' is no span of time such as 30m, 1h or 7d")
