"""How soon the long streams of a client end once its certificate is revoked, and what that costs the gateway.

    .venv/bin/python benchmarks/streams.py
    .venv/bin/python benchmarks/streams.py --clients 50 --others 1000

A whole ostiary. Each client has a certificate of its own and three connections: a WebSocket, a download over HTTP/1.1 and one
over HTTP/2. Times run from the call of the API until the client reads the end. First of streams that the gateway has told of
already, then of such as were opened just before the call. Meanwhile others have WebSockets open, each of which must live on.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

import h2.config  # noqa: E402 (after the path is set)
import h2.connection  # noqa: E402 (likewise)

from support import websocket  # noqa: E402 (likewise)
from support.backend import Backend  # noqa: E402 (likewise)
from support.certs import csr, key_pem, new_key  # noqa: E402 (likewise)
from support.stack import Ostiary  # noqa: E402 (likewise)
from support.tls_clients import Connection, TLSClient  # noqa: E402 (likewise)

ENDLESS: Final = 100_000  # pieces, 50 ms apart
KINDS: Final = ("WebSocket", "download, HTTP/1.1", "stream, HTTP/2")


@dataclass
class Open:
    """A stream that is read until it ends; `ended` is when."""

    connection: Connection
    ended: float = 0.0
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.connection.tls.settimeout(None)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        try:
            while self.connection.tls.recv(65_536):
                continue
        except OSError:
            pass
        self.ended = time.monotonic()


def tunnel(client: TLSClient) -> Connection:
    """A WebSocket that has answered once."""
    connection = client.connect()
    connection.echo_over_websocket("hello")
    return connection


def download(client: TLSClient) -> Connection:
    """A download that has begun."""
    connection = client.connect()
    connection.tls.sendall(f"GET /slow?pieces={ENDLESS} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection


def stream(client: TLSClient) -> Connection:
    """The same over HTTP/2; the pieces fit into its window."""
    connection = replace(client, alpn=("h2",), _context=[]).connect()
    conversation = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    conversation.initiate_connection()
    path = f"/slow?pieces={ENDLESS}"
    headers = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
    conversation.send_headers(1, headers, end_stream=True)
    connection.tls.sendall(conversation.data_to_send())
    return connection


OPENING: Final[tuple[Callable[[TLSClient], Connection], ...]] = (tunnel, download, stream)


class Place:
    """A door that demands certificates, and a folder for those that it is shown."""

    def __init__(self, house: Ostiary, port: int, recheck: int) -> None:
        self.house = house
        self.authority = house.call("POST", "/v1/authorities", {"authority": {"name": "Streams"}})["authority"]
        trust = self.authority["href"]
        self.door = house.door(
            port,
            client_authentication="MANDATORY",
            client_ca_tls_container_ref=trust,
            stream_recheck=recheck,
            timeout_client_data=600_000,
            timeout_member_data=600_000,
        )

    def client(self, name: str) -> tuple[str, TLSClient]:
        """Somebody new: the certificate's id, and a client that shows it."""
        key = new_key()
        wanted = {"authority_id": self.authority["id"], "csr": csr(key, name)}
        made: dict[str, Any] = self.house.call("POST", "/v1/certificates", {"certificate": wanted})["certificate"]
        chain, key_file = self.house.folder / f"{name}.pem", self.house.folder / f"{name}.key"
        chain.write_text(made["certificate"] + made["chain"])
        key_file.write_text(key_pem(key))
        return made["id"], TLSClient(self.door.port, cert=chain, key=key_file)

    def until_ended(self, certificate_id: str, streams: list[Open]) -> list[float]:
        """Revoke, and wait: seconds from the call to each stream's end."""
        began = time.monotonic()
        self.house.call("POST", f"/v1/certificates/{certificate_id}/revoke", {"reason": "keyCompromise"})
        for one in streams:
            one.thread.join(60)
        return [one.ended - began if one.ended else float("inf") for one in streams]


def opened(client: TLSClient) -> list[Open]:
    """One of each kind."""
    return [Open(kind(client)) for kind in OPENING]


def show(title: str, times: list[list[float]]) -> None:
    """A line for each kind."""
    for kind, seconds in zip(KINDS, zip(*times, strict=True), strict=True):
        print(f"{title:<22} {kind:<20} {statistics.median(seconds) * 1000:8.0f} {max(seconds) * 1000:8.0f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--clients", type=int, default=25, help="how many are revoked, one after the other, in each case")
    parser.add_argument("--others", type=int, default=100, help="WebSockets of others, open all the time")
    parser.add_argument("--recheck", type=int, default=5, help="stream_recheck, seconds")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Backend() as backend, Ostiary(Path(folder)) as house:
        place = Place(house, backend.port, given.recheck)
        _, bystander = place.client("bystander")
        others = [Open(tunnel(bystander)) for _ in range(given.others)]
        known = [place.client(f"known{number}") for number in range(given.clients)]
        streams = [opened(client) for _, client in known]
        time.sleep(given.recheck + 2)  # By then the gateway knows of these; nothing outside it shows when it does.
        print(f"{'ms from call to end':<22} {'':<20} {'median':>8} {'most':>8}")
        show("known to the gateway", [place.until_ended(one, its) for (one, _), its in zip(known, streams, strict=True)])
        fresh = [place.client(f"fresh{number}") for number in range(given.clients)]
        show("just opened", [place.until_ended(one, opened(client)) for one, client in fresh])
        alive = sum(not one.ended for one in others)
        print(f"{alive} of {given.others} WebSockets of others live on")
        for one in others:
            one.connection.tls.send(websocket.frame(b"", websocket.CLOSE, masked=True))
        backend.hang_up()
    return 0 if alive == given.others else 1


if __name__ == "__main__":
    sys.exit(main())
