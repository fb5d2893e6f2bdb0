"""Revocation on the real data plane: at the handshake, on the open connection, and back again after a hold."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509

from support.backend import Backend
from support.certs import csr, key_pem, new_key
from support.stack import LB, Door, Ostiary
from support.tls_clients import Refused, TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live


@dataclass(frozen=True)
class Person:
    """Somebody with a certificate of ours."""

    house: Ostiary
    certificate: dict[str, Any]
    client: TLSClient

    def becomes(self, reason: str) -> None:
        """Say why the certificate is no longer good, or (removeFromCRL) that it is again."""
        self.house.call("POST", f"/v1/certificates/{self.certificate['id']}/revoke", {"reason": reason})

    def knock(self) -> int | str:
        """The status, or the alert of a refused handshake."""
        try:
            return self.client.get("/").status
        except Refused as refused:
            return refused.reason


@dataclass(frozen=True)
class Place:
    """A door whose Client CA is an authority of ours."""

    house: Ostiary
    authority: dict[str, Any]
    door: Door
    folder: Path

    def person(self, name: str, authority: dict[str, Any] | None = None) -> Person:
        key = new_key()
        wanted = {"authority_id": (authority or self.authority)["id"], "csr": csr(key, name)}
        made = self.house.call("POST", "/v1/certificates", {"certificate": wanted})["certificate"]
        chain, key_file = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        chain.write_text(made["certificate"] + made["chain"])
        key_file.write_text(key_pem(key))
        return Person(self.house, made, TLSClient(self.door.port, ca=self.house.server_ca, cert=chain, key=key_file))


def new_authority(house: Ostiary, name: str, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = house.call("POST", "/v1/authorities", {"authority": {"name": name, **fields}})["authority"]
    return made


@pytest.fixture(params=["root", "intermediate"])
def place(request: pytest.FixtureRequest, house: Ostiary, inside: Backend, tmp_path: Path) -> Place:
    authority = new_authority(house, f"Root {tmp_path.name}")
    if request.param == "intermediate":
        authority = new_authority(house, f"Clients {tmp_path.name}", kind="intermediate", parent_id=authority["id"])
    door = house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=authority["href"])
    return Place(house, authority, door, tmp_path)


def test_a_revoked_client_is_refused_in_the_handshake_and_nobody_else_is(place: Place) -> None:
    alice, bob = place.person("alice"), place.person("bob")
    assert (alice.knock(), bob.knock()) == (200, 200)
    alice.becomes("keyCompromise")
    eventually(lambda: alice.knock() == "certificate_revoked")
    assert bob.knock() == 200


def test_an_open_connection_is_refused_too_and_that_of_others_lives_on(place: Place) -> None:
    alice, bob = place.person("alice"), place.person("bob")
    with alice.client.connect() as hers, bob.client.connect() as his:
        assert (hers.get("/").status, his.get("/").status) == (200, 200)
        alice.becomes("superseded")
        eventually(lambda: hers.get("/").status == 403)
        assert his.get("/").status == 200


def test_what_was_on_hold_is_let_in_again_after_its_release(place: Place) -> None:
    alice = place.person("alice")
    alice.becomes("certificateHold")
    eventually(lambda: alice.knock() == "certificate_revoked")
    alice.becomes("removeFromCRL")
    eventually(lambda: alice.knock() == 200)


def test_all_issuing_cas_of_a_series_are_trusted_and_each_revokes_its_own(
    house: Ostiary, inside: Backend, tmp_path: Path
) -> None:
    root = new_authority(house, "Root of a series")
    first = new_authority(house, "Series", kind="intermediate", parent_id=root["id"])
    door = house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=first["href"])
    place = Place(house, first, door, tmp_path)
    old = place.person("old")
    house.call("POST", f"/v1/authorities/{first['id']}/roll")
    new = place.person("new")
    assert new.certificate["authority_id"] != old.certificate["authority_id"]
    eventually(lambda: new.knock() == 200)
    assert old.knock() == 200
    old.becomes("superseded")
    eventually(lambda: old.knock() == "certificate_revoked")
    assert new.knock() == 200
    new.becomes("superseded")
    eventually(lambda: new.knock() == "certificate_revoked")


def test_a_revoked_intermediate_takes_all_its_clients_with_it(house: Ostiary, inside: Backend, tmp_path: Path) -> None:
    root = new_authority(house, "Root of two")
    good, bad = (new_authority(house, name, kind="intermediate", parent_id=root["id"]) for name in ("Good", "Bad"))
    door = house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=root["href"])
    place = Place(house, root, door, tmp_path)
    in_, out = place.person("in", good), place.person("out", bad)
    eventually(lambda: (in_.knock(), out.knock()) == (200, 200))
    house.call("POST", f"/v1/authorities/{bad['id']}/revoke", {"reason": "cACompromise"})
    eventually(lambda: isinstance(out.knock(), str))
    assert in_.knock() == 200


def test_a_rotation_shuts_nobody_out_until_it_is_finished(house: Ostiary, inside: Backend, tmp_path: Path) -> None:
    old, new = new_authority(house, "Old CA"), new_authority(house, "New CA")
    door = house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=old["href"])
    place = Place(house, old, door, tmp_path)
    early = place.person("early")
    started = house.call("POST", "/v1/rotations", {"rotation": {"from_id": old["id"], "to_id": new["id"]}})["rotation"]
    late = place.person("late")
    eventually(lambda: (early.knock(), late.knock()) == (200, 200))
    refused = house.request("POST", f"/v1/rotations/{started['id']}/finish", {})
    assert refused.status_code == 409
    house.call("POST", f"/v1/rotations/{started['id']}/finish", {"force": True})
    eventually(lambda: isinstance(early.knock(), str))
    assert late.knock() == 200
    house.call("POST", f"/v1/rotations/{started['id']}/undo")
    eventually(lambda: early.knock() == 200)


def test_what_was_revoked_stays_revoked_when_everything_starts_again(inside: Backend, tmp_path: Path) -> None:
    with Ostiary(tmp_path / "data") as house:
        authority = new_authority(house, "Clients")
        door = house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=authority["href"])
        place = Place(house, authority, door, tmp_path)
        alice, bob = place.person("alice"), place.person("bob")
        alice.becomes("keyCompromise")
        house.stop()
        house.start()
        eventually(lambda: bob.knock() == 200)
        eventually(lambda: alice.knock() == "certificate_revoked")


class Public(Ostiary):
    """One that others can reach, so that certificates and lists say where news of them is to be had."""

    @property
    def options(self) -> tuple[str, ...]:
        return ("--public-url", f"http://{self.listen}")


def test_the_addresses_in_a_certificate_lead_to_its_list_and_the_engine_takes_lists_that_name_deltas(
    inside: Backend, tmp_path: Path
) -> None:
    with Public(tmp_path / "data") as house:
        authority = new_authority(house, "Clients")
        door = house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=authority["href"])
        place = Place(house, authority, door, tmp_path)
        alice, bob = place.person("alice"), place.person("bob")
        assert (alice.knock(), bob.knock()) == (200, 200)
        alice.becomes("superseded")
        eventually(lambda: alice.knock() == "certificate_revoked")
        assert bob.knock() == 200
        certificate = x509.load_pem_x509_certificate(alice.certificate["certificate"].encode())
        (point,) = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
        assert point.full_name is not None
        held = x509.load_der_x509_crl(httpx.get(point.full_name[0].value, trust_env=False).content)
        assert held.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
        (freshest,) = held.extensions.get_extension_for_class(x509.FreshestCRL).value
        assert freshest.full_name is not None
        delta = x509.load_der_x509_crl(httpx.get(freshest.full_name[0].value, trust_env=False).content)
        assert delta.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None


def test_an_authority_that_a_listener_trusts_by_name_can_be_revoked_and_then_nobody_gets_in(
    house: Ostiary, inside: Backend, tmp_path: Path
) -> None:
    root = new_authority(house, "Root of a lost one")
    lost = new_authority(house, "Lost", kind="intermediate", parent_id=root["id"])
    door = house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=lost["href"])
    alice = Place(house, lost, door, tmp_path).person("alice")
    assert alice.knock() == 200
    house.call("POST", f"/v1/authorities/{lost['id']}/revoke", {"reason": "cACompromise"})
    eventually(lambda: isinstance(alice.knock(), str))
    # Anything else of the listener can still be changed, and it can be turned to another authority, but not to this one.
    house.change(door.id, connection_limit=100)
    other = new_authority(house, "Another")
    house.change(door.id, client_ca_tls_container_ref=other["href"])
    refused = house.request("PUT", f"{LB}/listeners/{door.id}", {"listener": {"client_ca_tls_container_ref": lost["href"]}})
    assert (refused.status_code, "was revoked" in refused.text) == (400, True)
