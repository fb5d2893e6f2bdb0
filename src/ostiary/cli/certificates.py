"""`ostiary cert`: ask for and issue certificates; the other commands of this group are listed at the end."""

import base64
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from ostiary.cli import installing, inventory, revocation
from ostiary.cli.client import Failed, connect
from ostiary.cli.files import fill, read_pem, reserved, write_key, write_public
from ostiary.cli.inventory import PATH, one
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_json, refusals_in_one_line

KEY_TYPES: Final = ("EC-P256", "EC-P384", "RSA-3072", "RSA-4096")


def _profiles() -> list[str]:
    from ostiary.pki.profile import BUILT_IN  # noqa: PLC0415 (slow to load, and only to complete what is typed)

    return list(BUILT_IN)


ProfileName = Annotated[str, typer.Option(help="What kind of certificate.", autocompletion=_profiles)]

app = typer.Typer(no_args_is_help=True)


@app.command()
@refusals_in_one_line
def request(
    common_name: Annotated[str, typer.Argument(help="Who it is for.")],
    key: Annotated[Path, typer.Option(help="File for the new private key.", dir_okay=False)],
    csr: Annotated[Path, typer.Option(help="File for the request.", dir_okay=False)],
) -> None:
    """Make a private key and a certificate request on this machine. The key stays here.

    Example: `ostiary cert request alice --key alice.key --csr alice.csr`
    """
    from ostiary.pki.holder import new_key_and_request  # noqa: PLC0415 (slow to load, and only here)

    key_pem, csr_pem = new_key_and_request(common_name)
    write_key(key, key_pem)
    try:
        write_public(csr, csr_pem)
    except Failed:
        key.unlink()  # Made a moment ago for a request that does not exist.
        raise
    print(f"Wrote {key} (keep it secret) and {csr}. Next: ostiary cert issue {csr} --ca CA --out {csr.with_suffix('.pem')}")


@app.command()
@refusals_in_one_line
def issue(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    csr: Annotated[Path, typer.Argument(help="The certificate request, PEM.", exists=True, dir_okay=False)],
    ca: Annotated[str, typer.Option(help="Name or id of the authority that signs.")],
    profile: ProfileName = "client",
    lifetime: Annotated[str | None, typer.Option(help="ISO 8601 duration such as P90D; default is the profile's.")] = None,
    owner: Annotated[str, typer.Option(help="Who holds it.")] = "",
    group: Annotated[list[str] | None, typer.Option(help="A group it belongs to; may be given again.")] = None,
    out: Annotated[Path | None, typer.Option(help="File for certificate and chain, PEM; default is standard output.")] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Issue a certificate for a request.

    Example: `ostiary cert issue alice.csr --ca "demo issuing CA" --owner alice --out alice.pem`
    """
    client = connect(data_dir)
    wanted = {
        "authority_id": client.find("/v1/authorities", "authority", "authorities", ca)["id"],
        "csr": read_pem(csr, "req"),
        "profile": profile,
        "lifetime": lifetime,
        "owner": owner,
        "groups": group or [],
    }
    made = client.call("POST", PATH, {"certificate": {name: value for name, value in wanted.items() if value is not None}})
    if "certificate" not in made:
        _tell_that_it_waits(made["certificate_request"], json=json)
        return
    _tell_issued(made["certificate"], out, json=json)


@app.command()
@refusals_in_one_line
def generate(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    common_name: Annotated[str, typer.Argument(help="Who it is for.")],
    ca: Annotated[str, typer.Option(help="Name or id of the authority that signs.")],
    out: Annotated[Path, typer.Option(help="File for certificate, key and chain (PKCS#12).", dir_okay=False)],
    dns: Annotated[list[str] | None, typer.Option(help="A DNS name it carries; may be given again.")] = None,
    email: Annotated[list[str] | None, typer.Option(help="An e-mail address it carries; may be given again.")] = None,
    uri: Annotated[list[str] | None, typer.Option(help="A URI it carries; may be given again.")] = None,
    profile: ProfileName = "client",
    lifetime: Annotated[str | None, typer.Option(help="ISO 8601 duration such as P90D; default is the profile's.")] = None,
    owner: Annotated[str, typer.Option(help="Who holds it.")] = "",
    group: Annotated[list[str] | None, typer.Option(help="A group it belongs to; may be given again.")] = None,
    key_type: Annotated[
        str, typer.Option(help=f"One of {', '.join(KEY_TYPES)}.", autocompletion=lambda: list(KEY_TYPES))
    ] = "EC-P256",
    compatible: Annotated[
        bool, typer.Option("--compatible", help="For Apple's systems, Android up to 13, Windows Server 2016.")
    ] = False,
    mobileconfig: Annotated[Path | None, typer.Option(help="File for the same as an Apple profile.", dir_okay=False)] = None,
    ask_passphrase: Annotated[
        bool, typer.Option("--ask-passphrase", help="Ask for a passphrase; without this one is made and shown.")
    ] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Make a key and a certificate for a device that cannot make its own, as a PKCS#12 file. The key is kept nowhere else.

    Example: `ostiary cert generate alice --ca "demo issuing CA" --email alice@example.com --out alice.p12`
    """
    client = connect(data_dir)
    names = {"common_name": common_name, "dns": dns or [], "email": email or [], "uri": uri or []}
    wanted = {
        "key": "generate",
        "authority_id": client.find("/v1/authorities", "authority", "authorities", ca)["id"],
        "names": names,
        "profile": profile,
        "lifetime": lifetime,
        "owner": owner,
        "groups": group or [],
        "key_type": key_type,
        "pkcs12_form": "compatible" if compatible else "modern",
        "mobileconfig": mobileconfig is not None,
        "passphrase": _passphrase() if ask_passphrase else None,
    }
    with reserved(out, *([mobileconfig] if mobileconfig else [])):
        made = client.call("POST", PATH, {"certificate": wanted})["certificate"]
        fill(out, base64.b64decode(made.pop("pkcs12")))
        profile_text = made.pop("mobileconfig")
        if mobileconfig:
            fill(mobileconfig, base64.b64decode(profile_text))
    if json:
        as_json(made)
        return
    print(f"Wrote {out}: {made['subject']}, serial {made['serial']}, valid until {made['not_after']}")
    if made["passphrase"]:
        print(f"Passphrase, shown this once: {made['passphrase']}")
    print("How to install it: ostiary cert install-help")


@app.command()
@refusals_in_one_line
def renew(
    certificate: inventory.Certificate,
    csr: Annotated[Path, typer.Option(help="A request made with a new key, PEM.", exists=True, dir_okay=False)],
    out: Annotated[Path | None, typer.Option(help="File for certificate and chain, PEM; default is standard output.")] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Issue the successor of a certificate: the same names, a new key, a new time. The old one stays good to its end.

    Example: `ostiary cert renew 6f1c… --csr alice.csr --out alice.pem`
    """
    client = connect(data_dir)
    old = one(client, certificate)
    made = client.call("POST", f"{PATH}/{quote(old['id'], safe='')}/renew", {"csr": read_pem(csr, "req")})
    _tell_issued(made["certificate"], out, json=json)


@app.command("set")
@refusals_in_one_line
def set_(
    certificate: inventory.Certificate,
    group: Annotated[list[str] | None, typer.Option(help="Put it into this group; may be given again.")] = None,
    no_group: Annotated[list[str] | None, typer.Option(help="Take it out of this group; may be given again.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who holds it.")] = None,
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Change the groups, owner or name of a certificate. What a group permits holds, or ends, at once, on open connections too.

    Examples: `ostiary cert set 6f1c… --group field`, `ostiary cert set 6f1c… --no-group field --owner bob`
    """
    client = connect(data_dir)
    found = one(client, certificate)
    absent = [each for each in no_group or [] if each not in found["groups"]]
    if absent:
        raise Failed(f"it is not in group '{absent[0]}'; it is in: {', '.join(found['groups']) or 'none'}")
    changes: dict[str, Any] = {"owner": owner, "name": name}
    if group or no_group:
        changes["groups"] = [each for each in (*found["groups"], *(group or [])) if each not in (no_group or [])]
    given = {key: value for key, value in changes.items() if value is not None}
    if not given:
        raise Failed("say what to change: --group, --no-group, --owner or --name")
    after = client.call("PUT", f"{PATH}/{quote(found['id'], safe='')}", {"certificate": given})["certificate"]
    if json:
        as_json(after)
    else:
        print(f"{after['subject']}: owner {after['owner'] or 'nobody'}, groups {', '.join(after['groups']) or 'none'}.")


def _passphrase() -> str:
    return str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt="The same passphrase again"))


def _tell_issued(certificate: dict[str, Any], out: Path | None, *, json: bool) -> None:
    if out is not None:
        _write(out, certificate)
    if json:
        as_json(certificate)
    elif out is None:
        print(certificate["certificate"] + certificate["chain"], end="")
    else:
        print(f"Wrote {out}: {certificate['subject']}, serial {certificate['serial']}, valid until {certificate['not_after']}")


def _tell_that_it_waits(request: dict[str, Any], *, json: bool) -> None:
    if json:
        as_json(request)
    else:
        print(f"It waits for others to approve it: certificate request {request['id']}.")


def _write(out: Path, certificate: dict[str, Any]) -> None:
    try:
        write_public(out, certificate["certificate"] + certificate["chain"])
    except Failed as failed:
        raise Failed(f"{failed}. The certificate is issued: ostiary cert show {certificate['id']}") from None


app.command("list")(inventory.list_)
app.command()(inventory.show)
app.command()(inventory.download)
app.command()(revocation.revoke)
app.command()(revocation.hold)
app.command()(revocation.release)
app.command("install-help")(installing.install_help)
