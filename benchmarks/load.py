"""Clients with a certificate, each a process of its own, that ask one thing after the other and count what went wrong.

A request is never retried. A connection is opened anew only when an answer said `Connection: close`, or, in a `fresh`
client, for every request; or when it was opened while no certificate was asked for, and one is demanded now: such a request
is refused on purpose (docs/decisions/0013-each-request-is-decided-anew.md), and counted apart.
"""

import multiprocessing
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final

from ostiary.access.words import PUBLIC

LIMIT: Final = 10.0  # Seconds until a request that gets no answer counts as failed.
REQUEST: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(frozen=True)
class Door:
    """Where to knock, and what to show."""

    port: int
    ca: Path
    cert: Path
    key: Path


@dataclass
class Tally:
    """What a client saw. `failures` are (monotonic time, what happened)."""

    answered: int = 0
    connections: int = 0
    unasked: int = 0  # requests refused on connections that had not been asked for a certificate
    failures: list[tuple[float, str]] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """How many requests were not answered 200."""
        return len(self.failures)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.answered + other.answered,
            self.connections + other.connections,
            self.unasked + other.unasked,
            self.failures + other.failures,
        )


class Failed(Exception):
    """A request that was not answered 200."""


class Unasked(Failed):
    """A request that was refused because its connection had not been asked for a certificate."""


class Client:
    """One connection at a time."""

    def __init__(self, door: Door) -> None:
        self._port = door.port
        self._context = ssl.create_default_context(cafile=str(door.ca))
        self._context.load_cert_chain(door.cert, door.key)
        self._tls: ssl.SSLSocket | None = None
        self.connections = 0

    def ask(self, *, keep: bool) -> None:
        """One request. Raises `Failed` or `OSError` (which ssl's errors are)."""
        tls = self._tls or self._connect()
        tls.sendall(REQUEST)
        closes = _read_answer(tls)
        if closes or not keep:
            self.close()

    def close(self) -> None:
        """Hang up. The reset keeps the ports of a busy benchmark from running out in TIME_WAIT."""
        if self._tls:
            self._tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self._tls.close()
            self._tls = None

    def _connect(self) -> ssl.SSLSocket:
        raw = socket.create_connection(("127.0.0.1", self._port), LIMIT)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._tls = self._context.wrap_socket(raw, server_hostname="localhost")
        except OSError:
            raw.close()
            raise
        self.connections += 1
        return self._tls


def _read_answer(tls: ssl.SSLSocket) -> bool:
    """Read one answer; whether the server will close the connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(tls)
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines[1:])
    while len(body) < int(headers[b"content-length"]):
        body += _some(tls)
    if lines[0].split()[1] == b"403" and PUBLIC["certificate_required"].encode() in body:
        raise Unasked(lines[0].decode())
    if lines[0].split()[1] != b"200":
        raise Failed(lines[0].decode())
    return headers.get(b"connection") == b"close"


def _some(tls: ssl.SSLSocket) -> bytes:
    piece = tls.recv(65_536)
    if not piece:
        raise Failed("the connection was closed in place of an answer")
    return piece


@contextmanager
def running(door: Door, *, fresh: int, keepalive: int) -> Iterator["Load"]:
    """Clients that ask until `Load.stop`; ended in any case when the block is left."""
    load = Load(door, [False] * fresh + [True] * keepalive)
    try:
        yield load
    finally:
        load.end()


class Load:
    """Running clients; `keeps` says for each whether it keeps its connection."""

    def __init__(self, door: Door, keeps: list[bool]) -> None:
        context = multiprocessing.get_context("spawn")
        self._enough = context.Event()
        self._keeps = keeps
        self._reports: list[Connection] = []
        self._processes = []
        for keep in keeps:
            report, send = context.Pipe(duplex=False)
            process = context.Process(target=_client, args=(door, keep, self._enough, send), daemon=True)
            process.start()
            send.close()
            self._reports.append(report)
            self._processes.append(process)
        for report in self._reports:
            report.recv()  # It has been answered once.

    def stop(self) -> tuple[Tally, Tally]:
        """Let them finish what they are asking; what the fresh and the keep-alive clients saw, added up."""
        self._enough.set()
        tallies: list[Tally] = [report.recv() for report in self._reports]
        fresh = (tally for tally, keeps in zip(tallies, self._keeps, strict=True) if not keeps)
        kept = (tally for tally, keeps in zip(tallies, self._keeps, strict=True) if keeps)
        return sum(fresh, Tally()), sum(kept, Tally())

    def end(self) -> None:
        """Leave no process behind."""
        self._enough.set()
        for process in self._processes:
            process.join(2 * LIMIT)
            process.kill()


def _client(door: Door, keep: bool, enough: Event, send: Connection) -> None:  # noqa: FBT001 (handed over by multiprocessing)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one.
    client, tally = Client(door), Tally()
    started = False
    while not enough.is_set():
        try:
            client.ask(keep=keep)
            tally.answered += 1
        except Unasked:
            tally.unasked += 1
            client.close()
        except (Failed, OSError) as error:
            tally.failures.append((time.monotonic(), f"{type(error).__name__}: {error}"))
            client.close()
        if not started:
            send.send("started")
            started = True
    client.close()
    tally.connections = client.connections
    send.send(tally)
