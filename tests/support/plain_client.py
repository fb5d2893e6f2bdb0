"""A client in clear: HTTP/1.1 over a connection that is kept, from any address of loopback.

with visiting(door.port, source="127.0.0.7") as ask:
    ask("/one").json()["name"]
ask_once(door.port, "/two", headers={"Cookie": "…"}).status
"""

import http.client
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from support.tls_clients import LIMIT, Answer

Ask = Callable[..., Answer]


@contextmanager
def visiting(port: int, *, address: str = "127.0.0.1", source: str | None = None) -> Iterator[Ask]:
    """`ask(path="/", method="GET", headers=None, body=None)`; it connects anew only where the server has said that it closes."""
    connection = http.client.HTTPConnection(address, port, LIMIT, source_address=(source, 0) if source else None)

    def ask(path: str = "/", method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Answer:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        told: dict[str, str] = {}
        for name, value in response.getheaders():
            told[name.lower()] = f"{told[name.lower()]}, {value}" if name.lower() in told else value
        return Answer(response.status, told, response.read())

    try:
        yield ask
    finally:
        connection.close()


def ask_once(port: int, path: str = "/", *, headers: Mapping[str, str] | None = None, address: str = "127.0.0.1") -> Answer:
    """One GET over a connection of its own."""
    with visiting(port, address=address) as ask:
        return ask(path, headers=headers)
