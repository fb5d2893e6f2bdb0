"""Real servers for a load balancer to stand before: one HTTP, plain or TLS, one that echoes TCP, one that takes notes.

    with Backend(name="a") as backend:
        …  # 127.0.0.1:backend.port
        backend.healthy = False      # /health answers 503 from now on

The HTTP backend answers JSON with its `name` and what it was asked: `method`, `path`, `version`, `headers` (lower-case name →
list of values), `body`, and `client` (the common name of the TLS client certificate it was shown). Special paths:

    /health            200 or 503, as `healthy` says
    /status/404        that status
    /slow?pieces=5     as many pieces, a line each, 50 ms apart
    /hold              answers when `release()` is called
    /ws                WebSocket echo
"""

import json
import socket
import ssl
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Event, Lock, Thread
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

from support import websocket
from support.wait import PATIENCE

_PROXY_V2: Final = b"\r\n\r\n\0\r\nQUIT\n"  # The signature of the PROXY protocol, version 2 (its section 2.2).


@dataclass(frozen=True)
class TLS:
    """How a backend speaks TLS; with `client_ca` it demands a client certificate."""

    cert: Path
    key: Path
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """As Python's ssl wants it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        if self.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.client_ca)
        return context


class _Server(ThreadingTCPServer):
    """A thread for each connection; closing it ends them all and waits for their threads."""

    allow_reuse_address = True
    daemon_threads = False
    request_queue_size = 256

    def __init__(self, owner: Any, handler: Any, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.owner = owner
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__(("127.0.0.1", port), handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, peer = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls:
            # The handshake is made by the connection's own thread, at its first read.
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._open.add(connection)
        return connection, peer

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away or is refused is a test's business, not the console's."""

    def hang_up(self) -> None:
        """End every open connection."""
        with self._lock:
            for connection in self._open:
                try:
                    # Below TLS: a close_notify could block.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
                except OSError:
                    continue  # It is gone already.


class _Service:
    """A server in a thread, from `with` to its end."""

    def __init__(self, handler: type[BaseRequestHandler], port: int = 0, tls: TLS | None = None) -> None:
        self._handler, self._tls = handler, tls
        self._server = self._make(port)
        self.port: int = self._server.server_address[1]
        self._start()

    def _make(self, port: int) -> _Server:
        return _Server(self, self._handler, port, self._tls.context() if self._tls else None)

    def _start(self) -> None:
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name=f"{type(self).__name__}")
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and end every connection; `restart` listens on the same port again."""
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()

    def restart(self) -> None:
        """Listen again after `stop`."""
        self._server = self._make(self.port)
        self._start()

    def hang_up(self) -> None:
        """End every open connection, and go on listening."""
        self._server.hang_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self.stop()


class TCPEcho(_Service):
    """Sends back every byte it gets."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(_Echo, port)


class _Echo(BaseRequestHandler):
    def handle(self) -> None:
        while piece := self.request.recv(65_536):
            self.request.sendall(piece)


class Recorder(_Service):
    """Writes down what precedes and makes up the head of each HTTP request, byte for byte, and answers 200 "recorded"."""

    def __init__(self, port: int = 0, *, tls: TLS | None = None) -> None:
        self.heard: list[bytes] = []
        super().__init__(_Recording, port, tls)


class _Recording(BaseRequestHandler):
    def handle(self) -> None:
        while heard := self._head():
            self.server.owner.heard.append(heard)  # type: ignore[attr-defined]  # a _Server
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nrecorded")

    def _head(self) -> bytes:
        heard = b""
        while b"\r\n\r\n" not in heard.removeprefix(_PROXY_V2):
            piece = self.request.recv(65_536)
            if not piece:
                return b""
            heard += piece
        return heard


class Backend(_Service):
    """An HTTP/1.1 server that tells what it was asked (see the module's docstring)."""

    def __init__(self, name: str = "backend", *, port: int = 0, tls: TLS | None = None) -> None:
        self.name = name
        self.healthy = True
        self.asked: list[tuple[str, str]] = []
        self._released = Event()
        super().__init__(_HTTP, port, tls)

    def release(self) -> None:
        """Let the requests to /hold be answered."""
        self._released.set()

    def wait_for_release(self) -> None:
        """What /hold does."""
        self._released.wait(PATIENCE)

    def stop(self) -> None:
        self.release()
        super().stop()


class _HTTP(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # One packet for a whole answer.
    server: _Server

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def answer(self) -> None:
        backend: Backend = self.server.owner
        backend.asked.append((self.command, self.path))
        url = urlsplit(self.path)
        match url.path.split("/")[1:]:
            case ["health"]:
                self._reply(200 if backend.healthy else 503)
            case ["status", status]:
                self._reply(int(status))
            case ["slow"]:
                self._stream(int(parse_qs(url.query).get("pieces", ["5"])[0]))
            case ["hold"]:
                backend.wait_for_release()
                self._reply(200)
            case ["ws"]:
                self._websocket()
            case _:
                self._reply(200)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer  # noqa: N815 (http.server finds methods by these names)

    def _reply(self, status: int) -> None:
        body = json.dumps(self._account()).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _account(self) -> dict[str, object]:
        headers: dict[str, list[str]] = {}
        for name, value in self.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        return {
            "name": self.server.owner.name,
            "method": self.command,
            "path": self.path,
            "version": self.request_version,
            "headers": headers,
            "body": self._body().decode(errors="replace"),
            "client": self._client(),
        }

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            continue  # Trailers.
        return body

    def _client(self) -> str | None:
        if not isinstance(self.connection, ssl.SSLSocket):
            return None
        certificate: Any = self.connection.getpeercert() or {}
        names = dict(part for relative in certificate.get("subject", ()) for part in relative)
        return names.get("commonName")

    def _stream(self, pieces: int) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(1, pieces + 1):
            line = f"piece {number}\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
            time.sleep(0.05)
        self.wfile.write(b"0\r\n\r\n")

    def _websocket(self) -> None:
        self.close_connection = True
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", websocket.accept(self.headers["Sec-WebSocket-Key"]))
        self.end_headers()
        self.wfile.flush()
        while True:
            opcode, payload = websocket.read_frame(self.rfile.read)
            self.wfile.write(websocket.frame(payload, opcode))
            self.wfile.flush()
            if opcode == websocket.CLOSE:
                return
