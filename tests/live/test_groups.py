"""What a group permits holds, and ends, on connections that are open: one change at once, thousands within seconds."""

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ostiary.clock import now
from ostiary.ids import new_id
from ostiary.store.engine import open_engine
from ostiary.store.kinds import CERTIFICATE
from ostiary.store.store import Facts, Store
from support.backend import Backend
from support.certs import csr, key_pem, new_key
from support.stack import Door, Ostiary
from support.systems import sqlite_url
from support.tls_clients import TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live

MANY = 2000


@dataclass(frozen=True)
class Person:
    """Somebody with a certificate of ours."""

    house: Ostiary
    id: str
    client: TLSClient
    chain: Path
    key: Path

    def joins(self, *groups: str) -> None:
        self.house.call("PUT", f"/v1/certificates/{self.id}", {"certificate": {"groups": list(groups)}})


@dataclass(frozen=True)
class Place:
    """A door whose clients may reach what their groups permit."""

    house: Ostiary
    authority: dict[str, Any]
    door: Door
    folder: Path

    def person(self, name: str, *groups: str) -> Person:
        key = new_key()
        made = self.issue(csr(key, name), *groups)
        return self._written(name, made, key_pem(key))

    def issue(self, request: str, *groups: str) -> dict[str, Any]:
        wanted = {"authority_id": self.authority["id"], "csr": request, "groups": list(groups)}
        return dict(self.house.call("POST", "/v1/certificates", {"certificate": wanted})["certificate"])

    def renewed(self, old: Person, name: str) -> Person:
        key = new_key()
        made = self.house.call("POST", f"/v1/certificates/{old.id}/renew", {"csr": csr(key, name)})["certificate"]
        return self._written(name, made, key_pem(key))

    def rule(self, **fields: Any) -> None:
        wanted = {"listener_id": self.door.id, **fields}
        self.house.call("POST", "/v1/access-rules", {"access_rule": wanted})
        self.house.until_active(self.door.id)

    def crowd(self, like: Person, how_many: int, *others: Person) -> None:
        """Put so many certificates on record that are in the group of this one, and the others too, all in one moment.

        Straight into the database, as another control plane would: to issue them takes minutes.
        """
        store = Store(open_engine(sqlite_url(self.house.data_dir)), now)

        def work(facts: Facts) -> None:
            known = facts.require(CERTIFICATE, like.id)
            for number in range(how_many):
                fake = hashlib.sha256(f"{like.id} {number}".encode()).hexdigest()
                news = {"id": new_id(), "fingerprint_sha256": fake, "key_sha256": fake, "serial": fake[:32], "updated_at": None}
                facts.insert(CERTIFICATE, known.model_copy(update=news))
            for other in others:
                one = facts.require(CERTIFICATE, other.id)
                facts.replace(CERTIFICATE, one, one.model_copy(update={"groups": known.groups}))

        store.record(work)
        store.close()

    def _written(self, name: str, made: dict[str, Any], key: str) -> Person:
        chain, key_file = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        chain.write_text(made["certificate"] + made["chain"])
        key_file.write_text(key)
        client = TLSClient(self.door.port, ca=self.house.server_ca, cert=chain, key=key_file)
        return Person(self.house, made["id"], client, chain, key_file)


@pytest.fixture
def place(house: Ostiary, inside: Backend, tmp_path: Path) -> Place:
    authority = house.call("POST", "/v1/authorities", {"authority": {"name": f"Groups {tmp_path.name}"}})["authority"]
    on = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": authority["href"]}
    return Place(house, authority, house.door(inside.port, **on), tmp_path)


def test_joining_and_leaving_a_group_holds_on_open_connections(place: Place) -> None:
    alice, bob = place.person("alice", "field"), place.person("bob")
    place.rule(name="field", certificate={"groups": ["field"]}, paths=["/v1/*"])
    with alice.client.connect() as one, bob.client.connect() as other:
        eventually(lambda: one.get("/v1/x").status == 200)
        assert (one.get("/").status, other.get("/v1/x").status) == (403, 403)
        bob.joins("ops", "field")
        eventually(lambda: other.get("/v1/x").status == 200)
        alice.joins("ops")
        eventually(lambda: one.get("/v1/x").status == 403)
        assert other.get("/v1/x").status == 200
        alice.joins("field")
        eventually(lambda: one.get("/v1/x").status == 200)
        assert (one.get("/v2").status, other.get("/v2").status) == (403, 403)


def test_a_renewed_certificate_is_in_the_groups_of_the_old_one(place: Place) -> None:
    old = place.person("carol", "field")
    place.rule(name="field", certificate={"groups": ["field"]})
    new = place.renewed(old, "carol-2")
    eventually(lambda: (old.client.get("/").status, new.client.get("/").status) == (200, 200))
    old.joins()
    eventually(lambda: (old.client.get("/").status, new.client.get("/").status) == (403, 200))


def test_of_thousands_that_join_together_each_is_a_member(place: Place) -> None:
    """More than travel with the routes: they are settled into the long table, and the next change is a small one again."""
    first = place.person("first", "crowd")
    place.rule(name="crowd", certificate={"groups": ["crowd"]})
    eventually(lambda: first.client.get("/").status == 200)
    last = place.person("last")
    place.crowd(first, MANY, last)
    with ExitStack() as open_ones:
        connections = [open_ones.enter_context(one.client.connect()) for one in (first, last)]
        eventually(lambda: [one.get("/").status for one in connections] == [200, 200], within=60)
        last.joins()
        eventually(lambda: [one.get("/").status for one in connections] == [200, 403], within=60)


def test_a_rule_and_an_exception_hold_and_end_on_open_connections(place: Place) -> None:
    dora = place.person("dora")
    with dora.client.connect() as one:
        assert one.get("/").status == 200
        place.rule(name="nobody", action="DENY", certificate={"subject_cn": ["dora"]})
        eventually(lambda: one.get("/").status == 403)
        (rule,) = place.house.call("GET", f"/v1/access-rules?listener_id={place.door.id}")["access_rules"]
        place.house.call("DELETE", f"/v1/access-rules/{rule['id']}")
        eventually(lambda: one.get("/").status == 200)
