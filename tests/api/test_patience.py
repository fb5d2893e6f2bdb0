"""A caller who begins a request and does not finish it is hung up on; one who takes time over the answer is not."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from ostiary.api.patience import within
from support.wait import eventually

SHORT = 0.2
WHOLE = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok"


async def echo_slowly(_: Scope, receive: Receive, send: Send) -> None:
    """Takes several times as long over the answer as a caller may over the question."""
    message = await receive()
    if message["type"] == "http.disconnect":
        return
    await asyncio.sleep(3 * SHORT)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": message["body"]})


@contextmanager
def serving(app: ASGIApp) -> Iterator[int]:
    config = uvicorn.Config(app, http=within(SHORT), log_config=None, access_log=False, lifespan="off", timeout_keep_alive=60)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = Thread(target=server.run, args=([sock],))
        thread.start()
        try:
            eventually(lambda: server.started)
            yield sock.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(echo_slowly) as port:
        yield port


def heard(port: int, *pieces: bytes) -> bytes:
    """All that comes back until the other side hangs up; an answer in between is awaited before the next piece is sent."""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        received = b""
        for number, piece in enumerate(pieces):
            connection.sendall(piece)
            while received.count(b"\r\n\r\nok") < number + 1 and piece == WHOLE:
                received += connection.recv(65_536)
        try:
            while piece := connection.recv(65_536):
                received += piece
        except ConnectionResetError:
            pass
        return received


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"POST / HT",
        b"POST / HTTP/1.1\r\nHost: x\r\nX-A: ",
        WHOLE[:-1],
        WHOLE.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")[:-2],
    ],
)
def test_who_does_not_finish_is_hung_up_on(port: int, part: bytes) -> None:
    assert b"200 OK" not in heard(port, part)


@pytest.mark.parametrize("part", [b"P", b"POST / HTTP/1.1\r\nHost: x\r\n", WHOLE[:-1]])
def test_who_does_not_finish_the_second_is_hung_up_on(port: int, part: bytes) -> None:
    assert heard(port, WHOLE, part).count(b"200 OK") == 1


def test_dripping_does_not_help(port: int) -> None:
    """The limit is for the whole, not from one byte to the next."""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX-A: ")

        def cut_off() -> bool:
            try:
                connection.sendall(b"a")
            except ConnectionError:
                return True
            return False

        eventually(cut_off)


def test_who_finishes_is_answered_however_long_it_takes(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        for _ in range(2):
            connection.sendall(WHOLE)
            received = b""
            while not received.endswith(b"ok"):
                received += connection.recv(65_536)
            assert received.startswith(b"HTTP/1.1 200 OK")
