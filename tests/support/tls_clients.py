"""Real clients for the door: Python's ssl (HTTP/1.1 and HTTP/2), curl, and openssl s_client.

    client = TLSClient(port, ca=paths.ca, cert=paths.chain, key=paths.key, version="TLSv1.2")
    client.get("/").json()["name"]           # one request on a new connection
    with client.connect() as connection:     # keep-alive
        connection.get("/one"); connection.get("/two"); connection.session
    with pytest.raises(Refused) as refused:
        client.without_certificate().get("/")
    refused.value.reason                     # "certificate_required", or "closed" when the door shut without a word

`Refused` is raised for what the *server* did in TLS: an alert or a closed connection. A server certificate that the client
does not trust, or a port where nobody listens, is another exception, so that it never passes for a refusal.
"""

import http.client
import json
import re
import socket
import ssl
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, Self

import h2.config
import h2.connection
import h2.events
import pytest

from support import websocket

Version = Literal["TLSv1.2", "TLSv1.3"]

LIMIT: Final = 20.0  # Seconds; a hung server must not hang the tests.
_VERSIONS: Final = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


class Refused(Exception):
    """The server ended the TLS connection. `reason` is its alert in small letters (RFC 8446 6), or "closed"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Answer:
    """A response. Header names are in small letters; repeated ones are joined by ", "."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    version: str = "HTTP/1.1"

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def closes(self) -> bool:
        """Whether the server said that it will close the connection."""
        return "close" in self.headers.get("connection", "").lower()


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in pairs:
        known = headers.get(name.lower())
        headers[name.lower()] = value if known is None else f"{known}, {value}"
    return headers


@contextmanager
def _refusals() -> Iterator[None]:
    """Tell what the server did from what went wrong on our side."""
    try:
        yield
    except (ssl.SSLCertVerificationError, ConnectionRefusedError, TimeoutError):
        raise
    except ssl.SSLError as error:
        alert = re.fullmatch(r"(?:SSLV3|TLSV1|TLSV13)_ALERT_(\w+)", error.reason or "")
        if alert:
            raise Refused(alert[1].lower()) from error
        if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            raise Refused("closed") from error
        raise
    except (ConnectionError, http.client.BadStatusLine) as error:
        raise Refused("closed") from error


@dataclass(frozen=True)
class TLSClient:
    """A client as Python makes it. `version` pins TLS; `cert` may hold a chain; without `ca` the server is not checked."""

    port: int
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    version: Version | None = None
    server_name: str = "localhost"
    alpn: tuple[str, ...] = ("http/1.1",)
    ciphers: str | None = None
    _context: list[ssl.SSLContext] = field(default_factory=list, repr=False, compare=False)

    def without_certificate(self) -> "TLSClient":
        """The same client with nothing to show."""
        return replace(self, cert=None, key=None, _context=[])

    def context(self) -> ssl.SSLContext:
        """One context for all its connections: Python resumes a session only within the context it came from."""
        if not self._context:
            self._context.append(self._make_context())
        return self._context[0]

    def connect(self, session: ssl.SSLSession | None = None) -> "Connection":
        """Open a connection, resuming `session` if the server will. Raises `Refused`."""
        raw = socket.create_connection(("127.0.0.1", self.port), LIMIT)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with _refusals():
                return Connection(
                    self.context().wrap_socket(raw, server_hostname=self.server_name, session=session), self.server_name
                )
        except BaseException:
            raw.close()
            raise

    def request(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Answer:
        """One request on a connection of its own. Raises `Refused`."""
        with self.connect() as connection:
            return connection.request(method, path, headers=headers, body=body)

    def get(self, path: str = "/", headers: Mapping[str, str] | None = None) -> Answer:
        """One GET on a connection of its own. Raises `Refused`."""
        return self.request("GET", path, headers=headers)

    def get_h2(self, *paths: str, headers: Mapping[str, str] | None = None) -> list[Answer]:
        """These paths over one HTTP/2 connection, all asked before the first answer. Raises `Refused`."""
        with replace(self, alpn=("h2",), _context=[]).connect() as connection:
            assert connection.tls.selected_alpn_protocol() == "h2", "the server did not choose HTTP/2"
            with _refusals():
                return _h2_requests(connection.tls, self.server_name, paths or ("/",), headers or {})

    def _make_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca:
            context.load_verify_locations(self.ca)
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE  # The caller asked for a client that does not look.
        if self.cert:
            context.load_cert_chain(self.cert, self.key)
        if self.version:
            context.minimum_version = context.maximum_version = _VERSIONS[self.version]
        if self.ciphers:
            context.set_ciphers(self.ciphers)
        context.set_alpn_protocols(list(self.alpn))
        return context


class Connection:
    """An open TLS connection that speaks HTTP/1.1, one request after the other."""

    def __init__(self, tls: ssl.SSLSocket, host: str) -> None:
        self.tls = tls
        self._http = http.client.HTTPConnection(host, timeout=LIMIT)
        self._http.sock = tls
        self._http.auto_open = 0  # Never again, and never without TLS.

    def request(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Answer:
        """Ask, and read the whole answer. Raises `Refused` when the server hangs up instead."""
        with _refusals():
            self._http.request(method, path, body, dict(headers or {}))
            response = self._http.getresponse()
            return Answer(response.status, _joined(response.getheaders()), response.read())

    def get(self, path: str = "/", headers: Mapping[str, str] | None = None) -> Answer:
        """Ask for a path."""
        return self.request("GET", path, headers=headers)

    def echo_over_websocket(self, text: str, path: str = "/ws") -> str:
        """Upgrade, send one text frame, and return the frame that comes back. The connection is spent after it."""
        key = websocket.new_key()
        request = (
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self.tls.sendall(request.encode())
        with _refusals(), self.tls.makefile("rb") as stream:
            status = stream.readline().decode()
            assert " 101 " in status, status
            headers = http.client.parse_headers(stream)
            assert headers["Sec-WebSocket-Accept"] == websocket.accept(key)
            self.tls.sendall(websocket.frame(text.encode(), masked=True))
            opcode, payload = websocket.read_frame(stream.read)
            assert opcode == websocket.TEXT
            return payload.decode()

    @property
    def session(self) -> ssl.SSLSession | None:
        """What to resume later. On TLS 1.3 it comes after the first answer."""
        return self.tls.session

    @property
    def is_resumed(self) -> bool:
        """Whether the handshake was shortened by an earlier session."""
        return bool(self.tls.session_reused)

    @property
    def version(self) -> str | None:
        """The TLS version spoken."""
        return self.tls.version()

    def close(self) -> None:
        """Hang up."""
        self._http.close()
        self.tls.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _h2_requests(tls: ssl.SSLSocket, authority: str, paths: Sequence[str], headers: Mapping[str, str]) -> list[Answer]:
    conversation = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    conversation.initiate_connection()
    asked = []
    for path in paths:
        stream = conversation.get_next_available_stream_id()
        pseudo = [(":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", path)]
        conversation.send_headers(stream, [*pseudo, *headers.items()], end_stream=True)
        asked.append(stream)
    heads: dict[int, dict[str, str]] = {}
    bodies: dict[int, bytes] = dict.fromkeys(asked, b"")
    waiting = set(asked)
    while True:
        tls.sendall(conversation.data_to_send())
        if not waiting:
            return [Answer(int(heads[stream][":status"]), heads[stream], bodies[stream], "HTTP/2") for stream in asked]
        received = tls.recv(65_536)
        if not received:
            raise Refused("closed")
        for event in conversation.receive_data(received):
            match event:
                case h2.events.ResponseReceived():
                    # Text, because of header_encoding; the library's type does not know.
                    heads[event.stream_id] = _joined((str(name), str(value)) for name, value in event.headers)
                case h2.events.DataReceived():
                    bodies[event.stream_id] += event.data
                    conversation.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamEnded():
                    waiting.discard(event.stream_id)
                case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                    raise Refused(f"http/2 error {event.error_code}")


@dataclass(frozen=True)
class CurlResult:
    """What curl did. `exit_code` 0 is an answer; 35 and 56 are a refusal in TLS (`man curl`, EXIT CODES)."""

    exit_code: int
    status: int
    http_version: str
    body: bytes
    error: str

    @property
    def is_refused(self) -> bool:
        """Whether the server ended the TLS connection; a server that curl does not trust is another exit code."""
        # Over HTTP/2 the door may shut while curl is still writing its preface: 16, which is also for faults of HTTP/2 itself.
        hung_up = self.exit_code == 16 and ("Send failure" in self.error or "Recv failure" in self.error)
        return self.status == 0 and (hung_up or self.exit_code in {35, 52, 55, 56})

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


def curl(
    url: str,
    *options: str,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    http: Literal["1.1", "2"] | None = None,
    version: Version | None = None,
    resolve: str | None = None,
) -> CurlResult:
    """Run curl, as a user would; `resolve` is `NAME:PORT:ADDRESS`, `options` are more of curl's own."""
    argv = ["curl", "--silent", "--show-error", "--max-time", str(LIMIT), "--write-out", "\n%{http_code} %{http_version}"]
    for option, value in {"--cacert": ca, "--cert": cert, "--key": key, "--resolve": resolve}.items():
        argv += [option, str(value)] if value else []
    argv += [f"--http{http}"] if http else []
    argv += ["--tls-max", version[-3:], f"--tlsv{version[-3:]}"] if version else []
    done = subprocess.run([*argv, *options, url], capture_output=True, check=False, timeout=2 * LIMIT)
    body, _, summary = done.stdout.rpartition(b"\n")
    status, http_version = summary.decode().split()
    return CurlResult(done.returncode, int(status), http_version, body, done.stderr.decode().strip())


@dataclass(frozen=True)
class OpenSSLResult:
    """What openssl s_client printed, and how it ended."""

    exit_code: int
    output: str

    @property
    def status(self) -> int | None:
        """The HTTP status it was answered."""
        found = re.search(
            r"HTTP/1\.[01] (\d{3}) ", self.output
        )  # Not always at a line's start: s_client's own words come between.
        return int(found[1]) if found else None

    @property
    def alert(self) -> int | None:
        """The TLS alert it was sent (RFC 8446 6): 42 bad certificate, 44 revoked, 45 expired, 48 unknown CA, 116 required …"""
        found = re.search(r"SSL alert number (\d+)", self.output)
        return int(found[1]) if found else None


def s_client(
    port: int,
    *options: str,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    chain: Path | None = None,
    version: Version | None = None,
    server_name: str = "localhost",
    path: str = "/",
) -> OpenSSLResult:
    """Ask for a path with openssl s_client; it stops at a server that `ca` does not vouch for."""
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", server_name, "-ign_eof"]
    for option, value in {"-CAfile": ca, "-cert": cert, "-key": key, "-cert_chain": chain}.items():
        argv += [option, str(value)] if value else []
    argv += ["-verify_return_error"] if ca else []
    argv += ["-" + version.lower().replace("v", "").replace(".", "_")] if version else []
    request = f"GET {path} HTTP/1.1\r\nHost: {server_name}\r\nConnection: close\r\n\r\n"
    done = subprocess.run([*argv, *options], input=request.encode(), capture_output=True, check=False, timeout=2 * LIMIT)
    return OpenSSLResult(done.returncode, (done.stdout + done.stderr).decode(errors="replace"))


def client_hello(name: bytes) -> bytes:
    """The first octets of a client that asks for a server by this name, whatever it holds; nothing is ever answered to them."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    stand_in = "a" * len(name)
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=stand_in)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    assert stand_in.encode() in hello
    return hello.replace(stand_in.encode(), name)
