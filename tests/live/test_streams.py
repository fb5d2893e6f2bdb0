"""Long streams of a client that lost its permission end, and nobody else's: WebSockets, downloads, streams of HTTP/2."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import pytest

from ostiary.clock import now
from support import websocket
from support.backend import Backend
from support.certs import Authority, csr, key_pem, new_key
from support.processes import Running
from support.stack import Door, Ostiary
from support.tls_clients import Refused, TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live


@dataclass(frozen=True)
class Person:
    """Somebody with a certificate of ours."""

    house: Ostiary
    id: str
    client: TLSClient

    def becomes(self, reason: str) -> None:
        self.house.call("POST", f"/v1/certificates/{self.id}/revoke", {"reason": reason})

    def knock(self) -> int | str:
        """The status, or the alert of a refused handshake."""
        try:
            return self.client.get("/").status
        except Refused as refused:
            return refused.reason


@dataclass(frozen=True)
class Place:
    """A door that demands certificates of an authority of ours, and looks at long streams each second."""

    house: Ostiary
    authority_id: str
    door: Door
    folder: Path

    def person(self, name: str) -> Person:
        key = new_key()
        wanted = {"authority_id": self.authority_id, "csr": csr(key, name)}
        made = self.house.call("POST", "/v1/certificates", {"certificate": wanted})["certificate"]
        chain, key_file = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        chain.write_text(made["certificate"] + made["chain"])
        key_file.write_text(key_pem(key))
        return Person(self.house, made["id"], TLSClient(self.door.port, ca=self.house.server_ca, cert=chain, key=key_file))

    def cut(self) -> list[dict[str, Any]]:
        """What the gateway wrote down of streams that it ended here."""
        lines = map(json.loads, (self.house.data_dir / "logs" / "access.jsonl").read_text().splitlines())
        wanted = {"event_name": "ostiary.stream.cut", "ostiary.listener.id": self.door.id}
        return [line for line in lines if wanted.items() <= line.items()]

    def told(self) -> dict[str, Any]:
        """What the API tells of the gateway's long streams."""
        (gateway,) = self.house.call("GET", "/v1/gateways")["gateways"]
        return dict(gateway["streams"])


def new_place(house: Ostiary, inside: Backend, folder: Path) -> Place:
    authority = house.call("POST", "/v1/authorities", {"authority": {"name": f"Streams {folder.name}"}})["authority"]
    trust = authority["href"]
    door = house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=trust, stream_recheck=1)
    return Place(house, authority["id"], door, folder)


@pytest.fixture
def place(house: Ostiary, inside: Backend, tmp_path: Path) -> Place:
    return new_place(house, inside, tmp_path)


class Tunnel:
    """A WebSocket that is open until somebody ends it."""

    def __init__(self, client: TLSClient) -> None:
        self._connection = client.connect()
        self._connection.echo_over_websocket("hello")
        self._stream = self._connection.tls.makefile("rb")

    def echoes(self) -> bool:
        """Whether it still lives."""
        try:
            self._connection.tls.sendall(websocket.frame(b"again", masked=True))
            return websocket.read_frame(self._stream.read) == (websocket.TEXT, b"again")
        except OSError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._connection.close()


class Download:
    """Many pieces, one after the other, read in a thread as they come."""

    def __init__(self, client: TLSClient, pieces: int, *, http2: bool = False) -> None:
        self._pieces = pieces
        self._body = b""
        self._ended = False
        self._client, self._is_http2 = client, http2
        self._thread = threading.Thread(target=self._run)

    @property
    def is_cut(self) -> bool:
        """Whether it ended before all was there."""
        return self._ended and not self.is_whole

    @property
    def is_whole(self) -> bool:
        """Whether all that was sent has come, to the last byte."""
        return self._body == b"".join(b"piece %d\n" % number for number in range(1, self._pieces + 1))

    def _run(self) -> None:
        path = f"/slow?pieces={self._pieces}"
        try:
            answer = self._client.get_h2(path)[0] if self._is_http2 else self._client.get(path)
            self._body = answer.body
        except (Refused, OSError, http.client.IncompleteRead):
            self._body = b""
        self._ended = True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()


ENDLESS = 2000  # pieces, 50 ms apart


def test_all_long_streams_of_who_is_revoked_end_and_those_of_others_lose_nothing(place: Place) -> None:
    alice, bob = place.person("alice"), place.person("bob")
    with (
        Tunnel(alice.client) as tunnel,
        Tunnel(bob.client) as other_tunnel,
        Download(alice.client, ENDLESS) as download,
        Download(alice.client, ENDLESS, http2=True) as stream,
        Download(bob.client, 100) as other_download,
        Download(bob.client, 100, http2=True) as other_stream,
    ):
        assert (tunnel.echoes(), other_tunnel.echoes()) == (True, True)
        alice.becomes("keyCompromise")
        eventually(lambda: not tunnel.echoes())
        eventually(lambda: download.is_cut and stream.is_cut)
        eventually(lambda: alice.knock() == "certificate_revoked")
        assert other_tunnel.echoes()
        eventually(lambda: other_download.is_whole and other_stream.is_whole)
        assert other_tunnel.echoes()
    assert bob.knock() == 200
    eventually(lambda: [line["url.path"] for line in sorted(place.cut(), key=str)].count("/slow") == 2)
    assert {(line["ostiary.reason"], line["tls.client.subject"]) for line in place.cut()} == {("revoked", "CN=alice")}
    eventually(lambda: place.told()["ended"].get("revoked", 0) >= 3)
    assert place.told()["unable"] is None


def test_who_is_on_hold_comes_back_after_the_release(place: Place) -> None:
    alice = place.person("alice")
    with Tunnel(alice.client) as tunnel:
        assert tunnel.echoes()
        alice.becomes("certificateHold")
        eventually(lambda: not tunnel.echoes())
    alice.becomes("removeFromCRL")
    eventually(lambda: alice.knock() == 200)
    with Tunnel(alice.client) as tunnel:
        assert tunnel.echoes()


def test_a_websocket_that_is_opened_by_who_is_revoked_meanwhile_does_not_stay(place: Place) -> None:
    """Its first record is on its way while the certificate is revoked."""
    alice = place.person("alice")
    with Tunnel(alice.client) as tunnel:
        alice.becomes("superseded")
        eventually(lambda: not tunnel.echoes())


def test_a_rule_that_is_withdrawn_takes_the_streams_along_that_only_it_allowed(place: Place) -> None:
    def allow(name: str, **fields: Any) -> str:
        rule = {"listener_id": place.door.id, "action": "ALLOW", "name": name, **fields}
        return str(place.house.call("POST", "/v1/access-rules", {"access_rule": rule})["access_rule"]["id"])

    sockets, _ = allow("sockets", paths=["/ws"]), allow("the rest", paths=["/slow", "/"])
    place.house.until_active(place.door.id)
    alice = place.person("alice")
    with Tunnel(alice.client) as tunnel, Download(alice.client, 100) as download:
        assert tunnel.echoes()
        place.house.call("DELETE", f"/v1/access-rules/{sockets}")
        eventually(lambda: not tunnel.echoes())
        eventually(lambda: download.is_whole)
    assert alice.knock() == 200
    assert [line["ostiary.reason"] for line in place.cut()] == ["no_rule_allows"]


def test_no_stream_lasts_longer_than_the_listener_allows(house: Ostiary, inside: Backend) -> None:
    door = house.door(inside.port, max_stream_duration=1)
    client = TLSClient(door.port, ca=house.server_ca)
    with Tunnel(client) as tunnel, Download(client, ENDLESS) as download:
        eventually(lambda: not tunnel.echoes())
        eventually(lambda: download.is_cut)
    assert client.get("/").status == 200


@pytest.fixture
def ostiary(tmp_path: Path, start_process: Callable[..., Running]) -> Iterator[Ostiary]:
    with Ostiary(tmp_path, start_process) as running:
        yield running
        if running.process is not None and not running.process.is_alive:
            running.start()  # Killed by a test: only a living one stops its gateway.


def test_a_new_control_plane_knows_the_streams_that_were_opened_before(ostiary: Ostiary, inside: Backend, tmp_path: Path) -> None:
    place = new_place(ostiary, inside, tmp_path)
    alice, bob = place.person("alice"), place.person("bob")
    with Tunnel(alice.client) as tunnel, Tunnel(bob.client) as other:
        assert ostiary.process is not None
        ostiary.process.kill()
        assert (tunnel.echoes(), other.echoes()) == (True, True)
        ostiary.start()
        alice.becomes("keyCompromise")
        eventually(lambda: not tunnel.echoes())
        assert other.echoes()


def test_streams_end_with_their_certificate_also_while_there_is_no_control_plane(
    ostiary: Ostiary, inside: Backend, tmp_path: Path
) -> None:
    ca = Authority.root("Streams that expire")
    trust = ostiary.secret(ca.cert_pem)
    door = ostiary.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=trust, stream_recheck=1)
    leaves = {"soon": ca.client("soon", not_after=now() + timedelta(seconds=6)), "later": ca.client("later")}
    clients = {name: leaf.write(tmp_path, name) for name, leaf in leaves.items()}
    soon, later = (
        TLSClient(door.port, ca=ostiary.server_ca, cert=clients[name].chain, key=clients[name].key) for name in ("soon", "later")
    )
    with Tunnel(soon) as tunnel, Download(soon, ENDLESS) as download, Tunnel(later) as other:
        assert ostiary.process is not None
        ostiary.process.kill()
        assert tunnel.echoes()
        eventually(lambda: not tunnel.echoes())
        eventually(lambda: download.is_cut)
        assert other.echoes()
    with pytest.raises(Refused):
        replace(soon, _context=[]).get("/")
