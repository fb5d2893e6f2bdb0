"""How much is read: never more than the limit, whatever the client says about it. On real sockets."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from api.client import TOKEN, Client
from ostiary.api.app import create_app
from ostiary.api.limits import BODY_MAX, SECRET_BODY_MAX
from ostiary.ops.system import System
from support.systems import a_system, sqlite_url

LISTENERS, SECRETS = "/v2/lbaas/listeners", "/v1/secrets"


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    made = a_system(sqlite_url(tmp_path))
    yield made
    made.store.close()


@pytest.fixture
def served(system: System) -> Iterator[httpx.Client]:
    """The application behind a real uvicorn on a free port."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        config = uvicorn.Config(create_app(system, token=TOKEN), log_config=None, access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        sock.listen()  # Connections wait from now on, so nothing has to wait for the server.
        thread.start()
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        with httpx.Client(base_url=url, headers={"X-Auth-Token": TOKEN}, timeout=60, trust_env=False) as http:
            yield http
        server.should_exit = True
        thread.join()


def chunks(size: int) -> Iterator[bytes]:
    """A body that does not tell its length."""
    for _ in range(size // 65_536):
        yield b" " * 65_536


@pytest.mark.parametrize("path", [LISTENERS, SECRETS, "/v1/authorities"])
def test_ten_megabytes_are_refused_and_nothing_changes(served: httpx.Client, system: System, path: str) -> None:
    for content in (b" " * 10 * 2**20, chunks(10 * 2**20)):
        reply = served.post(path, content=content)
        assert reply.status_code == 413
        assert "body: larger than" in reply.text
    assert served.get(path).status_code == 200
    with system.store.read() as reader:
        assert reader.revision() == 0


def test_the_fault_names_the_body(served: httpx.Client) -> None:
    fault = served.post(LISTENERS, content=b" " * (BODY_MAX + 1)).json()
    assert fault == {
        "faultcode": "Client",
        "faultstring": f"body: larger than {BODY_MAX} bytes, the most that is read here",
        "debuginfo": None,
    }


@pytest.mark.parametrize(("path", "most"), [(LISTENERS, BODY_MAX), (SECRETS, SECRET_BODY_MAX), ("/secrets", SECRET_BODY_MAX)])
def test_the_limit_is_exact(client: Client, path: str, most: int) -> None:
    assert client.post(path, content=b" " * most).status_code == 400
    assert client.post(path, content=b" " * (most + 1)).status_code == 413


@pytest.mark.parametrize("length", ["99999999", "9" * 400, "-1", "1e3", "٣"])
def test_a_length_that_cannot_be_is_refused_before_reading(client: Client, length: str) -> None:
    reply = client.post(LISTENERS, content=b"{}", headers=[(b"content-length", length.encode())])
    assert reply.status_code in {400, 413}


def test_reading_stops_at_the_limit(client: Client) -> None:
    sent = 0

    async def endless() -> object:
        nonlocal sent
        while sent < 100 * BODY_MAX:
            sent += 65_536
            yield b" " * 65_536

    # httpx.ASGITransport hands on chunk by chunk, as they are asked for.
    reply = client.post(LISTENERS, content=endless())
    assert reply.status_code == 413
    assert sent <= BODY_MAX + 2 * 65_536


def test_a_client_that_leaves_in_the_middle_does_no_harm(served: httpx.Client, system: System) -> None:
    assert served.base_url.port is not None
    with socket.create_connection(("127.0.0.1", served.base_url.port)) as sock:
        head = f"POST {LISTENERS} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {TOKEN}\r\nContent-Length: 1000\r\n\r\n"
        sock.sendall(head.encode() + b'{"listener": ')
    assert served.get(LISTENERS).status_code == 200
    with system.store.read() as reader:
        assert reader.revision() == 0


def test_a_stranger_is_answered_before_sending_the_body(served: httpx.Client) -> None:
    assert served.base_url.port is not None
    with socket.create_connection(("127.0.0.1", served.base_url.port)) as sock:
        sock.sendall(f"POST {LISTENERS} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode())
        assert sock.recv(64).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 500_000 + b"]" * 500_000,
        b'{"listener":' * 80_000 + b"1" + b"}" * 80_000,
        json.dumps({"listener": {f"x{number}": number for number in range(60_000)}}).encode(),
        json.dumps({"listener": {"tags": ["x"] * 200_000}}).encode(),
        b'{"listener": {"protocol_port": ' + b"9" * 900_000 + b"}}",
    ],
    ids=["deep list", "deep object", "wide", "long list", "long number"],
)
def test_a_body_made_to_be_hard_to_parse_is_refused(client: Client, body: bytes) -> None:
    assert len(body) <= BODY_MAX
    reply = client.post(LISTENERS, content=body)
    assert (reply.status_code, reply.json()["faultcode"]) == (400, "Client")
    assert len(reply.text) < 1000


@pytest.mark.parametrize(
    "path", ["/v2/lbaas/listeners/%00", "/v2/lbaas/listeners/a%0ab", "/v2/lbaas/listeners?name=%00", "/v1/secrets?name=a%7fb"]
)
def test_control_characters_are_refused_in_an_address(client: Client, path: str) -> None:
    reply = client.get(path)
    assert reply.status_code == 400
    assert "control characters" in reply.text
