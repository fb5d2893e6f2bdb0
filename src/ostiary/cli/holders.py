"""Whose certificates a rule or a user is about, as options and in words."""

from typing import Annotated, Final

import typer

from ostiary.cli.client import Client

_WORDS: Final = {
    "groups": "group",
    "profiles": "profile",
    "authority_ids": "CA",
    "fingerprints_sha256": "fingerprint",
    "serials": "serial",
    "subject_cn": "CN",
    "subject_ou": "OU",
    "san_dns": "DNS",
    "san_uri": "URI",
    "san_email": "e-mail",
    "spiffe_ids": "SPIFFE",
}

Many = list[str] | None
Group = Annotated[Many, typer.Option("--group", help="In this group. This, and what follows, may be given again.")]
Profile = Annotated[Many, typer.Option("--profile", help="Issued here by this profile.")]
CA = Annotated[Many, typer.Option("--ca", help="Signed by this authority or one below it: name or id.")]
Fingerprint = Annotated[Many, typer.Option("--fingerprint", help="This certificate: SHA-256, hexadecimal.")]
Serial = Annotated[Many, typer.Option("--serial", help="This serial number, hexadecimal.")]
CN = Annotated[Many, typer.Option("--cn", help="This common name; a star at the start or the end is anything.")]
OU = Annotated[Many, typer.Option("--ou", help="This organizational unit, likewise.")]
DNS = Annotated[Many, typer.Option("--dns", help="This DNS name, *.a.test (one label) or **.a.test (all below).")]
URI = Annotated[Many, typer.Option("--uri", help="This URI; a star at the start or the end is anything.")]
Email = Annotated[Many, typer.Option("--email", help="This address, or *@a.test.")]
SPIFFE = Annotated[Many, typer.Option("--spiffe", help="This SPIFFE id, or spiffe://domain/* for all below.")]


def holders_of(client: Client, given: tuple[Many, ...]) -> dict[str, list[str]]:
    """What is asked of the certificate, under the API's names; authorities by id."""
    holders = {name: texts(values) for name, values in zip(_WORDS, given, strict=True) if values}
    if "authority_ids" in holders:
        named = holders["authority_ids"]
        holders["authority_ids"] = [client.find("/v1/authorities", "authority", "authorities", one)["id"] for one in named]
    return holders


def texts(values: list[str]) -> list[str]:
    """Those that say something: an empty one takes away what was there."""
    return [value for value in values if value]


def who(client: Client, holders: dict[str, list[str]]) -> list[str]:
    """The same in words, a part for each condition."""
    words = []
    for name, word in _WORDS.items():
        values = holders[name]
        if name == "authority_ids":
            values = [_authority_name(client, one) for one in values]
        if name == "fingerprints_sha256":
            values = [f"{one[:12]}…" for one in values]
        if values:
            words.append(f"{word} {' or '.join(values)}")
    return words


def _authority_name(client: Client, authority_id: str) -> str:
    found = client.call("GET", "/v1/authorities", id=authority_id)["authorities"]
    return str(found[0]["name"]) if found else authority_id
