"""`ostiary explain`: what becomes of a client and its request at a listener, and why."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ostiary.cli.client import Client, Failed, connect
from ostiary.cli.files import read_pem
from ostiary.cli.inventory import one
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_json, as_table, refusals_in_one_line

COLUMNS: Final = ("stage", "check", "result", "detail")
_VERDICTS: Final = {"ALLOW": "ALLOWED", "DENY": "REFUSED"}


@refusals_in_one_line
def explain(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    listener: Annotated[str, typer.Option(help="The listener, by name or id.")],
    certificate: Annotated[Path | None, typer.Argument(help="PEM file: the certificate, then the chain it is sent with.")] = None,
    host: Annotated[str | None, typer.Option(help="The host asked for, such as a.test or a.test:8443.")] = None,
    path: Annotated[str, typer.Option(help="The path asked for.")] = "/",
    method: Annotated[str, typer.Option(help="The HTTP method.")] = "GET",
    source: Annotated[str | None, typer.Option(help="The address the client comes from.")] = None,
    sni: Annotated[str | None, typer.Option(help="The name given in the handshake; that of the host by default.")] = None,
    at: Annotated[str | None, typer.Option(help="When, such as 2027-01-31T12:00:00Z; now by default.")] = None,
    header: Annotated[list[str] | None, typer.Option(help="A header, such as 'Origin: https://a.test'; may be repeated.")] = None,
    no_certificate: Annotated[bool, typer.Option("--no-certificate", help="The client shows none.")] = False,
    certificate_id: Annotated[
        str | None, typer.Option(help="One that was issued here: id, serial number or fingerprint.")
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Say whether a client is let in, why, and what every check came to. Traffic is not touched.

    Examples: `ostiary explain client.pem --listener door --host a.test --path /admin`,
    `ostiary explain --no-certificate --listener door`, `ostiary explain --certificate-id 6f1c… --listener door`
    """
    if sum((certificate is not None, no_certificate, certificate_id is not None)) != 1:
        raise Failed("say what the client shows: a PEM file, --certificate-id, or --no-certificate")
    client = connect(data_dir)
    wanted = {
        "listener_id": client.find("/v2/lbaas/listeners", "listener", "listeners", listener)["id"],
        "certificate": read_pem(certificate, "x509") if certificate is not None else None,
        "certificate_id": one(client, certificate_id)["id"] if certificate_id is not None else None,
        "host": host,
        "path": path,
        "method": method,
        "source": source,
        "sni": sni,
        "at": at,
        "headers": dict(map(_header, header or ())),
    }
    _tell(_answer(client, wanted), json=json)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise Failed(f"--header '{text}' is not 'Name: value'")
    return name.strip(), value.strip()


def _answer(client: Client, wanted: dict[str, Any]) -> dict[str, Any]:
    body = {name: value for name, value in wanted.items() if value is not None}
    return dict(client.call("POST", "/v1/explain", body)["explanation"])


def _tell(answer: dict[str, Any], *, json: bool) -> None:
    if json:
        as_json(answer)
        return
    _tell_one(answer, f"{_VERDICTS[answer['decision']]} at the {answer['stage']}")
    would_be = answer["would_be"]
    if would_be is not None:
        print()
        _tell_one(would_be, f"WOULD BE {_VERDICTS[would_be['decision']]} without the rehearsal, at the {would_be['stage']}")


def _tell_one(judged: dict[str, Any], verdict: str) -> None:
    print(f"{verdict}: {judged['reason']}. {judged['detail']}")
    if judged["fix"]:
        print(f"What to do: {judged['fix']}")
    print()
    as_table([{**check, "check": check["name"]} for check in judged["checks"]], COLUMNS, "Nothing is looked at.")
