"""Send requests that were made beforehand over a few kept-alive connections, and spend as little CPU on it as Python can.

Server and client share the machine's cores, so what the client spends is taken from the server. Everything is made before the
clock starts: bytes go out, and of the answer only its status and length are read.
"""

import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass
class Done:
    """What came of it: seconds from the first to the last, each request's own, and the answers that were no 2xx."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refused: list[bytes] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Successes a second."""
        return (len(self.latencies) - len(self.refused)) / self.seconds


@dataclass
class _Line:
    """One connection: what was received of the answer, and when its request was sent."""

    sock: socket.socket
    heard: bytes = b""
    sent_at: float = 0.0


def request(method: str, host: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A request, ready to be sent."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def send(address: tuple[str, int], requests: Sequence[bytes], connections: int, seconds: float = 3600.0) -> Done:
    """Send them all, or as many as go within so many seconds: on each connection the next when the last was answered."""
    waiting, done = iter(requests), Done()
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            sock = socket.create_connection(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(sock, selectors.EVENT_READ, _Line(sock))
        lines = [key.data for key in selector.get_map().values()]
        began = time.perf_counter()
        busy = sum(_next(line, waiting) for line in lines)
        while busy:
            for key, _ in selector.select():
                line: _Line = key.data
                received = line.sock.recv(65_536)
                if not received:
                    raise ConnectionError(f"the server closed the connection after {line.heard!r}")
                line.heard += received
                if (status := _answered(line.heard)) is None:
                    continue
                now = time.perf_counter()
                done.latencies.append(now - line.sent_at)
                if not status.startswith(b"2"):
                    done.refused.append(line.heard)
                busy -= not (now - began < seconds and _next(line, waiting))
        done.seconds = time.perf_counter() - began
        for line in lines:
            line.sock.close()
    return done


def _next(line: _Line, waiting: Iterator[bytes]) -> bool:
    following = next(waiting, None)
    if following is None:
        return False
    line.heard, line.sent_at = b"", time.perf_counter()
    line.sock.sendall(following)
    return True


def _answered(heard: bytes) -> bytes | None:
    """The status of an answer that is there whole; None while it is not."""
    head, end, body = heard.partition(b"\r\n\r\n")
    if not end:
        return None
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        return head[9:12] if body.endswith(b"0\r\n\r\n") else None
    length = int(lower.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    return head[9:12] if len(body) >= length else None
