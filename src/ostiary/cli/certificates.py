"""`ostiary cert`: ask for, issue and see certificates."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from ostiary.cli.client import Failed, connect
from ostiary.cli.files import read_pem, write_key, write_public
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, as_table, refusals_in_one_line
from ostiary.pki.holder import new_key_and_request

PATH = "/v1/certificates"
COLUMNS = ("subject", "id", "serial", "status", "owner", "not_after")

app = typer.Typer(no_args_is_help=True, help="Ask for, issue and see certificates.")


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
    profile: Annotated[str, typer.Option(help="client or server.")] = "client",
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
    certificate = made["certificate"]
    if out is not None:
        _write(out, certificate)
    if json:
        as_json(certificate)
    elif out is None:
        print(certificate["certificate"] + certificate["chain"], end="")
    else:
        print(f"Wrote {out}: {certificate['subject']}, serial {certificate['serial']}, valid until {certificate['not_after']}")


def _write(out: Path, certificate: dict[str, Any]) -> None:
    try:
        write_public(out, certificate["certificate"] + certificate["chain"])
    except Failed as failed:
        raise Failed(f"{failed}. The certificate is issued: ostiary cert show {certificate['id']}") from None


@app.command("list")
@refusals_in_one_line
def list_(
    owner: Annotated[str | None, typer.Option(help="Only those of this owner.")] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List issued certificates.

    Example: `ostiary cert list --owner alice`
    """
    found = connect(data_dir).call("GET", PATH, owner=owner)["certificates"]
    if json:
        as_json(found)
    else:
        as_table(found, COLUMNS, "No certificate issued yet.")


@app.command()
@refusals_in_one_line
def show(certificate: Annotated[str, typer.Argument(help="Its id.")], data_dir: DataDir = None, json: Json = False) -> None:
    """Show one certificate.

    Example: `ostiary cert show 6f1c…`
    """
    found = connect(data_dir).call("GET", f"{PATH}/{quote(certificate, safe='')}")["certificate"]
    (as_json if json else as_fields)(found)
