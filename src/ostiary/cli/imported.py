"""`ostiary ca set|fetch|upload-crl`: authorities whose key is elsewhere, and how their revocation is learned."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ostiary.cli.authorities import PATH
from ostiary.cli.client import Failed, connect
from ostiary.cli.files import read_list
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, refusals_in_one_line

Name = Annotated[str, typer.Argument(help="Name or id.")]
Checks = {"none": "NONE", "crl": "CRL", "ocsp": "OCSP", "both": "CRL_AND_OCSP"}


@refusals_in_one_line
def set_(  # noqa: PLR0913, PLR0917 (a command has as many options as it has)
    ca: Name,
    name: Annotated[str | None, typer.Option(help="A new name for it.")] = None,
    check: Annotated[str | None, typer.Option(help="How revocation is learned: none, crl, ocsp or both.")] = None,
    crl_url: Annotated[list[str] | None, typer.Option(help="Where its lists are; may be repeated. 'none' forgets them.")] = None,
    ocsp_url: Annotated[list[str] | None, typer.Option(help="Where its responder is; likewise.")] = None,
    stale: Annotated[str | None, typer.Option(help="Without current news: refuse its clients, allow them, or alarm.")] = None,
    stale_hours: Annotated[int | None, typer.Option(min=1, help="For how long --stale allow lets them in.")] = None,
    refresh_minutes: Annotated[int | None, typer.Option(min=1, help="How often to ask at least.")] = None,
    private_network: Annotated[
        list[str] | None,
        typer.Option(help="A network of yours where it may be asked, such as 10.20.0.0/16, or 'none'."),
    ] = None,
    port: Annotated[list[int] | None, typer.Option(help="A port where it may be asked; default 80 and 443.")] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Change an authority: its name, or how the revocation of an imported one is learned.

    Lists are fetched at once: `--check crl` is refused unless one of each authority imported with it can be had.

    Examples: `ostiary ca set "Partner CA" --check crl --crl-url http://pki.partner.example/ca.crl`,
    `ostiary ca set "Partner CA" --stale allow --stale-hours 24`
    """
    news = {
        "revocation_check": _one_of("--check", check, Checks),
        "crl_urls": _several(crl_url),
        "ocsp_urls": _several(ocsp_url),
        "stale_status": _one_of("--stale", stale, {word: word.upper() for word in ("refuse", "allow", "alarm")}),
        "stale_allow_hours": stale_hours,
        "refresh_minutes": refresh_minutes,
        "fetch_private_networks": _several(private_network),
        "fetch_ports": port or None,
    }
    given = {key: value for key, value in news.items() if value is not None}
    changes: dict[str, Any] = {**({"name": name} if name is not None else {}), **({"status_check": given} if given else {})}
    if not changes:
        raise Failed("say what to set, such as --check crl; see: ostiary ca set --help")
    client = connect(data_dir)
    found = client.find(PATH, "authority", "authorities", ca)
    _show(client.call("PATCH", f"{PATH}/{found['id']}", {"authority": changes}), json=json)


@refusals_in_one_line
def fetch(ca: Name, data_dir: DataDir = None, json: Json = False) -> None:
    """Ask for an imported authority's revocation lists now, and show how it stands with them.

    Example: `ostiary ca fetch "Partner CA"`
    """
    client = connect(data_dir)
    found = client.find(PATH, "authority", "authorities", ca)
    _show(client.call("POST", f"{PATH}/{found['id']}/crl/fetch"), json=json)


@refusals_in_one_line
def upload_crl(
    ca: Name,
    file: Annotated[Path, typer.Argument(help="Its revocation list, PEM or DER.", exists=True, dir_okay=False)],
    force: Annotated[bool, typer.Option("--force", help="Take it though it is older than the one held.")] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Give the revocation list of an imported authority, and of those imported with it when the file holds theirs too.

    Example: `ostiary ca upload-crl "Partner CA" partner.crl`
    """
    client = connect(data_dir)
    found = client.find(PATH, "authority", "authorities", ca)
    _show(client.send(f"{PATH}/{found['id']}/crl", read_list(file), force="true" if force else None), json=json)


def _one_of(option: str, given: str | None, words: dict[str, str]) -> str | None:
    if given is None:
        return None
    if given.lower() not in words:
        raise Failed(f"{option} must be one of {', '.join(words)}")
    return words[given.lower()]


def _several(given: list[str] | None) -> list[str] | None:
    """What was given; nothing for the single word `none`, None when the option was left out."""
    return None if not given else [] if given == ["none"] else given


def _show(reply: Any, *, json: bool) -> None:
    authority = reply["authority"]
    if json:
        as_json(authority)
        return
    as_fields({key: authority[key] for key in ("name", "id", "status_check")} | authority["status_check_state"])
