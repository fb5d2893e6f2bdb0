"""The demo's backend: a small real HTTP server that shows the identity it was handed.

It answers every path with 200: lines of text, or JSON to whoever asks for `application/json`.
"""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final

from ostiary.demo.forwarded import clients

_HANDED_ON: Final = "x-ssl-"  # Octavia's names for what a listener adds when it is asked to.


class Backend:
    """An HTTP/1.1 server on 127.0.0.1, in a thread of its own from `start` to `stop`. Port 0 is a free one."""

    def __init__(self, port: int = 0) -> None:
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="demo-backend", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening. Connections that are open end with the process."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 256  # As many as may connect at once while the benchmark runs.

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "ostiary-demo"
    sys_version = ""
    wbufsize = -1  # Head and body leave as one packet.
    timeout = 300  # Seconds of silence after which a connection's thread is given back.

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (http.server's own name)
        """Keep quiet: the terminal belongs to the demo."""

    def _answer(self) -> None:
        if not self._read_body():
            self.close_connection = True  # What follows on this connection could not be told from the body.
        facts = self._facts()
        if "application/json" in self.headers.get("Accept", ""):
            kind, body = "application/json", json.dumps(facts, indent=2) + "\n"
        else:
            kind, body = "text/plain; charset=utf-8", "".join(f"{line}\n" for line in _sentences(facts))
        payload = body.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(payload)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815 (http.server finds them so)

    def _read_body(self) -> bool:
        """Skip the request's body; whether its end is known."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            return False
        left = int(length)
        while left and (piece := self.rfile.read(min(left, 65_536))):
            left -= len(piece)
        return left == 0

    def _facts(self) -> dict[str, Any]:
        identities = clients(", ".join(self.headers.get_all("X-Forwarded-Client-Cert", [])))
        handed_on = {name: value for name, value in self.headers.items() if name.lower().startswith(_HANDED_ON)}
        return {
            "method": self.command,
            "path": self.path,
            "client": identities[-1] if identities else None,
            "headers": handed_on,
        }


def _sentences(facts: dict[str, Any]) -> Iterator[str]:
    yield f"The demo backend got {facts['method']} {facts['path']}"
    if facts["client"]:
        yield "from the holder of a client certificate that the door has verified:"
        for name, value in facts["client"].items():
            yield f"  {name + ':':<9}{', '.join(value) if isinstance(value, list) else value}"
    else:
        yield "from a client without a verified certificate."
    for name, value in facts["headers"].items():
        yield f"  {name}: {value}"
