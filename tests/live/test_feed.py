"""A real Envoy tells of requests and connections in a file, and nothing that a client sends forges, hides or breaks a record."""

import asyncio
import contextlib
import resource
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ostiary.envoy import records
from ostiary.envoy.records import FEED, Told
from ostiary.envoy.snapshot import snapshot
from ostiary.errors import Invalid
from ostiary.gateway.admin import Admin
from ostiary.model.desired import Desired
from ostiary.model.tls import Trust
from support import attacker, raw_http
from support.certs import Authority, Leaf, Paths, word_for_word
from support.desired import listener
from support.feed import Tail
from support.ports import free_port
from support.tiny_ads import Engine
from support.tls_clients import client_hello
from support.wait import eventually

pytestmark = pytest.mark.live

CA = Authority.root("Feed root")
FORGED = "request 1\x1fl1\x1f1\x1f9\x1f198.51.100.9"
# What would part a line, a field or a text from the next, and what is no text at all.
HOSTILE = (
    "\n",
    "\r\n",
    "\x1f",
    "\x00",
    "\x7f",
    "\\",
    '"',
    '"]}',
    "\u2028",
    "\x85",
    "é",
    "\n" + FORGED + "\n",
    '\n{"connection 1":[]}\n',
)
NAMES = (
    *(text.encode() for text in HOSTILE),
    b"\xff\xfe",
    b"\xc3",
    b"\xed\xa0\x80",
    b"a\\u00ff",
    b'caf\xc3\xa9\xff"\n\x1f\\',
    b"%CONNECTION_ID%",
    b"n" * 3000,
)


_TAGS = (0x82, 0x86, 0x81)  # dNSName, uniformResourceIdentifier, rfc822Name of RFC 5280 4.2.1.6


@dataclass(frozen=True)
class House:
    folder: Path
    asking: int  # the port of a listener that asks for a certificate
    plain: int  # and of one that does not
    tail: Tail

    def requests(self, port: int) -> list[Told]:
        name = {self.asking: "asking", self.plain: "plain"}[port]
        return [one for one in self.tail.told("request") if one.listener_id == name]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("envoy")
    asking, plain = free_port(), free_port()
    trust = Trust(name="trust", certificates=CA.cert_pem)
    doors = (
        listener(
            "asking", protocol_port=asking, client_authentication="OPTIONAL", trust=trust, alpn_protocols=("h2", "http/1.1")
        ),
        listener("plain", protocol_port=plain, alpn_protocols=("h2", "http/1.1")),
    )
    with Engine(folder) as engine:
        assert engine.apply(snapshot(Desired(listeners=doors))) == {}
        engine.listens_on(asking, plain)
        yield House(folder, asking, plain, Tail(folder))


def with_name(dns: bytes) -> Leaf:
    """A certificate with this as a DNS name, as a URI and as an address for e-mail."""
    like = CA.client("strange", sans=("DNS:strange.test",))
    # What is not ASCII, no handshake gets through with but as a DNS name.
    tags = _TAGS[:1] if not dns.isascii() else _TAGS
    body = _der(0x30, b"".join(_der(tag, dns) for tag in tags))
    real = like.certificate
    names = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, body)
    builder = word_for_word(real, real.public_key()).add_extension(names, critical=False)
    return replace(like, certificate=builder.sign(CA.key, hashes.SHA256()))


def _der(tag: int, content: bytes) -> bytes:
    """ITU-T X.690 8.1.3: the length in as few octets as will do."""
    size = len(content)
    octets = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, size] if size < 0x80 else [tag, 0x80 | len(octets), *octets]) + content


@contextmanager
def opened(port: int, shown: Paths | None, alpn: str = "http/1.1") -> Iterator[ssl.SSLSocket]:
    with attacker.opened(port, shown, sni="localhost", alpn=alpn) as tls:
        yield tls


def ends(tls: ssl.SSLSocket) -> str:
    return str(tls.getsockname()[1])


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_whatever_stands_in_a_certificate_is_told_in_its_place(house: House, tmp_path: Path, name: bytes) -> None:
    """Some of these the handshake refuses, others the listener, which then closes the connection."""
    answered = 0
    with opened(house.asking, with_name(name).write(tmp_path)) as tls:
        port = ends(tls)
        with contextlib.suppress(OSError):
            answered = raw_http.over_http1(tls, [], "/asked").status
    (connection,) = eventually(lambda: [one for one in house.tail.told("connection") if one.record["client_port"] == port])
    found = [one for one in house.requests(house.asking) if one.record["client_port"] == port]
    assert [one.record["path"] for one in found] == (["/asked"] if answered else [])
    shown = name.decode(errors="backslashreplace")
    for one in (connection, *found):
        assert (one.record["subject"], one.record["sni"]) == ("CN=strange", "localhost")
        told = {one.record[field] for field in ("san_dns", "san_uri", "san_email") if field in one.record}
        assert told <= {shown, shown.partition("\0")[0]}
        assert told or b"\0" in name
    assert answered or connection.record["failure"]


@pytest.mark.parametrize("where", ["asking", "plain"])
def test_whatever_stands_in_a_request_is_one_record_or_none(house: House, where: str) -> None:
    port = getattr(house, where)
    with futures.ThreadPoolExecutor(16) as pool:  # Envoy takes its time to close what it refuses.
        asked = [pool.submit(ask, port) for text in HOSTILE for ask in (*_over_http1(text.encode()), *_over_http2(text))]
    for one in asked:
        one.result()
    _goes_on(house, port, f"/after-{where}")


def _over_http1(text: bytes) -> Iterator[Callable[[int], None]]:
    begin = b"GET /%s HTTP/1.1\r\nHost: a%s\r\nUser-Agent: b%s\r\n\r\n"
    for request in (
        begin % (text, b"", b""),
        begin % (b"", text, b""),
        begin % (b"", b"", text),
        b"GET%s / HTTP/1.1\r\nHost: a\r\n\r\n" % text,
        b"GET / HTTP/1.1%s\r\nHost: a\r\n\r\n" % text,
    ):

        def ask(port: int, request: bytes = request) -> None:
            with opened(port, None) as tls:
                raw_http.exchanged(tls, request)

        yield ask


def _over_http2(text: str) -> Iterator[Callable[[int], None]]:
    for headers, path in (
        ([], "/" + text),
        ([("user-agent", text)], "/"),
        ([(":authority", text)], "/"),
        ([("x" + text, "a")], "/"),
    ):

        def ask(port: int, headers: raw_http.Pairs = headers, path: str = path) -> None:
            with opened(port, None, alpn="h2") as tls:
                raw_http.over_http2(tls, headers, path)

        yield ask


def test_a_text_that_is_cut_in_the_middle_of_a_character_is_told(house: House) -> None:
    long = "é" * 300
    with opened(house.plain, None) as tls:
        raw_http.exchanged(tls, b"GET /cut HTTP/1.1\r\nHost: a\r\nUser-Agent: x%s\r\n\r\n" % long.encode())
    (found,) = eventually(lambda: [one for one in house.requests(house.plain) if one.record.get("path") == "/cut"])
    assert found.record["user_agent"] == "x" + "é" * 127 + "\\xc3"


@pytest.mark.parametrize("where", ["asking", "plain"])
@pytest.mark.parametrize("name", [b"\n" * 9, b"\x1f" * 9, b'","x":"y"', b"\xff" * 9, b"\\" * 9], ids=range(5))
def test_whatever_is_asked_for_in_the_handshake_is_told_as_a_name(house: House, where: str, name: bytes) -> None:
    port = getattr(house, where)
    with socket.create_connection(("127.0.0.1", port)) as raw:
        client_port = str(raw.getsockname()[1])
        raw.sendall(client_hello(name))
        raw.recv(1)
    (told,) = eventually(lambda: [one for one in house.tail.told("connection") if one.record["client_port"] == client_port])
    assert set(told.record["sni"].removeprefix("invalid:")) <= {*"abcdefghijklmnopqrstuvwxyz_-."}


def test_only_its_owner_can_read_it_and_every_line_is_a_record(house: House) -> None:
    for port in (house.asking, house.plain):
        _goes_on(house, port, "/told")
    whole = (house.folder / FEED).read_bytes()
    assert whole.endswith(b"\n")
    assert b"198.51.100.9" not in b"".join(line for line in whole.split(b"\n") if line.startswith(b"request 1\x1fl1"))
    assert {one.listener_id for kind in ("request", "connection") for one in house.tail.told(kind)} == {"asking", "plain"}


def test_an_engine_that_may_write_no_more_goes_on_serving_and_says_so_and_tells_again_once_it_may(tmp_path: Path) -> None:
    """As on a disk that is full, and where its keeper was away for long."""
    port, file = free_port(), tmp_path / FEED
    with Engine(tmp_path) as engine:
        assert engine.apply(snapshot(Desired(listeners=(listener("plain", protocol_port=port),)))) == {}
        engine.listens_on(port)

        def ask(path: str) -> None:
            with opened(port, None) as tls:
                assert raw_http.over_http1(tls, [], path).status == 503

        def failed() -> int:
            return asyncio.run(Admin(engine.admin).counters(r"^filesystem\.write_failed$")).get("filesystem.write_failed", 0)

        ask("/before")
        eventually(lambda: b"/before" in file.read_bytes())
        _, hard = resource.prlimit(engine.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (file.stat().st_size + 100, hard))
        ask("/lost")
        eventually(failed)
        resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (hard, hard))

        def tells() -> bool:
            ask("/after")
            return b"/after" in file.read_bytes()

        eventually(tells)
    paths = []
    for line in filter(None, file.read_bytes().split(b"\n")):
        with contextlib.suppress(Invalid):
            paths.append(records.read(line).record.get("path"))
    assert "/before" in paths
    assert "/lost" not in paths
    assert "/after" in paths


def _goes_on(house: House, port: int, path: str) -> None:
    """What comes next is told; and what came before could be read, for the tail takes nothing else."""
    with opened(port, None) as tls:
        assert raw_http.over_http1(tls, [], path).status
    assert eventually(lambda: [one for one in house.requests(port) if one.record.get("path") == path])
