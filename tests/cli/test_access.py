"""Access rules, exceptions and groups by command line."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.backend import Backend
from support.certs import csr, key_pem, new_key
from support.commands import Terminal
from support.stack import Door, Ostiary
from support.tls_clients import TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ostiary]:
    with Ostiary(tmp_path_factory.mktemp("access")) as running:
        yield running


@pytest.fixture(scope="module")
def inside() -> Iterator[Backend]:
    with Backend("inside") as running:
        yield running


@dataclass(frozen=True)
class Person:
    """Somebody with a certificate of ours."""

    id: str
    file: Path
    client: TLSClient


@dataclass(frozen=True)
class Place:
    """A door that demands certificates of an authority of ours, and who comes to it."""

    house: Ostiary
    authority: dict[str, Any]
    door: Door
    ostiary: Terminal

    @property
    def name(self) -> str:
        return str(self.door.listener["name"])

    def person(self, name: str, **fields: Any) -> Person:
        key = new_key()
        wanted = {"authority_id": self.authority["id"], "csr": csr(key, name), **fields}
        made = self.house.call("POST", "/v1/certificates", {"certificate": wanted})["certificate"]
        chain, key_file = self.ostiary.folder / f"{name}.pem", self.ostiary.folder / f"{name}.key"
        chain.write_text(made["certificate"] + made["chain"])
        key_file.write_text(key_pem(key))
        return Person(made["id"], chain, TLSClient(self.door.port, ca=self.house.server_ca, cert=chain, key=key_file))

    def rules(self) -> list[dict[str, Any]]:
        return list(self.ostiary.does("access", "list", self.name, "--json").json())


@pytest.fixture
def place(house: Ostiary, inside: Backend, tmp_path: Path) -> Place:
    authority = house.call("POST", "/v1/authorities", {"authority": {"name": f"CA {tmp_path.name}"}})["authority"]
    on = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": authority["href"]}
    door = house.door(inside.port, name=f"door {tmp_path.name}", **on)
    env = {"OSTIARY_URL": f"http://{house.listen}", "OSTIARY_DATA_DIR": str(house.data_dir)}
    return Place(house, authority, door, Terminal(house, tmp_path, env))


def test_rules_are_added_listed_changed_moved_and_removed(place: Place) -> None:
    ostiary, name = place.ostiary, place.name
    assert "every valid certificate is let in" in ostiary.does("access", "list", name).out
    place.person("member", groups=["field"])
    words = ("--allow", "--name", "field reads", "--group", "field", "--ca", place.authority["name"], "--host", "api.test")
    more = ("--path", "/v1/*", "--method", "GET", "--source", "10.0.0.0/8", "--from", "2026-01-01", "--until", "30d")
    assert ostiary.does("access", "add", name, *words, *more).out == f"Added 'field reads' at position 1 of {name}.\n"
    (rule,) = place.rules()
    assert (rule["certificate"]["groups"], rule["certificate"]["authority_ids"]) == (["field"], [place.authority["id"]])
    assert (rule["hosts"], rule["paths"], rule["methods"], rule["sources"]) == (["api.test"], ["/v1/*"], ["GET"], ["10.0.0.0/8"])
    assert (rule["not_before"], rule["action"], rule["shadow"]) == ("2026-01-01T00:00:00Z", "ALLOW", False)
    added = ostiary.does(
        "access", "add", name, "--deny", "--name", "no admin", "--path", "/admin*", "--position", "1", "--shadow"
    )
    assert "at position 1" in added.out
    shown = ostiary.does("access", "list", name).out
    for words_shown in ("DENY (shadow)", f"group field; CA {place.authority['name']}", "GET api.test /v1/*", "everybody"):
        assert words_shown in shown
    assert "at position 2" in ostiary.does("access", "move", "no admin", "2").out
    assert [one["name"] for one in place.rules()] == ["field reads", "no admin"]
    ostiary.does("access", "set", "field reads", "--method", "GET", "--method", "HEAD", "--until", "", "--host", "", "--yes")
    rule, _ = place.rules()
    assert (rule["methods"], rule["not_after"], rule["hosts"], rule["paths"]) == (["GET", "HEAD"], None, [], ["/v1/*"])
    ostiary.does("access", "set", "field reads", "--cn", "mem*", "--yes")
    assert ostiary.does("access", "show", rule["id"], "--json").json()["certificate"]["subject_cn"] == ["mem*"]
    assert "field" in ostiary.does("access", "show", "field reads").out
    assert ostiary.does("access", "remove", "no admin").out == f"Removed 'no admin' from {name}.\n"
    assert "the only rule" in ostiary.is_told("access", "remove", "field reads")
    ostiary.does("access", "remove", "field reads", "--yes")
    assert place.rules() == []


def test_what_makes_no_sense_is_told_in_one_line(place: Place) -> None:
    ostiary, add = place.ostiary, ("access", "add", place.name, "--name", "x")
    assert "say one of --allow and --deny" in ostiary.is_told(*add)
    assert "certificate.groups: nobody is in group 'x'" in ostiary.is_told(*add, "--allow", "--group", "x")
    assert "paths.0: 'a'" in ostiary.is_told(*add, "--allow", "--path", "a")
    assert "certificate.san_dns.0: " in ostiary.is_told(*add, "--allow", "--dns", "*example.com")
    assert "there is no authority 'x'" in ostiary.is_told(*add, "--allow", "--ca", "x")
    assert "--until: 'soon'" in ostiary.is_told(*add, "--allow", "--until", "soon")
    assert "not_after: it ends before it starts" in ostiary.is_told(*add, "--deny", "--from", "30d", "--until", "2d")
    assert "there is no listener 'x'" in ostiary.is_told("access", "add", "x", "--allow", "--name", "x")
    assert "there is no access rule 'x'" in ostiary.is_told("access", "move", "x", "1")
    ostiary.does(*add, "--allow")
    assert "say what to change" in ostiary.is_told("access", "set", "x")
    assert "says the same already" in ostiary.is_told("access", "add", place.name, "--name", "y", "--allow")
    assert "fits all that it fits" in ostiary.does("access", "add", place.name, "--name", "y", "--allow", "--path", "/y").out
    assert len(place.rules()) == 2


def test_whom_a_rule_shuts_out_is_said_before_it_does(place: Place) -> None:
    ostiary = place.ostiary
    field, other = place.person("field-1", groups=["field"]), place.person("other-1")
    assert (field.client.get("/").status, other.client.get("/").status) == (200, 200)
    seen = f"/v1/clients?listener_id={place.door.id}"
    eventually(lambda: len(place.house.call("GET", seen)["clients"]) == 2, within=60)
    add = ("access", "add", place.name, "--allow", "--name", "field only", "--group", "field")
    told = ostiary.is_told(*add)
    assert told.startswith(f"1 of 2 clients that {place.name} served within 24 hours would be refused")
    assert "CN=other-1" in told
    assert place.rules() == []
    assert "Added 'field only'" in ostiary.does(*add, "--yes").out
    place.house.until_active(place.door.id)
    eventually(lambda: (field.client.get("/").status, other.client.get("/").status) == (200, 403))
    assert "would be refused, whatever they ask for: CN=field-1." in ostiary.is_told("access", "set", "field only", "--deny")
    ostiary.does("access", "set", "field only", "--deny", "--yes")
    ostiary.does("access", "remove", "field only", "--yes")
    eventually(lambda: other.client.get("/").status == 200)


def test_what_if_shows_the_decision_and_the_checks(place: Place) -> None:
    ostiary = place.ostiary
    alice = place.person("alice")
    ostiary.does("access", "add", place.name, "--allow", "--name", "reads", "--cn", "alice", "--path", "/v1/*", "--yes")
    ask = ("access", "test", place.name, "--cert", alice.file, "--host", "api.test")
    out = ostiary.does(*ask, "--path", "/v1/x").out
    assert out.startswith("ALLOW: allowed by 'reads', at the request. Rule 'reads' allows it.\n")
    assert "rule reads" in out
    out = ostiary.does("access", "test", place.name, "--cert-id", alice.id, "--path", "/v2").out
    assert out.startswith("DENY: no_rule_allows, at the request. The listener has access rules")
    out = ostiary.does("access", "test", place.name).out
    assert out.startswith("DENY: no_certificate, at the handshake.")
    told = ostiary.does(*ask, "--path", "/v1/x", "--method", "POST", "--json").json()
    assert (told["decision"], told["access_rule"]) == ("ALLOW", "reads")
    ostiary.does("access", "add", place.name, "--deny", "--name", "no posts", "--method", "POST", "--position", "1", "--shadow")
    out = ostiary.does(*ask, "--path", "/v1/x", "--method", "POST", "--at", "1h").out
    assert "If what is rehearsed were in force: DENY, denied_by_rule. Rule 'no posts' denies it." in out
    assert "give one of them" in ostiary.is_told(*ask, "--cert-id", alice.id)
    assert "--header: 'x'" in ostiary.is_told(*ask, "--header", "x")


def test_exceptions_are_added_listed_and_removed(place: Place) -> None:
    ostiary, exception = place.ostiary, ("access", "exception")
    assert "every request needs one" in ostiary.does(*exception, "list", place.name).out
    add = (*exception, "add", place.name, "--name", "status page", "--owner", "ann")
    nobody = TLSClient(place.door.port, ca=place.house.server_ca)
    assert "paths: that is everything" in ostiary.is_told(*add, "--kind", "PATHS", "--path", "/*", "--until", "30d")
    assert "not_after: an exception ends within" in ostiary.is_told(*add, "--kind", "HEALTH_CHECK", "--until", "2199-01-01")
    said = ostiary.does(*add, "--kind", "paths", "--path", "/status", "--until", "30d").out
    assert "need no certificate; ann answers for it" in said
    place.house.until_active(place.door.id)
    eventually(lambda: nobody.get("/status").status == 200)
    assert nobody.get("/").status == 403
    out = ostiary.does("access", "test", place.name, "--path", "/status").out
    assert out.startswith("ALLOW: exempt by 'status page', at the request.")
    (one,) = ostiary.does(*exception, "list", place.name, "--json").json()
    assert (one["state"], one["days_left"], one["owner"]) == ("ACTIVE", 29, "ann")
    assert "status page" in ostiary.does(*exception, "list").out
    assert "need a certificate again" in ostiary.does(*exception, "remove", "status page").out
    assert "there is no access exception" in ostiary.is_told(*exception, "remove", "status page")


def test_groups_of_a_certificate_are_changed(place: Place) -> None:
    ostiary, one = place.ostiary, place.person("grouped", groups=["a"])
    said = ostiary.does("cert", "set", one.id, "--group", "field", "--group", "b", "--no-group", "a", "--owner", "ann").out
    assert said == "CN=grouped: owner ann, groups field, b.\n"
    assert ostiary.does("cert", "set", one.id, "--no-group", "b", "--json").json()["groups"] == ["field"]
    assert "it is not in group 'x'; it is in: field" in ostiary.is_told("cert", "set", one.id, "--no-group", "x")
    assert "say what to change" in ostiary.is_told("cert", "set", one.id)
