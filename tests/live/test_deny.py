"""Who is denied is refused at the next request, on connections that are open; nobody else notices."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
from cryptography.hazmat.primitives import hashes

from ostiary.envoy.snapshot import snapshot
from ostiary.model.desired import Desired
from ostiary.model.tls import Trust
from support.backend import Backend
from support.certs import Authority, Leaf
from support.desired import listener, member, pool
from support.ports import free_port
from support.tiny_ads import Engine
from support.tls_clients import Connection, TLSClient
from support.traffic import Traffic
from support.wait import eventually

pytestmark = pytest.mark.live

CA = Authority.root("Deny root")
ALICE, BOB = CA.client("alice"), CA.client("bob")


def fingerprint(leaf: Leaf) -> str:
    return leaf.certificate.fingerprint(hashes.SHA256()).hex()


class House:
    """An Envoy with one listener; `deny` says who is not to be served."""

    def __init__(self, engine: Engine, backend: Backend) -> None:
        self.engine = engine
        self.port = free_port()
        self.backend = backend

    def deny(self, *leaves: Leaf, mode: str = "MANDATORY") -> None:
        door = listener(
            trust=Trust(name="trust/clients", certificates=CA.cert_pem),
            client_authentication=mode,
            protocol_port=self.port,
            default_pool_id="p1",
        )
        members = pool("p1", member("m1", self.backend.port))
        wanted = Desired(listeners=(door,), pools=(members,), denied=frozenset(map(fingerprint, leaves)))
        assert self.engine.apply(snapshot(wanted)) == {}
        self.engine.listens_on(self.port)


@pytest.fixture
def house(tmp_path: Path, backend: Backend) -> Iterator[House]:
    with Engine(tmp_path) as engine:
        yield House(engine, backend)


@pytest.fixture
def client(house: House, tmp_path: Path) -> Callable[[Leaf], TLSClient]:
    def showing(leaf: Leaf) -> TLSClient:
        paths = leaf.write(tmp_path, fingerprint(leaf)[:8])
        return TLSClient(house.port, cert=paths.chain, key=paths.key)

    return showing


class HTTP2:
    """One HTTP/2 connection that is asked again and again."""

    def __init__(self, connection: Connection) -> None:
        self._tls = connection.tls
        self._conversation = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._conversation.initiate_connection()

    def status(self) -> int:
        stream = self._conversation.get_next_available_stream_id()
        headers = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/")]
        self._conversation.send_headers(stream, headers, end_stream=True)
        status, ended = 0, False
        while not ended:
            self._tls.sendall(self._conversation.data_to_send())
            received = self._tls.recv(65_536)
            assert received, "the connection was closed"
            for event in self._conversation.receive_data(received):
                assert not isinstance(event, h2.events.ConnectionTerminated)
                if isinstance(event, h2.events.ResponseReceived):
                    status = int({str(name): str(value) for name, value in event.headers}[":status"])
                ended |= isinstance(event, h2.events.StreamEnded)
        return status


@pytest.mark.parametrize("mode", ["MANDATORY", "OPTIONAL"])
def test_open_connections_of_who_is_denied_are_refused_and_served_again_when_that_ends(
    house: House, client: Callable[[Leaf], TLSClient], mode: str
) -> None:
    deny = partial(house.deny, mode=mode)
    deny()
    alice, bob = client(ALICE), client(BOB)
    with (
        alice.connect() as one,
        replace(alice, alpn=("h2",), _context=[]).connect() as two,
        bob.connect() as other,
        Traffic(bob) as traffic,
    ):
        http1, http2 = one, HTTP2(two)
        assert (http1.get("/").status, http2.status(), other.get("/").status) == (200, 200, 200)
        deny(ALICE)
        eventually(lambda: http1.get("/").status == 403)
        eventually(lambda: http2.status() == 403)
        assert alice.get("/").status == 403  # a new connection likewise
        assert other.get("/").status == 200
        traffic.goes_on()
        deny()
        eventually(lambda: http1.get("/").status == 200)
        eventually(lambda: http2.status() == 200)
        deny(ALICE, CA.client("carol"))
        eventually(lambda: http1.get("/").status == 403)
        traffic.goes_on()
    assert traffic.failures == []


def test_who_shows_no_certificate_is_not_taken_for_who_is_denied(house: House, client: Callable[[Leaf], TLSClient]) -> None:
    house.deny(ALICE, mode="OPTIONAL")
    assert client(ALICE).get("/").status == 403
    assert client(ALICE).without_certificate().get("/").status == 200


def test_no_header_makes_somebody_else_of_who_is_denied(house: House, client: Callable[[Leaf], TLSClient]) -> None:
    house.deny(ALICE)
    names = ("ostiary.fingerprint", "x-envoy-fingerprint", "x-forwarded-client-cert", "x-ssl-client-sha1", "client-cert")
    for value in (fingerprint(BOB), f"Hash={fingerprint(BOB)}", ""):
        assert client(ALICE).get("/", headers=dict.fromkeys(names, value)).status == 403
        assert client(BOB).get("/", headers=dict.fromkeys(names, fingerprint(ALICE))).status == 200


def test_a_connection_is_served_on_when_certificates_are_no_longer_asked_for(
    house: House, client: Callable[[Leaf], TLSClient]
) -> None:
    """What its own, older filters look up has to be there for as long as they are."""
    house.deny()
    with client(ALICE).connect() as kept:
        assert kept.get("/").status == 200
        house.deny(mode="NONE")
        assert kept.get("/").status == 200
