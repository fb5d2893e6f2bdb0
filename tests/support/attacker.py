"""Clients that do what no decent one does: requests octet by octet on a TLS connection, and ClientHellos in pieces.

    with attacker.opened(port, leaf_paths, sni="a.test") as tls:
        attacker.http1(tls, b"GET / HTTP/1.1\r\nHost: b.test\r\n\r\n").status
    with attacker.opened(port, leaf_paths, alpn="h2") as tls:
        attacker.http2(tls, [(":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/")])[0].status

An answer of 0 means that the server hung up, or reset the stream, without one.
"""

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from support.certs import Paths
from support.raw_http import Pairs
from support.tls_clients import LIMIT, Answer

_RECORD: Final = 5  # octets of a TLS record's head


def context(shown: Paths | None = None, alpn: str = "http/1.1", version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A client that does not care who the server is."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE  # It attacks; whom, it does not mind.
    made.set_alpn_protocols([alpn])
    if version is not None:
        made.minimum_version = made.maximum_version = version
    if shown is not None:
        made.load_cert_chain(shown.chain, shown.key)
    return made


@contextmanager
def opened(
    port: int, shown: Paths | None = None, *, sni: str | None = "a.test", alpn: str = "http/1.1"
) -> Iterator[ssl.SSLSocket]:
    """A connection, with any name in its ClientHello or none."""
    with (
        socket.create_connection(("127.0.0.1", port), LIMIT) as raw,
        context(shown, alpn).wrap_socket(raw, server_hostname=sni) as tls,
    ):
        yield tls


def http2(tls: ssl.SSLSocket, *requests: Pairs) -> list[Answer]:
    """Requests of exactly these headers, one after the other on one connection."""
    config = h2.config.H2Configuration(
        header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False, validate_inbound_headers=False
    )
    talk = h2.connection.H2Connection(config)
    talk.initiate_connection()
    return [_one(tls, talk, headers) for headers in requests]


def allows_extended_connect(tls: ssl.SSLSocket) -> bool:
    """Whether the server says that WebSockets may be opened over HTTP/2 (RFC 8441 3)."""
    talk = h2.connection.H2Connection(h2.config.H2Configuration())
    talk.initiate_connection()
    tls.sendall(talk.data_to_send())
    while True:
        for event in talk.receive_data(tls.recv(65_536)):
            if isinstance(event, h2.events.RemoteSettingsChanged):
                return bool(talk.remote_settings.enable_connect_protocol)


def _one(tls: ssl.SSLSocket, talk: h2.connection.H2Connection, headers: Pairs) -> Answer:
    stream = talk.get_next_available_stream_id()
    talk.send_headers(stream, list(headers), end_stream=True)
    head: dict[str, str] = {}
    body = b""
    while True:
        tls.sendall(talk.data_to_send())
        try:
            received = tls.recv(65_536)
            events = talk.receive_data(received)
        except (OSError, h2.exceptions.ProtocolError):
            received = b""
        if not received:
            return Answer(0, {}, b"", "HTTP/2")
        for event in events:
            match event:
                case h2.events.ResponseReceived():
                    head = {str(name): str(value) for name, value in event.headers}
                case h2.events.DataReceived():
                    body += event.data
                    talk.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamEnded():
                    return Answer(int(head[":status"]), head, body, "HTTP/2")
                case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                    return Answer(0, {}, b"", "HTTP/2")


def in_pieces(
    port: int, shown: Paths | None, cut: Callable[[bytes], Sequence[bytes]], request: bytes, sni: str | None = "a.test"
) -> bytes:
    """What is answered to a request, when the ClientHello was sent as `cut` has it, each piece in a segment of its own."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context(shown).wrap_bio(incoming, outgoing, server_hostname=sni)
    with socket.create_connection(("127.0.0.1", port), LIMIT) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            for piece in cut(outgoing.read()):
                raw.sendall(piece)
        for act in (tls.do_handshake, lambda: tls.write(request), lambda: tls.read(65_536)):
            while True:
                try:
                    done = act()
                    raw.sendall(outgoing.read())
                    break
                except ssl.SSLWantReadError:
                    raw.sendall(outgoing.read())
                    incoming.write(_received(raw))
    assert isinstance(done, bytes)
    return done


def _received(raw: socket.socket) -> bytes:
    received = raw.recv(65_536)
    if not received:
        raise ConnectionResetError
    return received


def segments(size: int) -> Callable[[bytes], list[bytes]]:
    """The same octets in TCP segments of so many."""
    return lambda hello: [hello[at : at + size] for at in range(0, len(hello), size)]


def records(size: int) -> Callable[[bytes], list[bytes]]:
    """The same message in TLS records of so many octets (RFC 8446 5.1 allows it)."""

    def cut(hello: bytes) -> list[bytes]:
        head, message = hello[:3], hello[_RECORD:]
        parts = [message[at : at + size] for at in range(0, len(message), size)]
        return [head + len(part).to_bytes(2, "big") + part for part in parts]

    return cut


class Talk:
    """An HTTP/2 connection that is asked again and again."""

    def __init__(self, tls: ssl.SSLSocket) -> None:
        self._tls = tls
        self._talk = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._talk.initiate_connection()

    def get(self, path: str = "/", authority: str = "localhost") -> Answer:
        """Ask for a path; 0 once the server has said that it takes no more."""
        if self._talk.state_machine.state is h2.connection.ConnectionState.CLOSED:
            return Answer(0, {}, b"", "HTTP/2")
        return _one(self._tls, self._talk, [(":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", path)])
