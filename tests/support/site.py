"""A web server as others run it: the place where an authority publishes its lists, or one that means harm.

with Site() as site:
    site.pages["/ca.crl"] = Page(body=der)
    …  # http://127.0.0.1:{site.port}/ca.crl
    site.asked                     # what it was asked so far
    site.is_down = True            # it hangs up on everybody from now on
"""

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Wire = Callable[[bytes], Any]


@dataclass(frozen=True)
class Page:
    """An answer. With `misbehave`, whatever that writes instead, word for word."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    etag: str | None = None
    misbehave: Callable[[Wire], None] | None = None


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Site:
    """Runs on a free port of loopback, or of `host`. `pages` may change while it runs."""

    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    pages: dict[str, Page | Callable[[Asked], Page]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    is_down: bool = False
    _problems: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.answer(self)

            def do_POST(self) -> None:
                site.answer(self)

            def do_PUT(self) -> None:
                site.answer(self)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Clients that hang up, or do not trust us, are what is tested."""

        self._server = Server((self.host, 0), Handler)
        if self.tls:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="site")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for problem in self._problems:
            raise problem

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str = "/") -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{path}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        if self.is_down:
            return
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        request = Asked(handler.command, handler.path, {k.lower(): v for k, v in handler.headers.items()}, body)
        self.asked.append(request)
        found = self.pages.get(handler.path, Page(status=404, body=b"the secret of this place"))
        page = self._made(found, request) if callable(found) else found
        if page.misbehave:
            page.misbehave(handler.wfile.write)
            return
        unchanged = page.etag is not None and request.headers.get("if-none-match") == page.etag
        handler.send_response(304 if unchanged else page.status)
        for name, value in (*page.headers, *((("ETag", page.etag),) if page.etag else ())):
            handler.send_header(name, value)
        if not unchanged:
            handler.send_header("Content-Length", str(len(page.body)))
        handler.end_headers()
        if not unchanged:
            handler.wfile.write(page.body)

    def _made(self, page: Callable[[Asked], Page], request: Asked) -> Page:
        try:
            return page(request)
        except Exception as problem:
            self._problems.append(problem)  # raised when the site is left: what asked sees a server that hangs up
            raise
