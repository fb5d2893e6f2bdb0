"""The test clients and servers tell the truth: a refusal is called one, and nothing else is."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.backend import TLS, Backend
from support.certs import Authority, Paths, self_signed_client
from support.ports import free_port
from support.tls_clients import Refused, TLSClient, Version, curl, s_client
from support.wait import eventually

CA = Authority.root()


@pytest.fixture(scope="module")
def client_files(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return CA.client("alice").write(tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    files = CA.server().write(tmp_path_factory.mktemp("server"))
    with Backend(tls=TLS(files.chain, files.key, client_ca=files.ca)) as running:
        yield running


@pytest.fixture
def alice(door: Backend, client_files: Paths) -> TLSClient:
    return TLSClient(door.port, ca=client_files.ca, cert=client_files.chain, key=client_files.key)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_client_is_known_by_its_certificate(door: Backend, client_files: Paths, version: Version) -> None:
    alice = TLSClient(door.port, ca=client_files.ca, cert=client_files.chain, key=client_files.key, version=version)
    with alice.connect() as connection:
        assert connection.get("/first").json()["client"] == "alice"
        assert connection.get("/second").json()["path"] == "/second"
        assert connection.version == version


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_refusal_names_the_alert(door: Backend, client_files: Paths, version: Version, tmp_path: Path) -> None:
    stranger = self_signed_client().write(tmp_path)
    with pytest.raises(Refused) as refused:
        TLSClient(door.port, ca=client_files.ca, cert=stranger.cert, key=stranger.key, version=version).get("/")
    # Python's server is quick to hang up, and a reset can overtake its alert.
    assert refused.value.reason in {"unknown_ca", "closed"}


def test_an_untrusted_server_is_not_a_refusal(door: Backend, alice: TLSClient, tmp_path: Path) -> None:
    other = Authority.root("Other").client().write(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        TLSClient(door.port, ca=other.ca, cert=alice.cert, key=alice.key).get("/")
    assert not curl(f"https://localhost:{door.port}/", ca=other.ca, cert=alice.cert, key=alice.key).is_refused


def test_a_port_where_nobody_listens_is_not_a_refusal(client_files: Paths) -> None:
    port = free_port()
    with pytest.raises(ConnectionRefusedError):
        TLSClient(port, ca=client_files.ca).get("/")
    assert not curl(f"https://localhost:{port}/", ca=client_files.ca).is_refused


def test_curl_and_openssl_are_let_in_and_refused(door: Backend, alice: TLSClient) -> None:
    url = f"https://localhost:{door.port}/"
    answered = curl(url, ca=alice.ca, cert=alice.cert, key=alice.key, http="1.1")
    assert (answered.status, answered.http_version, answered.json()["client"]) == (200, "1.1", "alice")
    assert curl(url, ca=alice.ca).is_refused
    assert s_client(door.port, ca=alice.ca, cert=alice.cert, key=alice.key).status == 200
    assert s_client(door.port, ca=alice.ca).status is None


def test_a_session_is_resumed_when_the_server_will(alice: TLSClient) -> None:
    with alice.connect() as first:
        first.get("/")
        session = first.session
    with alice.connect(session) as second:
        assert second.is_resumed


def test_a_websocket_echoes(alice: TLSClient) -> None:
    with alice.connect() as connection:
        assert connection.echo_over_websocket("hello") == "hello"


def test_a_backend_streams_holds_and_stops(door: Backend, alice: TLSClient) -> None:
    assert alice.get("/slow?pieces=2").body == b"piece 1\npiece 2\n"
    door.healthy = False
    assert alice.get("/health").status == 503
    door.healthy = True
    with alice.connect() as connection:
        assert connection.get("/").status == 200
        door.stop()
        with pytest.raises(Refused):
            connection.get("/")
    door.restart()
    assert eventually(lambda: alice.get("/")).status == 200
