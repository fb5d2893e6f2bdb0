"""Whoever loses permission is refused on the connection that is open, over HTTP/1.1 and HTTP/2, and let in when it comes back.

All that while, a bystander's requests, on new connections and on kept ones, are answered without one failing.
"""

import http.client
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from ostiary.clock import now
from support import attacker
from support.backend import Backend
from support.certs import Authority, Leaf, csr, key_pem, new_key
from support.stack import Door, Ostiary
from support.tls_clients import Connection, Refused, TLSClient
from support.traffic import Traffic
from support.wait import eventually

pytestmark = pytest.mark.live

SERVED: Final = 200


class Kept:
    """Two connections that stay open, one of HTTP/1.1 and one of HTTP/2."""

    def __init__(self, client: TLSClient) -> None:
        self._one: Connection = client.connect()
        self._two: Connection = replace(client, alpn=("h2",), _context=[]).connect()
        self._talk = attacker.Talk(self._two.tls)

    def statuses(self, path: str = "/") -> tuple[int, int]:
        """What each is answered now; 0 where the gateway ended the connection, as it does when the door itself was changed."""
        try:
            first = self._one.get(path).status
        except (Refused, http.client.HTTPException):
            first = 0
        return first, self._talk.get(path).status

    def close(self) -> None:
        self._one.close()
        self._two.close()


@dataclass(frozen=True)
class Place:
    """A door, and an authority of ours that it trusts."""

    house: Ostiary
    authority: dict[str, Any]
    door: Door
    folder: Path

    def person(self, name: str, authority: dict[str, Any] | None = None) -> tuple[str, TLSClient]:
        """Somebody's certificate id, and the client that shows it."""
        key = new_key()
        wanted = {"authority_id": (authority or self.authority)["id"], "csr": csr(key, name)}
        made = self.house.call("POST", "/v1/certificates", {"certificate": wanted})["certificate"]
        chain, key_file = self.folder / f"{made['id']}.pem", self.folder / f"{made['id']}.key"
        chain.write_text(made["certificate"] + made["chain"])
        key_file.write_text(key_pem(key))
        return made["id"], TLSClient(self.door.port, ca=self.house.server_ca, cert=chain, key=key_file)

    def showing(self, leaf: Leaf) -> TLSClient:
        paths = leaf.write(self.folder, str(leaf.certificate.serial_number))
        return TLSClient(self.door.port, ca=self.house.server_ca, cert=paths.chain, key=paths.key)

    def revoke(self, certificate_id: str, reason: str) -> None:
        self.house.call("POST", f"/v1/certificates/{certificate_id}/revoke", {"reason": reason})


def authority_of(house: Ostiary, name: str, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = house.call("POST", "/v1/authorities", {"authority": {"name": name, **fields}})["authority"]
    return made


@pytest.fixture
def place(house: Ostiary, inside: Backend, tmp_path: Path) -> Place:
    authority = authority_of(house, f"Clients {tmp_path.name}")
    door = house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=authority["href"])
    return Place(house, authority, door, tmp_path)


@contextmanager
def open_while(bystander: TLSClient, *clients: TLSClient) -> Iterator[tuple[Kept, ...]]:
    """Connections of these clients, all served, while somebody else's requests go on without one failing."""
    with Traffic(bystander) as traffic, open_for(*clients) as kept:
        yield kept
        traffic.goes_on()
    assert traffic.failures == []


@contextmanager
def open_for(*clients: TLSClient) -> Iterator[tuple[Kept, ...]]:
    """Connections of these clients, all served."""
    with ExitStack() as stack:
        kept = tuple(map(Kept, clients))
        for one in kept:
            stack.callback(one.close)
            assert one.statuses() == (SERVED, SERVED)
        yield kept


def becomes(kept: Kept, status: int) -> None:
    eventually(lambda: kept.statuses() == (status, status), within=30)


def is_served_no_more(kept: Kept) -> None:
    """Refused or ended: the door was changed, so that its connections are ended in peace, whosever they are."""
    eventually(lambda: set(kept.statuses()) <= {403, 0}, within=30)


def is_not_refused(kept: Kept) -> None:
    """Served, or told to come again: what `Traffic` does without losing a request."""
    assert set(kept.statuses()) <= {SERVED, 0}


def knock(client: TLSClient) -> int | str:
    try:
        return client.get("/").status
    except Refused as refused:
        return refused.reason


def test_who_is_revoked_is_refused_and_who_is_on_hold_until_the_release(place: Place) -> None:
    (alice, hers), (bob, his), (_, bystander) = (place.person(name) for name in ("alice", "bob", "carol"))
    with open_while(bystander, hers, his) as (one, other):
        place.revoke(alice, "certificateHold")
        becomes(one, 403)
        assert other.statuses() == (SERVED, SERVED)
        place.revoke(alice, "removeFromCRL")
        becomes(one, SERVED)
        place.revoke(bob, "keyCompromise")
        becomes(other, 403)
        assert one.statuses() == (SERVED, SERVED)
    eventually(lambda: isinstance(knock(his), str))
    assert knock(hers) == SERVED


def test_a_certificate_is_refused_once_its_time_is_over(house: Ostiary, inside: Backend, tmp_path: Path) -> None:
    ca = Authority.root("Certificates that end")
    trust = house.secret(ca.cert_pem)
    door = house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=trust)
    place = Place(house, {}, door, tmp_path)
    bystander, later = place.showing(ca.client("carol")), place.showing(ca.client("later"))
    soon = place.showing(ca.client("soon", not_after=now() + timedelta(seconds=8)))
    with open_while(bystander, soon, later) as (one, other):
        becomes(one, 403)
        assert other.statuses() == (SERVED, SERVED)
    assert isinstance(knock(soon), str)


def test_an_authority_that_is_taken_off_takes_its_open_connections_with_it(place: Place) -> None:
    house = place.house
    second = authority_of(house, f"Second {place.folder.name}")
    _, old = place.person("old")
    _, new = place.person("new", second)
    kept = Kept(old)
    assert kept.statuses() == (SERVED, SERVED)
    house.change(place.door.id, client_ca_tls_container_ref=second["href"])
    is_served_no_more(kept)
    kept.close()
    assert isinstance(knock(old), str)
    with open_while(new, new) as (other,):
        house.change(place.door.id, name="still the same")
        is_not_refused(other)
    house.change(place.door.id, client_ca_tls_container_ref=place.authority["href"])
    eventually(lambda: knock(old) == SERVED)


def test_a_rotation_refuses_open_connections_once_it_is_finished(place: Place, inside: Backend) -> None:
    house = place.house
    second = authority_of(house, f"Second {place.folder.name}")
    _, old = place.person("old")
    ends = {"from_id": place.authority["id"], "to_id": second["id"]}
    rotation = f"/v1/rotations/{house.call('POST', '/v1/rotations', {'rotation': ends})['rotation']['id']}"
    _, new = place.person("new", second)
    eventually(lambda: (knock(old), knock(new)) == (SERVED, SERVED))
    # A door that trusts the new authority by name trusts the old one too, but only as long as the rotation goes on.
    elsewhere = house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=second["href"])
    there = Kept(replace(old, port=elsewhere.port, _context=[]))
    assert there.statuses() == (SERVED, SERVED)
    with open_while(new, old, new) as (one, other):
        house.call("POST", f"{rotation}/finish", {"force": True})
        is_served_no_more(one)
        is_served_no_more(there)
        is_not_refused(other)
    there.close()
    house.call("POST", f"{rotation}/undo")
    eventually(lambda: knock(old) == SERVED)


def test_a_rotation_that_is_undone_refuses_those_of_the_new_authority(place: Place) -> None:
    house = place.house
    second = authority_of(house, f"Second {place.folder.name}")
    _, old = place.person("old")
    ends = {"from_id": place.authority["id"], "to_id": second["id"]}
    rotation = f"/v1/rotations/{house.call('POST', '/v1/rotations', {'rotation': ends})['rotation']['id']}"
    _, new = place.person("new", second)
    eventually(lambda: knock(new) == SERVED)
    with open_while(old, old, new) as (one, other):
        house.call("POST", f"{rotation}/undo")
        is_served_no_more(other)
        is_not_refused(one)
    eventually(lambda: isinstance(knock(new), str))


def test_an_authority_that_is_revoked_takes_its_open_connections_with_it(house: Ostiary, inside: Backend, tmp_path: Path) -> None:
    root = authority_of(house, f"Root {tmp_path.name}")
    good, bad = (
        authority_of(house, f"{name} {tmp_path.name}", kind="intermediate", parent_id=root["id"]) for name in ("Good", "Bad")
    )
    door = house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=root["href"])
    place = Place(house, root, door, tmp_path)
    (_, in_), (_, out) = place.person("in", good), place.person("out", bad)
    with open_while(in_, in_, out) as (one, other):
        house.call("POST", f"/v1/authorities/{bad['id']}/revoke", {"reason": "cACompromise"})
        becomes(other, 403)
        assert one.statuses() == (SERVED, SERVED)
    assert isinstance(knock(out), str)


def test_a_rule_or_a_group_that_changes_is_felt_by_open_connections(place: Place) -> None:
    house = place.house
    (alice, hers), (bob, his), (carol, bystander) = (place.person(name) for name in ("alice", "bob", "carol"))
    grouped(house, "ops", alice, carol)
    grouped(house, "dev", bob)
    with open_while(bystander, hers, his) as (one, other):
        everybody = ruled(house, place.door, "everybody", {})
        ruled(house, place.door, "ops", {"groups": ["ops"]})
        house.call("DELETE", f"/v1/access-rules/{everybody}")
        becomes(other, 403)
        assert one.statuses() == (SERVED, SERVED)
        grouped(house, "", alice)
        becomes(one, 403)
        grouped(house, "ops", alice, bob)
        becomes(one, SERVED)
        becomes(other, SERVED)
        denied = ruled(house, place.door, "not bob", {"subject_cn": ["bob"]}, action="DENY", position=1)
        becomes(other, 403)
        assert one.statuses() == (SERVED, SERVED)
        house.call("DELETE", f"/v1/access-rules/{denied}")
        becomes(other, SERVED)


def grouped(house: Ostiary, group: str, *certificates: str) -> None:
    for one in certificates:
        house.call("PUT", f"/v1/certificates/{one}", {"certificate": {"groups": [group] if group else []}})


def ruled(house: Ostiary, door: Door, name: str, certificate: dict[str, Any], action: str = "ALLOW", **fields: Any) -> str:
    wanted = {"listener_id": door.id, "name": name, "action": action, "certificate": certificate, **fields}
    return str(house.call("POST", "/v1/access-rules", {"access_rule": wanted})["access_rule"]["id"])


@pytest.mark.parametrize("mode", ["OPTIONAL", "NONE"])
def test_switching_client_ca_on_refuses_open_connections_without_a_certificate(
    house: Ostiary, inside: Backend, tmp_path: Path, mode: str
) -> None:
    authority = authority_of(house, f"Clients {tmp_path.name}")
    ca = {"client_ca_tls_container_ref": authority["href"]} if mode == "OPTIONAL" else {}
    door = house.door(inside.port, client_authentication=mode, **ca)
    place = Place(house, authority, door, tmp_path)
    _, holder = place.person("holder")
    nobody = holder.without_certificate()
    # Where none was asked for, no connection has a certificate, whoever opened it: nobody stands by.
    with open_while(holder, nobody) if mode == "OPTIONAL" else open_for(nobody) as (kept,):
        house.change(door.id, client_authentication="MANDATORY", client_ca_tls_container_ref=authority["href"])
        is_served_no_more(kept)
    assert isinstance(knock(nobody), str)
    house.change(door.id, client_authentication=mode)
    eventually(lambda: knock(nobody) == SERVED)
