"""Who is let in is seen, whatever dies meanwhile; who is refused is written down; and telling it holds up nobody."""

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ostiary.clock import now
from support.backend import Backend
from support.certs import Authority, Leaf, word_for_word
from support.processes import Running
from support.stack import PROGRAM, Door, Ostiary
from support.tls_clients import Refused, TLSClient, client_hello
from support.traffic import Traffic
from support.wait import eventually

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def ca() -> Authority:
    return Authority.root("Seen root")


@pytest.fixture
def ostiary(tmp_path: Path, start_process: Callable[..., Running]) -> Iterator[Ostiary]:
    with Ostiary(tmp_path, start_process) as running:
        yield running


@pytest.fixture
def door(ostiary: Ostiary, backend: Backend, ca: Authority) -> Door:
    return ostiary.door(backend.port, client_authentication="MANDATORY", client_ca_tls_container_ref=ostiary.secret(ca.cert_pem))


@pytest.fixture
def holder(ostiary: Ostiary, door: Door, tmp_path: Path) -> Callable[[Leaf], TLSClient]:
    """A client that shows this certificate."""

    def showing(leaf: Leaf) -> TLSClient:
        paths = leaf.write(tmp_path, fingerprint(leaf)[:8])
        return TLSClient(door.port, ca=ostiary.server_ca, cert=paths.chain, key=paths.key)

    return showing


def fingerprint(leaf: Leaf) -> str:
    return leaf.certificate.fingerprint(hashes.SHA256()).hex()


def seen(ostiary: Ostiary, leaf: Leaf) -> dict[str, Any] | None:
    clients = ostiary.call("GET", f"/v1/clients?fingerprint_sha256={fingerprint(leaf)}")["clients"]
    return dict(clients[0]) if clients else None


def requests(ostiary: Ostiary, leaf: Leaf) -> int:
    return int((seen(ostiary, leaf) or {"requests": 0})["requests"])


def kept(ostiary: Ostiary, leaf: Leaf) -> int:
    """How many requests of this certificate the gateway has on disk, to be told."""
    said = json.loads((ostiary.data_dir / "gateway" / "sightings").read_bytes())
    known = [*said["pending"], *(one for batch in said["batches"] for one in batch["sightings"])]
    return sum(one["requests"] for one in known if one["fingerprint_sha256"] == fingerprint(leaf))


def written(ostiary: Ostiary) -> list[dict[str, Any]]:
    """The access log."""
    return [json.loads(line) for line in (ostiary.data_dir / "logs" / "access.jsonl").read_text().splitlines()]


# In the words of the record (ostiary.gateway.terms), what is asked for here.
WORDS = {
    "kind": "event_name",
    "fingerprint": "tls.client.hash.sha256",
    "refused": "ostiary.reason",
    "listener": "ostiary.listener.id",
    "sni": "ostiary.tls.server_name",
}


def told(ostiary: Ostiary, **fields: str) -> list[dict[str, Any]]:
    """Those of its lines that say this."""
    said = {"kind": "ostiary.{}".format, "fingerprint": str.upper}
    wanted = {WORDS[name]: said.get(name, str)(value) for name, value in fields.items()}
    return [entry for entry in written(ostiary) if wanted.items() <= entry.items()]


def test_who_is_let_in_is_seen_with_when_where_and_how_often(
    ostiary: Ostiary, door: Door, holder: Callable[[Leaf], TLSClient], ca: Authority
) -> None:
    alice = ca.client("alice", sans=("URI:spiffe://test/alice",))
    with holder(alice).connect() as connection:
        for _ in range(3):
            assert connection.get("/some/path?token=secret").status == 200
        eventually(lambda: requests(ostiary, alice) == 3)  # while the connection is open
    client = seen(ostiary, alice)
    assert client is not None
    assert client["subject"] == "CN=alice"
    assert client["issuer"] == "CN=Seen root"
    assert client["addresses"] == ["127.0.0.1"]
    assert client["listener_id"] == door.id
    assert client["certificate_id"] is None
    (first, *_) = told(ostiary, kind="request", fingerprint=fingerprint(alice))
    assert (first["url.path"], first["http.response.status_code"], first["ostiary.verdict"]) == ("/some/path", 200, "admitted")
    assert first["ostiary.certificate.san.uri"] == "spiffe://test/alice"
    assert "secret" not in (ostiary.data_dir / "logs" / "access.jsonl").read_text()
    assert (ostiary.data_dir / "logs" / "access.jsonl").stat().st_mode & 0o777 == 0o600
    # And whoever is in use and ends soon is warned of, though we did not issue it.
    ending = ca.client("ending", not_before=now() - timedelta(days=300), not_after=now() + timedelta(days=6.5))
    assert holder(ending).get().status == 200
    eventually(lambda: seen(ostiary, ending) is not None)
    warned = ostiary.call("GET", "/v1/warnings?kind=CLIENT_CERTIFICATE")["warnings"][0]  # the most urgent
    assert (warned["thing_id"], warned["within_days"], warned["severity"]) == (fingerprint(ending), 7, "WARNING")
    assert warned["name"] == "CN=ending"
    assert len(warned["listeners"]) == 1


def test_the_command_line_lists_who_was_seen(
    ostiary: Ostiary, holder: Callable[[Leaf], TLSClient], ca: Authority, start_process: Callable[..., Running]
) -> None:
    alice, where = ca.client("alice"), {"OSTIARY_URL": f"http://{ostiary.listen}"}
    assert holder(alice).get("/").status == 200
    eventually(lambda: requests(ostiary, alice) == 1)
    for words, expected in (
        ((), "CN=alice"),
        (("--json",), fingerprint(alice)),
        (("--listener", "00000000-0000-4000-8000-000000000000"), "No client has been seen"),
        (("--many-addresses",), "No certificate was used from many addresses."),
    ):
        listed = start_process(PROGRAM, "clients", "--data-dir", ostiary.data_dir, *words, name="clients", env=where)
        assert listed.wait(60) == 0
        assert expected in listed.output()


def test_when_a_certificate_of_ours_was_seen_is_shown_with_it_and_survives_a_restart(
    ostiary: Ostiary, backend: Backend, tmp_path: Path
) -> None:
    root = ostiary.call("POST", "/v1/authorities", {"authority": {"name": "Ours", "kind": "root"}})["authority"]
    door = ostiary.door(backend.port, client_authentication="MANDATORY", client_ca_tls_container_ref=root["href"])
    from ostiary.pki.holder import new_key_and_request  # noqa: PLC0415

    key, csr = new_key_and_request("carol")
    body = {"certificate": {"authority_id": root["id"], "csr": csr, "profile": "client"}}
    issued = ostiary.call("POST", "/v1/certificates", body)["certificate"]
    assert issued["last_seen"] is None
    (tmp_path / "c.pem").write_text(issued["certificate"])
    (tmp_path / "c.key").write_bytes(key)
    client = TLSClient(door.port, ca=ostiary.server_ca, cert=tmp_path / "c.pem", key=tmp_path / "c.key")
    assert client.get("/").status == 200

    def last_seen() -> str | None:
        return ostiary.call("GET", f"/v1/certificates/{issued['id']}")["certificate"]["last_seen"]  # type: ignore[no-any-return]

    eventually(last_seen)
    before = last_seen()
    ostiary.stop()
    ostiary.start()
    assert last_seen() == before
    (known,) = ostiary.call("GET", f"/v1/clients?certificate_id={issued['id']}")["clients"]
    assert known["last_seen"] == before


def test_nobody_is_forgotten_or_counted_twice_while_the_control_plane_and_then_the_keeper_are_killed(
    ostiary: Ostiary, holder: Callable[[Leaf], TLSClient], ca: Authority
) -> None:
    alice, bob = ca.client("alice"), ca.client("bob")
    clients = {leaf.certificate: holder(leaf) for leaf in (alice, bob)}
    assert clients[alice.certificate].get("/").status == 200
    eventually(lambda: requests(ostiary, alice) == 1)
    assert ostiary.process is not None
    ostiary.process.kill()
    for _ in range(5):
        assert clients[bob.certificate].get("/").status == 200
    eventually(lambda: kept(ostiary, bob) == 5)
    pid = ostiary.data_dir / "run" / "keeper.pid"
    os.kill(json.loads(pid.read_text())["pid"], signal.SIGKILL)
    ostiary.start()
    eventually(lambda: requests(ostiary, bob) == 5)
    ostiary.stop()
    ostiary.start()
    assert (requests(ostiary, alice), requests(ostiary, bob)) == (1, 5)


def test_who_is_refused_at_the_handshake_is_written_down_and_not_seen(
    ostiary: Ostiary, door: Door, holder: Callable[[Leaf], TLSClient], ca: Authority
) -> None:
    mallory = Authority.root("Elsewhere").client("mallory", sans=("DNS:mallory.test",))
    for client in (holder(mallory), holder(ca.client("nobody")).without_certificate()):
        with pytest.raises(Refused):
            client.get("/")
    codes = ("no_certificate", "unknown_authority")
    eventually(lambda: all(told(ostiary, refused=code, listener=door.id) for code in codes))
    by_subject = {entry.get("tls.client.subject"): entry for code in codes for entry in told(ostiary, refused=code)}
    assert set(by_subject) == {"CN=mallory", None}
    assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in by_subject[None]["ostiary.tls.failure"]
    entry = by_subject["CN=mallory"]
    assert entry["tls.client.hash.sha256"] == fingerprint(mallory).upper()
    assert entry["ostiary.certificate.san.dns"] == "mallory.test"
    assert x509.load_pem_x509_certificate(entry["tls.client.certificate"].encode()) == mallory.certificate
    assert seen(ostiary, mallory) is None


def test_neither_a_strange_name_nor_a_strange_hello_hides_what_is_told_with_it(
    ostiary: Ostiary, door: Door, holder: Callable[[Leaf], TLSClient], ca: Authority
) -> None:
    """One name is no text, and another holds what stands between the fields of a record."""
    alice, strange = ca.client("alice"), ca.client("strange", sans=("DNS:strange.test",))
    no_text, control = (_with_name(ca, strange, name) for name in (b"\xff\xfe.test", b"a\x1fb"))
    assert holder(no_text).get("/no-text").status == 200
    assert holder(control).get("/control").status == 503  # Envoy itself: it would not stand in a header
    _hello(door.port, b"\xff\xfe" * 5)
    assert holder(alice).get("/plain").status == 200
    eventually(lambda: [requests(ostiary, leaf) for leaf in (alice, no_text, control)] == [1, 1, 1])
    eventually(lambda: told(ostiary, kind="connection", sni="invalid:" + "_" * 10))  # as Envoy shows it
    (first,) = told(ostiary, kind="request", fingerprint=fingerprint(no_text))
    assert (first["url.path"], first["ostiary.certificate.san.dns"]) == ("/no-text", "\\xff\\xfe.test")
    (second,) = told(ostiary, kind="request", fingerprint=fingerprint(control))
    assert second["http.response.status_code"] == 503
    assert (second["url.path"], second["ostiary.certificate.san.dns"]) == ("/control", "a\x1fb")


def test_a_websocket_is_seen_when_it_ends_and_what_it_showed_is_known(
    ostiary: Ostiary, holder: Callable[[Leaf], TLSClient], ca: Authority
) -> None:
    alice = ca.client("alice")
    with holder(alice).connect() as connection:
        assert connection.echo_over_websocket("hello") == "hello"
    eventually(lambda: requests(ostiary, alice) == 1)
    begun, ended = told(ostiary, kind="request", fingerprint=fingerprint(alice))
    assert (begun["http.response.status_code"], "ostiary.duration" in begun) == (101, False)
    assert (ended["http.response.status_code"], "ostiary.duration" in ended) == (101, True)


def test_a_keeper_that_hangs_fails_no_request_and_misses_none(
    ostiary: Ostiary, holder: Callable[[Leaf], TLSClient], ca: Authority
) -> None:
    alice = ca.client("alice")
    keeper = json.loads((ostiary.data_dir / "run" / "keeper.pid").read_text())["pid"]
    with Traffic(holder(alice)) as traffic:
        os.kill(keeper, signal.SIGSTOP)
        try:
            for _ in range(20):
                traffic.goes_on()
        finally:
            os.kill(keeper, signal.SIGCONT)
        traffic.goes_on()
    assert traffic.failures == []
    eventually(lambda: requests(ostiary, alice) == traffic.answered)
    assert told(ostiary, kind="lost") == []


def test_a_keeper_that_is_killed_again_and_again_misses_no_request_and_counts_none_twice(
    ostiary: Ostiary, holder: Callable[[Leaf], TLSClient], ca: Authority
) -> None:
    alice = ca.client("alice")

    def written() -> int:
        found = told(ostiary, kind="request", fingerprint=fingerprint(alice))
        return sum(one.get("ostiary.count", 1) for one in found)

    file = ostiary.data_dir / "run" / "keeper.pid"
    with Traffic(holder(alice)) as traffic:
        for _ in range(3):
            before = int(json.loads(file.read_text())["pid"])
            os.kill(before, signal.SIGKILL)
            for _ in range(20):
                traffic.goes_on()
            eventually(partial(_is_another, file, before))
            traffic.goes_on()
    assert traffic.failures == []
    eventually(lambda: requests(ostiary, alice) >= traffic.answered)
    eventually(lambda: written() >= traffic.answered)
    assert requests(ostiary, alice) == traffic.answered
    assert written() == traffic.answered
    assert told(ostiary, kind="lost") == []


def _is_another(file: Path, before: int) -> bool:
    return bool(json.loads(file.read_text())["pid"] != before)


def _with_name(ca: Authority, like: Leaf, dns: bytes) -> Leaf:
    """The same certificate with another DNS name, which is no text at all."""
    body = bytes([0x82, len(dns)]) + dns
    name = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, bytes([0x30, len(body)]) + body)
    real = like.certificate
    builder = word_for_word(real, real.public_key()).add_extension(name, critical=False)
    for extension in real.extensions:
        if extension.oid != name.oid:
            builder = builder.add_extension(extension.value, extension.critical)
    return replace(like, certificate=builder.sign(ca.key, hashes.SHA256()))


def _hello(port: int, name: bytes) -> None:
    """A ClientHello that asks for a server by this name, and then nothing."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(client_hello(name))
        assert connection.recv(1)
