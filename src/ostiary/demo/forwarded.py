"""Read `X-Forwarded-Client-Cert`, the header in which Envoy hands on who the client is.

Its form (Envoy, "HTTP header manipulation"): one element for each proxy, joined by commas; an element is `Key=value` pairs
joined by semicolons; a value that holds `,`, `;` or `=` stands in double quotes. `URI` and `DNS` may repeat. A backslash
keeps a quote inside such a value; it belongs to the subject's own notation (RFC 4514) and stays.
"""

import re
from collections.abc import Iterator
from typing import Final

Client = dict[str, str | list[str]]
"""`hash` and `subject`, each where given, and the lists `uri` and `dns`."""

_PAIR: Final = re.compile(r'\s*(?P<key>[A-Za-z]+)=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^,;"]*))(?P<end>[;,]|$)')
_ONE: Final = ("hash", "subject")
_MANY: Final = ("uri", "dns")


def clients(header: str) -> list[Client]:
    """The clients a header names, the nearest last. What cannot be read ends the list."""
    return [_client(pairs) for pairs in _elements(header)]


def _elements(header: str) -> Iterator[list[tuple[str, str]]]:
    pairs: list[tuple[str, str]] = []
    at = 0
    while at < len(header):
        pair = _PAIR.match(header, at)
        if not pair:
            return
        quoted = pair["quoted"]
        pairs.append((pair["key"].lower(), pair["bare"] if quoted is None else quoted))
        at = pair.end()
        if pair["end"] != ";":
            yield pairs
            pairs = []


def _client(pairs: list[tuple[str, str]]) -> Client:
    client: Client = {key: value for key, value in pairs if key in _ONE and value}
    for key in _MANY:
        values = [value for name, value in pairs if name == key and value]
        if values:
            client[key] = values
    return client
