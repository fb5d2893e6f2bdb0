"""Whoever collects the access record: syslog servers over UDP, TCP and TLS, and an OpenTelemetry collector, on loopback.

with SyslogServer("tcp") as server:
    ... f"syslog+tcp://127.0.0.1:{server.port}" ...
    eventually(lambda: server.entries)
A port may be given, so that one which was away comes back.
"""

import gzip
import json
import re
import socket
import ssl
import struct
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Literal, Self

from support.certs import Authority

# RFC 5424: <PRI>VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG.
_MESSAGE: Final = re.compile(rb"<(\d{1,3})>1 (\S+) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) - ([ -~]*)")
_LENGTH: Final = re.compile(rb"([1-9]\d{0,9}) ")


@dataclass(frozen=True)
class Message:
    """One syslog message, taken apart by the grammar of RFC 5424."""

    facility: int
    severity: int
    time: str
    host: str
    app: str
    message_id: str
    entry: dict[str, Any]
    size: int


def message(data: bytes) -> Message:
    """Take it apart; it must be one."""
    match = _MESSAGE.fullmatch(data)
    assert match is not None, data
    priority = int(match[1])
    time, host, app, _, message_id = (match[number].decode() for number in range(2, 7))
    return Message(priority >> 3, priority & 7, time, host, app, message_id, json.loads(match[7]), len(data))


@dataclass
class SyslogServer:
    """Takes messages until it is left. `authority` signs what it shows over TLS; `clients` signed what it demands."""

    kind: Literal["udp", "tcp", "tls"]
    port: int = 0
    authority: Authority | None = None
    clients: Authority | None = None
    folder: Path | None = None
    messages: list[Message] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack, repr=False)
    _open: set[socket.socket] = field(default_factory=set, repr=False)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What was recorded."""
        return [one.entry for one in list(self.messages)]

    def __enter__(self) -> Self:
        self._listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if self.kind == "udp" else socket.SOCK_STREAM)
        self._stack.callback(self._listening.close)
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self._listening.bind(("127.0.0.1", self.port))
        self.port = self._listening.getsockname()[1]
        if self.kind != "udp":
            self._listening.listen()
        self._thread = threading.Thread(target=self._datagrams if self.kind == "udp" else self._connections)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listening, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        if self.kind == "udp":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._stack.close()

    def hang_up(self) -> None:
        """As a server does with a connection on which nothing comes."""
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _datagrams(self) -> None:
        while True:
            try:
                data = self._listening.recv(65536)
            except OSError:
                return
            if not data:
                return
            self.messages.append(message(data))

    def _connections(self) -> None:
        context = self._context()
        with ExitStack() as threads:
            while True:
                try:
                    connection, _ = self._listening.accept()
                except OSError:
                    return
                thread = threading.Thread(target=self._stream, args=(connection, context))
                self._open.add(connection)
                thread.start()
                threads.callback(thread.join)

    def _context(self) -> ssl.SSLContext | None:
        if self.kind != "tls":
            return None
        assert self.authority is not None
        assert self.folder is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf = self.authority.server("127.0.0.1").write(self.folder, "syslog")
        context.load_cert_chain(leaf.chain, leaf.key)
        if self.clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.clients.cert_pem)
        return context

    def _stream(self, connection: socket.socket, context: ssl.SSLContext | None) -> None:
        data = b""
        try:
            with connection if context is None else context.wrap_socket(connection, server_side=True) as stream:
                self._open.add(stream)
                while more := stream.recv(65536):
                    data += more
                    while (length := _LENGTH.match(data)) and len(data) >= length.end() + int(length[1]):
                        self.messages.append(message(data[length.end() : length.end() + int(length[1])]))
                        data = data[length.end() + int(length[1]) :]
        except OSError:
            connection.close()


@dataclass
class OtlpCollector:
    """An OTLP/HTTP receiver. `answers` are the statuses of the next requests; after those, 200. `rejecting` so many of each."""

    port: int = 0
    authority: Authority | None = None
    folder: Path | None = None
    answers: list[int] = field(default_factory=list)
    rejecting: int = 0
    poison: bytes = b""  # what holds it, is answered 400
    patience: float | None = None  # seconds, after which a connection is closed on which nothing comes
    closed: int = 0  # connections
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)

    @property
    def records(self) -> list[dict[str, Any]]:
        """The attributes of all log records, with what else a record has (opentelemetry/proto/logs/v1/logs.proto)."""
        return [
            {
                "timestamp": struct.unpack("<Q", record[1][0])[0],
                "severity": record[3][0].decode(),
                "body": _value(record[5][0]),
                "event_name": record[12][0].decode(),
                **_attributes(record[6]),
            }
            for request in list(self.requests)
            for resource in fields(request)[1]
            for scope in fields(resource)[2]
            for record in map(fields, fields(scope)[2])
        ]

    @property
    def resource(self) -> dict[str, Any]:
        """What was said of whoever sent the first."""
        return _attributes(fields(fields(fields(self.requests[0])[1][0])[1][0])[1])

    def __enter__(self) -> Self:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = collector.patience

            def finish(self) -> None:
                super().finish()
                collector.closed += 1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/x-protobuf"
                assert self.headers["Content-Encoding"] == "gzip"
                status, answer = collector._take(self.path, dict(self.headers), gzip.decompress(body))
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        if self.authority is not None:
            assert self.folder is not None
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            leaf = self.authority.server("127.0.0.1").write(self.folder, "otlp")
            context.load_cert_chain(leaf.chain, leaf.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        self.paths.append(path)
        self.headers.append(headers)
        if self.answers:
            return self.answers.pop(0), b""
        if self.poison and self.poison in body:
            return 400, b""
        self.requests.append(body)
        # ExportLogsServiceResponse: partial_success (1) with rejected_log_records (1) and error_message (2).
        return 200, b"\x0a\x05\x08%c\x12\x01!" % self.rejecting if self.rejecting else b""


def fields(data: bytes) -> dict[int, list[Any]]:
    """A protobuf message by the numbers of its fields: octets, or numbers of varints. Read without what wrote it."""
    found: dict[int, list[Any]] = {}
    place = 0

    def varint() -> int:
        nonlocal place
        number = shift = 0
        while True:
            octet = data[place]
            place += 1
            number |= (octet & 0x7F) << shift
            shift += 7
            if not octet & 0x80:
                return number

    while place < len(data):
        tag = varint()
        value: Any
        if tag & 7 == 0:
            value = varint()
        else:
            size = {1: 8, 5: 4}.get(tag & 7) or varint()
            value, place = data[place : place + size], place + size
            assert len(value) == size
        found.setdefault(tag >> 3, []).append(value)
    return found


def _attributes(pairs: list[bytes]) -> dict[str, Any]:
    return {pair[1][0].decode(): _value(pair[2][0]) for pair in map(fields, pairs)}


def _value(data: bytes) -> Any:
    """An AnyValue."""
    ((number, (value,)),) = fields(data).items()
    kinds: dict[int, Any] = {1: bytes.decode, 2: bool, 3: int, 4: lambda octets: struct.unpack("<d", octets)[0]}
    return kinds[number](value)
