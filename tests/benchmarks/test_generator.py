"""The load generator against small servers, honest and not: it counts as answered what was, whole and 200, and nothing else."""

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread

import h2.config
import h2.connection
import h2.events
import pytest
from benchmarks.generator import Failed, Target, Work

from benchmarks import generator
from support.backend import TLS, Backend
from support.certs import Authority

Speak = Callable[[ssl.SSLSocket], None]


@dataclass(frozen=True)
class Papers:
    """Who the server is and who may come in."""

    tls: TLS
    target: Target  # with no port yet


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    authority = Authority.root()
    server, client = authority.server("localhost").write(folder, "server"), authority.client().write(folder, "client")
    both = folder / "both.pem"
    both.write_text(client.chain.read_text() + client.key.read_text())
    return Papers(TLS(server.chain, server.key, client_ca=server.ca), Target(0, both, server.ca))


@pytest.fixture
def backend(papers: Papers) -> Iterator[Backend]:
    with Backend(tls=papers.tls) as backend:
        yield backend


@pytest.fixture
def target(backend: Backend, papers: Papers) -> Target:
    return replace(papers.target, port=backend.port)


@contextmanager
def server(papers: Papers, speak: Speak, alpn: str = "http/1.1") -> Iterator[Target]:
    """One that says what `speak` says, to one connection after the other."""
    context = papers.tls.context()
    context.set_alpn_protocols([alpn])
    over = Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listening.accept()
                    connection.settimeout(20)
                    with context.wrap_socket(connection, server_side=True) as tls:
                        speak(tls)
                except OSError:
                    continue  # Nobody came, or whoever did has gone.

        thread = Thread(target=serve)
        thread.start()
        try:
            yield replace(papers.target, port=listening.getsockname()[1])
        finally:
            over.set()
            thread.join()


def says(*answers: bytes) -> Speak:
    """To each request another of these; after the last one it closes."""

    def speak(tls: ssl.SSLSocket) -> None:
        for answer in answers:
            heard = b""
            while b"\r\n\r\n" not in heard:
                piece = tls.recv(4096)
                if not piece:
                    return
                heard += piece
            tls.sendall(answer)
        tls.unwrap()

    return speak


def test_each_request_of_handshake_has_a_connection_of_its_own(target: Target, backend: Backend) -> None:
    load = generator.run(target, Work("handshake", connections=3, requests=12)).sound()
    assert (load.answered, load.connections) == (12, 12)
    assert backend.asked == [("GET", "/")] * 12


def test_keepalive_connections_are_kept(target: Target, backend: Backend) -> None:
    load = generator.run(replace(target, path="/x?y=z"), Work("keepalive", connections=4, requests=200)).sound()
    assert (load.answered, load.connections) == (200, 4)
    assert backend.asked == [("GET", "/x?y=z")] * 200
    assert 0 < load.p50 <= load.p90 <= load.p99 <= load.max


def test_it_stops_when_time_is_over(target: Target) -> None:
    load = generator.run(target, Work("keepalive", connections=2, seconds=0.2)).sound()
    assert load.seconds >= 0.2
    assert load.per_second == load.answered / load.seconds


@pytest.mark.parametrize("mode", ["handshake", "keepalive"])
def test_a_server_of_another_authority_is_not_spoken_to(
    mode: generator.Mode, target: Target, backend: Backend, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_text(Authority.root("Other").cert_pem)
    load = generator.run(replace(target, ca=other), Work(mode, connections=2, requests=4))
    assert (load.answered, backend.asked) == (0, [])
    assert load.failed >= 4
    assert "certificate" in load.reasons[0]
    with pytest.raises(Failed, match="certificate"):
        load.sound()


def test_a_server_by_another_name_is_not_spoken_to(target: Target, backend: Backend) -> None:
    load = generator.run(replace(target, host="other.test"), Work("handshake", connections=1, requests=2))
    assert (load.answered, load.failed, load.reasons, backend.asked) == (0, 2, ("not opened: hostname mismatch",), [])


@pytest.mark.parametrize("mode", ["handshake", "keepalive"])
def test_a_client_that_the_server_refuses_has_failed(mode: generator.Mode, target: Target, tmp_path: Path) -> None:
    stranger = Authority.root("Strange").client()
    both = tmp_path / "stranger.pem"
    both.write_text(stranger.chain_pem + stranger.key_pem)
    load = generator.run(replace(target, certificate=both), Work(mode, connections=2, requests=4))
    assert load.answered == 0
    assert load.failed >= 4
    # In TLS 1.3 a client has asked before it hears; which of the two it comes upon first, the alert or the end, is a race.
    assert re.search("unknown ca|Broken pipe|reset by peer", load.reasons[0])


def test_a_port_at_which_nobody_is_has_failed(target: Target, backend: Backend) -> None:
    backend.stop()
    load = generator.run(target, Work("keepalive", connections=2, requests=4))
    backend.restart()
    assert load.answered == 0
    assert load.reasons == ("not opened: Connection refused",)


def test_another_status_has_failed(target: Target) -> None:
    load = generator.run(replace(target, path="/status/404"), Work("keepalive", connections=2, requests=6))
    assert (load.answered, load.failed, load.connections, load.reasons) == (0, 6, 2, ("status 404",))


def test_chunks_are_understood(target: Target) -> None:
    load = generator.run(replace(target, path="/slow?pieces=3"), Work("keepalive", connections=2, requests=4)).sound()
    assert 4 * len("piece 1\npiece 2\npiece 3\n") == load.bytes


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE = HEAD + b"Content-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: 10\r\n\r\nhalf",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"a\r\nhello\r\n",
        HEAD + b"Content-Le",
        b"",
    ],
)
def test_an_answer_cut_short_has_failed(papers: Papers, answer: bytes) -> None:
    with server(papers, says(answer)) as target:
        load = generator.run(target, Work("keepalive", connections=1, requests=2))
    assert (load.answered, load.failed, load.reasons) == (0, 2, ("closed by the server",))


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (HEAD + b"Content-Length: 2\r\n\r\nmore", "more than it said"),
        (CHUNKED + b"2\r\nmore\r\n", "a chunk that is longer than it said"),
        (CHUNKED + b"\r\n\r\n", "a chunk without a size"),
        (HEAD + b"Content-Length: two\r\n\r\nok", "a Content-Length that is no number"),
        (HEAD + b"\r\n", "an answer that tells no length"),
        (b"SSH-2.0-OpenSSH_10.0\r\n\r\n", "not an HTTP/1 answer"),
        (HEAD + b"Long: " + b"x" * 9000, "a head of more than 8 kB, or with a NUL"),
    ],
)
def test_an_answer_that_is_none_has_failed(papers: Papers, answer: bytes, complaint: str) -> None:
    with server(papers, says(answer)) as target:
        load = generator.run(target, Work("handshake", connections=1, requests=1))
    assert (0, 1, (complaint,)) == (load.answered, load.failed, load.reasons)


def test_an_answer_in_the_smallest_of_pieces_is_put_together(papers: Papers) -> None:
    answer = b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + b"3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\nTrailer: yes\r\n\r\n"

    def speak(tls: ssl.SSLSocket) -> None:
        tls.recv(4096)
        for byte in answer:
            tls.sendall(bytes([byte]))
        tls.recv(1)

    with server(papers, speak) as target:
        load = generator.run(target, Work("handshake", connections=1, requests=2)).sound()
    assert (load.answered, load.bytes) == (2, 26)


def test_a_connection_that_the_server_ends_is_opened_anew_and_has_not_failed(papers: Papers) -> None:
    said = WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with server(papers, says(WHOLE, said)) as target:
        load = generator.run(target, Work("keepalive", connections=1, requests=6)).sound()
    assert (load.answered, load.connections) == (6, 3)


def test_requests_are_due_whatever_the_server_does(papers: Papers) -> None:
    """While it sleeps over the first one, nine more are due: each of them waits, and says so."""

    def speak(tls: ssl.SSLSocket) -> None:
        for request in range(10):
            tls.recv(4096)
            time.sleep(0 if request else 0.3)
            tls.sendall(WHOLE)
        tls.recv(1)

    with server(papers, speak) as target:
        load = generator.run(target, Work("keepalive", connections=1, requests=10, rate=100)).sound()
    assert load.p50 >= 200_000  # µs; the last one was due after 90 ms.
    assert load.seconds >= 0.3


def test_a_rate_is_not_exceeded(target: Target) -> None:
    load = generator.run(target, Work("keepalive", connections=4, requests=51, rate=250)).sound()
    assert load.seconds >= 0.2
    assert load.answered == 51


def test_a_meter_is_asked_when_all_are_connected_and_at_the_end(target: Target, backend: Backend) -> None:
    load = generator.run(target, Work("keepalive", connections=2, requests=20), meter=lambda: len(backend.asked)).sound()
    assert (load.metered, load.metered_each) == (20, 1)
    with pytest.raises(Failed):
        _ = generator.run(target, Work("keepalive", connections=1, requests=1)).metered_each


def test_idle_connections_are_held(target: Target, backend: Backend) -> None:
    with generator.idle(target, 100) as held:
        assert held.ready == 100
        assert len(backend.asked) == 100
    assert held.load
    assert (held.load.answered, held.load.connections) == (100, 100)


def test_idle_connections_that_the_server_ends_have_failed(target: Target, backend: Backend) -> None:
    with pytest.raises(Failed, match=r"unexpected eof|reset by peer"), generator.idle(target, 3):
        backend.stop()
    backend.restart()


def test_idle_connections_that_cannot_be_had_are_told(target: Target) -> None:
    with pytest.raises(Failed, match="status 503"), generator.idle(replace(target, path="/status/503"), 2):
        pytest.fail("there are none")


def test_nonsense_is_refused(target: Target, tmp_path: Path) -> None:
    with pytest.raises(Failed, match="either --seconds or --requests"):
        generator.run(target, Work("keepalive", connections=1))
    with pytest.raises(Failed, match="not a certificate with its key"):
        generator.run(replace(target, certificate=tmp_path / "none.pem"), Work("keepalive", connections=1, requests=1))


# HTTP/2.


def speaks_h2(body: bytes = b"hello", *, length: int | None = None, goes_after: int = 0, refuses: int = 0) -> Speak:
    """Answers each stream with this body, refuses the first few, and says farewell after so many answers."""
    refused = 0

    def speak(tls: ssl.SSLSocket) -> None:
        nonlocal refused
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        tls.sendall(connection.data_to_send())
        answered = 0
        while heard := tls.recv(65_536):
            for event in connection.receive_data(heard):
                if not isinstance(event, h2.events.RequestReceived):
                    continue
                if refused < refuses:
                    refused += 1
                    connection.reset_stream(event.stream_id, error_code=7)  # REFUSED_STREAM (RFC 9113, 7).
                    continue
                said = length if length is not None else len(body)
                connection.send_headers(event.stream_id, [(":status", "200"), ("content-length", str(said))])
                connection.send_data(event.stream_id, body, end_stream=True)
                answered += 1
            if goes_after and answered >= goes_after:
                connection.close_connection()
                tls.sendall(connection.data_to_send())
                return
            tls.sendall(connection.data_to_send())

    return speak


def h2_work(requests: int, streams: int = 1, mode: generator.Mode = "keepalive") -> Work:
    return Work(mode, connections=1, requests=requests, protocol="h2", streams=streams)


@pytest.mark.parametrize("streams", [1, 8])
def test_http_2_has_many_streams_on_a_connection(papers: Papers, streams: int) -> None:
    with server(papers, speaks_h2(), "h2") as target:
        load = generator.run(target, h2_work(40, streams)).sound()
    assert (load.answered, load.connections, load.bytes) == (40, 1, 200)


def test_http_2_with_a_handshake_for_each_request(papers: Papers) -> None:
    with server(papers, speaks_h2(), "h2") as target:
        load = generator.run(target, h2_work(5, mode="handshake")).sound()
    assert (load.answered, load.connections) == (5, 5)


def test_an_http_2_body_of_another_length_than_told_has_failed(papers: Papers) -> None:
    with server(papers, speaks_h2(length=6), "h2") as target:
        load = generator.run(target, h2_work(3))
    assert (load.answered, load.failed, load.reasons) == (0, 3, ("stream ended: PROTOCOL_ERROR",))


def test_streams_that_were_not_looked_at_are_asked_again(papers: Papers) -> None:
    with server(papers, speaks_h2(refuses=3), "h2") as target:
        load = generator.run(target, h2_work(10, streams=4)).sound()
    assert (load.answered, load.retried) == (10, 3)


def test_after_a_farewell_http_2_goes_on_on_another_connection(papers: Papers) -> None:
    with server(papers, speaks_h2(goes_after=2), "h2") as target:
        load = generator.run(target, h2_work(6)).sound()
    assert (load.answered, load.connections) == (6, 3)


def test_a_server_without_http_2_has_failed(target: Target) -> None:
    load = generator.run(target, h2_work(2))
    assert load.answered == 0
    assert load.reasons == ("not opened: the server does not speak HTTP/2",)
