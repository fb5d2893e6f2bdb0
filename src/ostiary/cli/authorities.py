"""`ostiary ca`: the authorities in the system."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ostiary.cli.client import Failed, connect
from ostiary.cli.files import is_pkcs12, read_base64, read_pem, write_key, write_public
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, as_table, refusals_in_one_line
from ostiary.cli.passphrases import PassphraseFile, passphrase

PATH = "/v1/authorities"
COLUMNS = ("name", "id", "kind", "has_key", "subject", "not_after")

PathLength = Annotated[
    int | None,
    typer.Option(min=0, max=10, help="How many levels of authorities may be below it; an intermediate's default is 0."),
]
Permit = Annotated[list[str] | None, typer.Option(help="Permit only such names below it; may be given again.")]
Exclude = Annotated[list[str] | None, typer.Option(help="Permit no such names below it; may be given again.")]

app = typer.Typer(no_args_is_help=True)


@app.command("list")
@refusals_in_one_line
def list_(data_dir: DataDir = None, json: Json = False) -> None:
    """List authorities.

    Example: `ostiary ca list`
    """
    found = connect(data_dir).call("GET", PATH)["authorities"]
    if json:
        as_json(found)
    else:
        as_table(found, COLUMNS, "No authority yet. Make one with `ostiary ca create`.")


@app.command()
@refusals_in_one_line
def show(ca: Annotated[str, typer.Argument(help="Name or id.")], data_dir: DataDir = None, json: Json = False) -> None:
    """Show one authority with its certificate.

    Example: `ostiary ca show "demo issuing CA"`
    """
    (as_json if json else as_fields)(connect(data_dir).find(PATH, "authority", "authorities", ca))


@app.command()
@refusals_in_one_line
def create(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    name: Annotated[str, typer.Argument(help="Its name, also its common name.")],
    parent: Annotated[str | None, typer.Option(help="Name or id of the authority that signs it; none makes a root.")] = None,
    key: Annotated[str, typer.Option(help="EC-P256, EC-P384, ED25519, RSA-3072 or RSA-4096.")] = "EC-P256",
    custody: Annotated[
        str, typer.Option(help="file: kept here, encrypted. pkcs11: made in the token, which never lets it out.")
    ] = "file",
    lifetime_days: Annotated[
        int | None, typer.Option(min=1, help="How long it is valid; default is ten years, for an intermediate five.")
    ] = None,
    path_length: PathLength = None,
    permit_dns: Permit = None,
    permit_ip: Permit = None,
    permit_email: Permit = None,
    permit_uri: Permit = None,
    permit_directory: Permit = None,
    exclude_dns: Exclude = None,
    exclude_ip: Exclude = None,
    exclude_email: Exclude = None,
    exclude_uri: Exclude = None,
    exclude_directory: Exclude = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Make an authority whose key stays in the system, encrypted. What common engines will not accept of it is said.

    Examples: `ostiary ca create "My Root"`, `ostiary ca create "My Devices" --parent "My Root" --permit-dns devices.example`
    """
    client = connect(data_dir)
    constraints = {
        "permitted": _given(dns=permit_dns, ip=permit_ip, email=permit_email, uri=permit_uri, directory=permit_directory),
        "excluded": _given(dns=exclude_dns, ip=exclude_ip, email=exclude_email, uri=exclude_uri, directory=exclude_directory),
    }
    wanted: dict[str, Any] = {"name": name, "kind": "root", "key": key, "custody": custody, "lifetime_days": lifetime_days}
    wanted |= {"path_length": path_length, "name_constraints": constraints if any(constraints.values()) else None}
    if parent:
        wanted |= {"kind": "intermediate", "parent_id": client.find(PATH, "authority", "authorities", parent)["id"]}
    _made(client.call("POST", PATH, {"authority": wanted})["authority"], json=json)


@app.command("cross-sign")
@refusals_in_one_line
def cross_sign(
    ca: Annotated[str, typer.Argument(help="Name or id of the authority.")],
    parent: Annotated[str, typer.Option(help="Name or id of the authority that is to sign it as well.")],
    name: Annotated[str, typer.Option(help="A name for the certificate that this makes.")] = "",
    lifetime_days: Annotated[int, typer.Option(min=1, help="How long it is valid.")] = 1825,
    path_length: PathLength = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Have an authority signed by another parent too: whoever trusts that one then trusts this one.

    Example: `ostiary ca cross-sign "Old Root" --parent "New Root" --lifetime-days 365`
    """
    client = connect(data_dir)
    subject, above = (client.find(PATH, "authority", "authorities", which)["id"] for which in (ca, parent))
    wanted = {"parent_id": above, "name": name, "lifetime_days": lifetime_days, "path_length": path_length}
    _made(client.call("POST", f"{PATH}/{subject}/cross-sign", {"authority": wanted})["authority"], json=json)


def _given(**by_kind: list[str] | None) -> dict[str, list[str]]:
    return {kind: texts for kind, texts in by_kind.items() if texts}


def _made(authority: dict[str, Any], *, json: bool) -> None:
    """Show an authority that was just made, for people with what is to be known of it last."""
    if json:
        as_json(authority)
        return
    as_fields({name: value for name, value in authority.items() if name != "warnings"})
    for text in authority["warnings"]:
        print(f"Warning: {text}")


@app.command("import")
@refusals_in_one_line
def import_(
    file: Annotated[
        Path, typer.Argument(help="The CA certificate, PEM; or certificate and key, PKCS#12.", exists=True, dir_okay=False)
    ],
    name: Annotated[str, typer.Option(help="A name for it; default is its subject.")] = "",
    key: Annotated[
        Path | None, typer.Option(help="Its key, PEM: from then on it signs here.", exists=True, dir_okay=False)
    ] = None,
    passphrase_file: PassphraseFile = None,
    crl: Annotated[
        Path | None,
        typer.Option(help="The newest list it signed elsewhere: who is revoked stays so.", exists=True, dir_okay=False),
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Trust a CA whose key is elsewhere; with its key, have it sign here, or bring one back online whose key was taken out.

    Examples: `ostiary ca import partner-ca.pem --name "Partner CA"`, `ostiary ca import root.pem --key root.key`
    """
    wanted: dict[str, Any] = {"name": name}
    if is_pkcs12(file):
        wanted |= {"pkcs12": read_base64(file), "passphrase": passphrase(passphrase_file, str(file))}
    else:
        wanted["certificate"] = read_pem(file, "x509")
    if key is not None:
        wanted["private_key"] = read_pem(key, "pkey")
        if "ENCRYPTED" in wanted["private_key"]:
            wanted["passphrase"] = passphrase(passphrase_file, str(key))
    if crl is not None:
        wanted["crl"] = read_pem(crl, "crl")
    made = connect(data_dir).call("POST", PATH, {"authority": wanted})["authority"]
    (as_json if json else as_fields)(made)


@app.command()
@refusals_in_one_line
def export(
    ca: Annotated[str, typer.Argument(help="Name or id.")],
    out: Annotated[Path | None, typer.Option(help="File for the certificate; default is standard output.")] = None,
    key_out: Annotated[Path | None, typer.Option(help="File for its key, encrypted under a passphrase (PKCS#8).")] = None,
    remove_key: Annotated[bool, typer.Option("--remove-key", help="Have the key leave the system: the CA is offline.")] = False,
    passphrase_file: PassphraseFile = None,
    data_dir: DataDir = None,
) -> None:
    """Write the authority's certificate, PEM; with --key-out its key too, encrypted.

    With --remove-key it is in that file alone afterwards, and nothing can be signed by the authority until it is imported again.

    Examples: `ostiary ca export "ostiary server CA" --out ca.pem`,
    `ostiary ca export "My Root" --out root.pem --key-out root.key --remove-key`
    """
    client = connect(data_dir)
    authority = client.find(PATH, "authority", "authorities", ca)
    if key_out is not None:
        secret = passphrase(passphrase_file, str(key_out), new=True)
        export_path, wanted = f"{PATH}/{authority['id']}/export", {"passphrase": secret, "format": "pkcs8"}
        content = client.call("POST", export_path, {"export": wanted})["export"]["content"]
        write_key(key_out, content.encode())
        _refuse_unless_it_opens(key_out, secret, authority["certificate"])
        if remove_key:
            # Only now: had it left before it was in the file for good, it could be lost on the way.
            client.call("POST", export_path, {"export": {**wanted, "remove": True}})
    elif remove_key:
        raise Failed("--remove-key needs --key-out: the key must be somewhere")
    if out is None:
        print(authority["certificate"], end="")
    else:
        write_public(out, authority["certificate"])


def _refuse_unless_it_opens(file: Path, secret: str, certificate: str) -> None:
    from ostiary.pki import chain, keys  # noqa: PLC0415 (slow to load, and only here)

    (known,) = chain.read_certificates(certificate.encode(), "certificate")
    if not keys.matches(known, keys.load(read_pem(file, "pkey").encode(), secret.encode(), str(file))):
        raise Failed(f"{file} does not hold the key of this authority; nothing was removed")
