"""Requests word for word as a test writes them: names, their case, order and repetition, over HTTP/1.1 or HTTP/2 on any socket.

    with socket.create_connection(("127.0.0.1", port)) as connection:
        over_http1(connection, [("X-ODD", "a"), ("x-odd", "b")]).status

An answer of 0 means that the server hung up, or reset the stream, without one.
"""

import http.client
import socket
from collections.abc import Sequence
from typing import Final

import h2.config
import h2.connection
import h2.events

from support.tls_clients import LIMIT, Answer

Pairs = Sequence[tuple[str, str]]
HOST: Final = "localhost"


def over_http1(connection: socket.socket, headers: Pairs, path: str = "/") -> Answer:
    """One GET with exactly these headers after Host."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return exchanged(connection, "\r\n".join(lines).encode("latin-1"))


def exchanged(connection: socket.socket, request: bytes) -> Answer:
    """Send these bytes and read one answer of HTTP/1.1."""
    connection.settimeout(LIMIT)
    connection.sendall(request)
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
        body = response.read()
    except (ConnectionError, http.client.HTTPException):
        return Answer(0, {}, b"")
    finally:
        response.close()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def over_http2(connection: socket.socket, headers: Pairs, path: str = "/") -> Answer:
    """One GET with exactly these headers, also such as HTTP/2 forbids."""
    connection.settimeout(LIMIT)
    talk = h2.connection.H2Connection(
        h2.config.H2Configuration(header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False)
    )
    talk.initiate_connection()
    pseudo = [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", path)]
    talk.send_headers(1, [*pseudo, *headers], end_stream=True)
    head, body = Answer(0, {}, b"", "HTTP/2"), b""
    while True:
        connection.sendall(talk.data_to_send())
        received = connection.recv(65_536)
        if not received:
            return head
        for event in talk.receive_data(received):
            match event:
                case h2.events.ResponseReceived():
                    values = {str(name): str(value) for name, value in event.headers}
                    head = Answer(int(values[":status"]), values, b"", "HTTP/2")
                case h2.events.DataReceived():
                    body += event.data
                    talk.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamEnded():
                    return Answer(head.status, head.headers, body, "HTTP/2")
                case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                    return Answer(0, {}, b"", "HTTP/2")
