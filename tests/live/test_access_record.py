"""What comes to a real Envoy, admitted or refused, is on record and at three collectors, with whose certificate and why."""

import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes

from ostiary.gateway.terms import TYPES
from support.backend import Backend
from support.certs import Authority, Leaf
from support.collectors import OtlpCollector, SyslogServer
from support.console_door import WithConsoleDoor
from support.processes import start
from support.stack import PROGRAM, Door
from support.tls_clients import Refused, TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live

Entries = list[dict[str, Any]]


@dataclass
class Recorded(WithConsoleDoor):
    """An ostiary that sends its record to these."""

    exports: tuple[str, ...] = ()

    @property
    def options(self) -> tuple[object, ...]:
        kept = ("--access-log-max-age", "12h", "--access-log-keep", "400d")
        return (*super().options, *kept, *(word for url in self.exports for word in ("--access-log-export", url)))

    @property
    def written(self) -> Entries:
        """What the file has."""
        return [json.loads(line) for line in (self.data_dir / "logs" / "access.jsonl").read_text().splitlines()]


@dataclass(frozen=True)
class Place:
    """A house, who collects from it, and a listener that lets in whom `ca` vouches for, but nobody to /secret."""

    house: Recorded
    tls: SyslogServer
    udp: SyslogServer
    otlp: OtlpCollector
    ca: Authority
    door: Door
    folder: Path
    keeper: str  # which process it was at first

    def client(self, leaf: Leaf) -> TLSClient:
        paths = leaf.write(self.folder, fingerprint(leaf)[:8])
        return TLSClient(self.door.port, ca=self.house.server_ca, cert=paths.chain, key=paths.key)

    def everywhere(self, **wanted: Any) -> Entries:
        """What is told of this in the file, once it is everywhere; `__` stands for dots."""
        fields = {name.replace("__", "."): value for name, value in wanted.items()}

        def found(entries: Entries) -> Entries:
            return [one for one in entries if fields.items() <= one.items()]

        eventually(lambda: all(map(found, (self.house.written, self.tls.entries, self.udp.entries, self.otlp.records))))
        return found(self.house.written)


def fingerprint(leaf: Leaf) -> str:
    return leaf.certificate.fingerprint(hashes.SHA256()).hex().upper()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, ca = tmp_path_factory.mktemp("record"), Authority.root("Record root")
    (folder / "ca.pem").write_text(ca.cert_pem)
    (folder / "headers").write_text("Authorization: Bearer s3cret-of-the-collector\n")
    with (
        Backend() as backend,
        SyslogServer("tls", authority=ca, folder=folder) as tls,
        SyslogServer("udp") as udp,
        OtlpCollector(authority=ca, folder=folder) as otlp,
    ):
        exports = (
            f"syslog+tls://127.0.0.1:{tls.port}#ca={folder}/ca.pem,facility=authpriv",
            f"syslog+udp://127.0.0.1:{udp.port}",
            f"otlp+https://127.0.0.1:{otlp.port}/v1/logs#ca={folder}/ca.pem,headers={folder}/headers",
        )
        with Recorded(folder) as house:
            trust: dict[str, Any] = {
                "client_authentication": "MANDATORY",
                "client_ca_tls_container_ref": house.secret(ca.cert_pem),
            }
            door = house.door(backend.port, **trust)
            for rule in ({"action": "DENY", "paths": ["/secret"]}, {"action": "ALLOW"}):
                house.call("POST", "/v1/access-rules", {"access_rule": {"listener_id": door.id, "name": rule["action"], **rule}})
            house.until_active(door.id)
            keeper = (house.data_dir / "run" / "keeper.pid").read_text()
            assert house.process is not None
            house.process.kill()
            house.exports = exports
            house.start()
            eventually(lambda: len(house.call("GET", "/v1/gateways")["gateways"][0]["exports"]) == len(exports))
            yield Place(house, tls, udp, otlp, ca, door, folder, keeper)


def test_who_was_admitted_and_who_was_refused_is_told_with_the_certificate(place: Place) -> None:
    alice = place.ca.client("alice", sans=("URI:spiffe://test/alice",))
    client = place.client(alice)
    assert client.get("/a?token=hidden", {"User-Agent": "probe/1"}).status == 200
    eventually(lambda: client.get("/secret").status == 403)
    whose = {
        "tls.client.hash.sha256": fingerprint(alice),
        "tls.client.subject": "CN=alice",
        "tls.client.issuer": "CN=Record root",
        "ostiary.certificate.san.uri": "spiffe://test/alice",
        "ostiary.listener.id": place.door.id,
        "client.address": "127.0.0.1",
        "network.local.port": place.door.port,
        "network.protocol.name": "http",
        "event_name": "ostiary.request",
    }
    (admitted,) = place.everywhere(url__path="/a", ostiary__verdict="admitted")
    assert whose.items() <= admitted.items()
    assert (admitted["http.response.status_code"], admitted["user_agent.original"]) == (200, "probe/1")
    assert int(admitted["ostiary.certificate.serial_number"], 16) == alice.certificate.serial_number
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", admitted["timestamp"])
    assert admitted["ostiary.duration"] >= 0
    refused, *_ = place.everywhere(url__path="/secret", ostiary__verdict="refused")
    assert whose.items() <= refused.items()
    assert (refused["ostiary.reason"], refused["http.response.status_code"]) == ("denied_by_rule", 403)
    rules = place.house.call("GET", f"/v1/access-rules?listener_id={place.door.id}")["access_rules"]
    assert refused["ostiary.rule.id"] == next(one["id"] for one in rules if one["action"] == "DENY")
    (connection, *_) = place.everywhere(event_name="ostiary.connection", tls__client__subject="CN=alice")
    assert (connection["ostiary.verdict"], connection["tls.established"]) == ("admitted", True)
    for entry in place.house.written:
        assert entry.keys() <= TYPES.keys()
    by_id = {message.entry["log.record.uid"]: message for message in place.tls.messages}
    assert len(by_id) == len(place.tls.messages)
    assert {(one.facility, one.severity) for one in by_id.values()} == {(10, 4), (10, 6)}


def test_who_does_not_get_past_the_handshake_is_told_too(place: Place) -> None:
    mallory = Authority.root("Elsewhere").client("mallory")
    for client in (place.client(mallory), place.client(place.ca.client("nobody")).without_certificate()):
        with pytest.raises(Refused):
            client.get("/")
    (stranger, *_) = place.everywhere(ostiary__reason="unknown_authority")
    assert (stranger["ostiary.verdict"], stranger["tls.established"]) == ("refused", False)
    assert (stranger["tls.client.hash.sha256"], stranger["tls.client.subject"]) == (fingerprint(mallory), "CN=mallory")
    (nobody, *_) = place.everywhere(ostiary__reason="no_certificate")
    assert "tls.client.subject" not in nobody


def test_what_is_no_request_is_let_in_by_nobody(place: Place) -> None:
    client = place.client(place.ca.client("alice again"))
    with (
        socket.create_connection(("127.0.0.1", place.door.port)) as raw,
        client.context().wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nno header at all\r\n\r\n")
        assert b" 400 " in connection.recv(4096).splitlines()[0]
    (entry, *_) = place.everywhere(ostiary__reason="bad_request")
    assert (entry["ostiary.verdict"], entry["tls.client.subject"]) == ("refused", "CN=alice again")


def test_who_hangs_up_before_the_handshake_is_let_in_by_nobody(place: Place) -> None:
    with socket.create_connection(("127.0.0.1", place.door.port)) as raw:
        port = raw.getsockname()[1]
        raw.sendall(b"\x16\x03\x01")  # the beginning of a hello
    (entry, *_) = place.everywhere(event_name="ostiary.connection", client__port=port)
    assert (entry["ostiary.verdict"], entry["ostiary.reason"], entry["tls.established"]) == ("refused", "tls_failed", False)


def test_neither_what_is_secret_at_our_own_door_nor_a_collectors_token_gets_in(place: Place) -> None:
    link = place.house.call("POST", "/v1/sign-in-links")["sign_in_link"]["url"]
    path = link.partition(f":{place.house.console_port}")[2]
    secret = path.rpartition("/")[2]
    assert place.house.visitor().get(path, {"User-Agent": "at-our-door"}).status < 500
    (entry, *_) = place.everywhere(ostiary__listener__id="console", user_agent__original="at-our-door")
    assert "url.path" not in entry
    assert {one["Authorization"] for one in place.otlp.headers} == {"Bearer s3cret-of-the-collector"}
    told = repr((place.house.written, place.tls.entries, place.udp.entries, place.otlp.records))
    assert place.house.process is not None
    said = place.house.process.output()
    for hidden in (secret, "hidden", "s3cret-of-the-collector"):
        assert hidden not in told + said
        for file in place.house.data_dir.rglob("*"):
            assert not file.is_file() or hidden.encode() not in file.read_bytes(), file


def test_the_command_line_says_how_far_each_target_is(place: Place) -> None:
    assert place.client(place.ca.client("somebody")).get("/sent").status == 200
    eventually(lambda: all(one["sent"] for one in place.house.call("GET", "/v1/gateways")["gateways"][0]["exports"]))
    where = {"OSTIARY_URL": f"http://{place.house.listen}"}
    listed = start(PROGRAM, "status", "--data-dir", place.house.data_dir, name="status", folder=place.folder, env=where)
    assert listed.wait(60) == 0
    assert f"syslog+tls://127.0.0.1:{place.tls.port}" in listed.output()
    assert "waiting since" in listed.output()


def test_a_keeper_that_ran_already_follows_what_the_next_control_plane_says(place: Place) -> None:
    """It was started without a word about the record (the fixture)."""
    assert (place.house.data_dir / "run" / "keeper.pid").read_text() == place.keeper
    assert (place.house.data_dir / "gateway" / "recording.json").stat().st_mode & 0o777 == 0o600
    (gateway,) = place.house.call("GET", "/v1/gateways")["gateways"]
    assert [one["target"] for one in gateway["exports"]] == [url.partition("#")[0] for url in place.house.exports]
    assert gateway["recording_error"] is None
