"""A receiver of webhooks on loopback that keeps what it is handed, over TLS where it has a certificate.

with webhook_sink() as sink:
    ...
    sink.calls[0].headers["webhook-id"]
"""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast


@dataclass(frozen=True)
class Call:
    """One request. Names of headers are in small letters."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


@dataclass
class WebhookSink:
    """`answers` says with what status a call is answered; by default it is taken."""

    answers: Callable[[Call], int] = lambda _call: 204
    location: str = ""
    reply: bytes = b""
    scheme: str = "http"
    port: int = 0
    calls: list[Call] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}/hooks/a-secret-path"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        sink: WebhookSink = cast("Any", self.server).sink
        body = self.rfile.read(int(self.headers["content-length"]))
        call = Call(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        sink.calls.append(call)
        self.send_response(sink.answers(call))
        if sink.location:
            self.send_header("location", sink.location)
        self.send_header("content-length", str(len(sink.reply)))
        self.end_headers()
        try:
            self.wfile.write(sink.reply)
        except OSError:
            return  # nobody wanted to read it

    def log_message(self, *_words: Any) -> None:
        """Keep quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_about: Any) -> None:
        """Whoever will not have our certificate breaks off."""


@contextmanager
def webhook_sink(folder: Path | None = None, chain_pem: str = "", key_pem: str = "", **options: Any) -> Iterator[WebhookSink]:
    """A receiver; with a certificate and its key it speaks TLS."""
    sink = WebhookSink(**options)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        cast("Any", server).sink = sink
        sink.port = server.server_address[1]
        if folder is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            file = folder / "webhook-sink.pem"
            file.write_text(key_pem + chain_pem)
            context.load_cert_chain(file)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            sink.scheme = "https"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join()
