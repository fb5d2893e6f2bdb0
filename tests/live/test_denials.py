"""Every refusal is told, with its reason, who it was and what to do, and read by who was refused."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes

from ostiary.access.words import FIXES, PUBLIC
from support.backend import Backend
from support.certs import Authority, Leaf
from support.processes import Running
from support.stack import PROGRAM, Door, Ostiary
from support.tls_clients import Answer, Refused, TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def ca() -> Authority:
    return Authority.root("Denials root")


@pytest.fixture
def own(tmp_path: Path, start_process: Callable[..., Running]) -> Iterator[Ostiary]:
    """An ostiary that may be killed."""
    with Ostiary(tmp_path, start_process) as running:
        yield running


def opened(ostiary: Ostiary, backend: Backend, ca: Authority) -> Door:
    """A door with rules: /secret is for nobody."""
    made = ostiary.door(backend.port, client_authentication="MANDATORY", client_ca_tls_container_ref=ostiary.secret(ca.cert_pem))
    rule = {"listener_id": made.id, "name": "all but /secret", "action": "DENY", "paths": ["/secret"]}
    others = {"listener_id": made.id, "name": "the rest", "action": "ALLOW"}
    for one in (rule, others):
        ostiary.call("POST", "/v1/access-rules", {"access_rule": one})
    ostiary.until_active(made.id)
    return made


@pytest.fixture
def door(house: Ostiary, inside: Backend, ca: Authority) -> Door:
    return opened(house, inside, ca)


def showing(ostiary: Ostiary, door: Door, leaf: Leaf, folder: Path) -> TLSClient:
    """A client that shows this certificate."""
    paths = leaf.write(folder, fingerprint(leaf)[:8])
    return TLSClient(door.port, ca=ostiary.server_ca, cert=paths.chain, key=paths.key)


@pytest.fixture
def holder(house: Ostiary, door: Door, tmp_path: Path) -> Callable[[Leaf], TLSClient]:
    return lambda leaf: showing(house, door, leaf, tmp_path)


def fingerprint(leaf: Leaf) -> str:
    return leaf.certificate.fingerprint(hashes.SHA256()).hex()


def denials(ostiary: Ostiary, door: Door, query: str = "") -> list[dict[str, Any]]:
    return list(ostiary.call("GET", f"/v1/denials?listener_id={door.id}&{query}")["denials"])


def one_denial(ostiary: Ostiary, door: Door, query: str = "") -> dict[str, Any]:
    """The only one, once it is told."""
    eventually(lambda: denials(ostiary, door, query))
    (one,) = denials(ostiary, door, query)
    return one


def refused(client: TLSClient, path: str = "/secret", **headers: str) -> Answer:
    answer = client.get(path, headers)
    assert answer.status == 403, answer
    return answer


def test_who_fails_the_handshake_is_told_with_the_certificate_it_showed(
    house: Ostiary, door: Door, holder: Callable[[Leaf], TLSClient], ca: Authority
) -> None:
    alice = ca.client("alice", sans=("URI:spiffe://test/alice", "DNS:alice.test"))
    expired = Authority.root("Elsewhere").expired_client("mallory")
    for client in (holder(expired), holder(alice).without_certificate()):
        with pytest.raises(Refused):
            client.get("/")
    one = one_denial(house, door, f"fingerprint_sha256={fingerprint(expired)}")
    assert (one["stage"], one["code"], one["fix"]) == ("handshake", "unknown_authority", FIXES["unknown_authority"])
    assert (one["listener_id"], one["listener_name"], one["client"]) == (door.id, "door", "127.0.0.1")
    assert one["certificate"]["subject"] == "CN=mallory"
    assert one["certificate"]["serial"].lstrip("0") == expired.certificate.serial_number.to_bytes(20).hex().lstrip("0")
    assert house.call("GET", f"/v1/denials/{one['id']}")["denial"]["pem"] == expired.cert_pem
    without = one_denial(house, door, "code=no_certificate")
    assert (without["certificate"], without["count"]) == (None, 1)
    assert holder(alice).get("/").status == 200


def test_who_is_refused_at_the_request_reads_why_and_the_operator_finds_it_by_the_reference(
    house: Ostiary, door: Door, holder: Callable[[Leaf], TLSClient], ca: Authority, start_process: Callable[..., Running]
) -> None:
    alice = ca.client("alice", sans=("URI:spiffe://test/alice",))
    read = refused(holder(alice), "/secret?token=hidden").json()
    assert read["detail"] == PUBLIC["denied_by_rule"]
    for _ in range(2):
        refused(holder(alice))
    one = one_denial(house, door, f"reference={read['reference']}")
    assert (one["stage"], one["code"], one["fix"]) == ("request", "denied_by_rule", FIXES["denied_by_rule"])
    rules = house.call("GET", f"/v1/access-rules?listener_id={door.id}")["access_rules"]
    (rule,) = (one for one in rules if one["action"] == "DENY")
    assert one["access_rule_id"] == rule["id"]
    assert one["certificate"]["sans"] == ["URI:spiffe://test/alice"]
    assert (one["example"]["method"], one["example"]["host"], one["example"]["path"]) == ("GET", "localhost", "/secret")
    eventually(lambda: one_denial(house, door, f"rule_id={rule['id']}")["count"] == 3)
    where = {"OSTIARY_URL": f"http://{house.listen}"}
    for words, expected in (
        (("--reference", read["reference"]), "CN=alice"),
        (("--code", "denied_by_rule", "--json"), fingerprint(alice)),
        (("--certificate", fingerprint(alice)), FIXES["denied_by_rule"]),
        (("--listener", "00000000-0000-4000-8000-000000000000"), "Nobody was refused in that way."),
    ):
        listed = start_process(PROGRAM, "denials", "--data-dir", house.data_dir, *words, name="denials", env=where)
        assert listed.wait(60) == 0
        assert expected in listed.output()
    counts = house.call("GET", f"/v1/denials/summary?listener_id={door.id}")["summary"]["counts"]
    assert [(count["code"], count["count"]) for count in counts] == [("denied_by_rule", 3)]


def test_refusals_come_as_a_page_for_browsers_and_tell_nothing_of_the_inside(
    holder: Callable[[Leaf], TLSClient], ca: Authority
) -> None:
    client = holder(ca.client("alice"))
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page, over_h2 = client.get("/secret", browser), client.get_h2("/secret", headers=browser)[0]
    problem, problem_h2 = client.get("/secret"), client.get_h2("/secret")[0]
    head = client.request("HEAD", "/secret")
    for answer in (page, over_h2, problem, problem_h2, head):
        assert answer.status == 403
        assert answer.headers["cache-control"] == "no-store"
        assert {"server", "via"}.isdisjoint(answer.headers)
        assert not any(name.startswith("x-envoy") for name in answer.headers)
        told = answer.body.decode().lower()
        assert not any(word in told for word in ("rbac", "envoy", "rule", "secret", "policy", "ostiary"))
    for answer in (page, over_h2):
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert PUBLIC["denied_by_rule"] in answer.body.decode()
        assert "Bạn không được phép" in answer.body.decode()
    for answer in (problem, problem_h2):
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.json()["title"], answer.json()["status"]) == ("Forbidden", 403)
    assert head.body == b""
    assert head.headers["content-type"] == "application/problem+json"


def test_a_request_for_another_host_is_misdirected(
    house: Ostiary, door: Door, holder: Callable[[Leaf], TLSClient], ca: Authority
) -> None:
    answer = holder(ca.client("alice")).get("/", {"host": "elsewhere.test"})
    assert answer.status == 421
    assert (answer.json()["title"], answer.json()["detail"]) == ("Misdirected Request", PUBLIC["misdirected"])
    assert one_denial(house, door, "code=misdirected")["example"]["host"] == "elsewhere.test"


def test_what_a_member_refuses_is_not_ours(
    house: Ostiary, door: Door, holder: Callable[[Leaf], TLSClient], ca: Authority
) -> None:
    client = holder(ca.client("alice"))
    assert client.get("/", {"x-please-answer": "403"}).status in (200, 403)
    refused(client)
    assert one_denial(house, door)["count"] == 1


def test_no_refusal_is_forgotten_or_counted_twice_while_the_control_plane_and_then_the_keeper_are_killed(
    own: Ostiary, backend: Backend, ca: Authority, tmp_path: Path
) -> None:
    door = opened(own, backend, ca)
    alice, bob = (showing(own, door, ca.client(name), tmp_path) for name in ("alice", "bob"))
    refused(alice)
    eventually(lambda: denials(own, door))
    assert own.process is not None
    own.process.kill()
    for _ in range(5):
        refused(bob)

    def kept() -> int:
        said = json.loads((own.data_dir / "gateway" / "denials").read_bytes())
        known = [*said["pending"], *(one for batch in said["batches"] for one in batch["denials"])]
        return sum(one["count"] for one in known if one["example"]["subject"] == "CN=bob")

    eventually(lambda: kept() == 5)
    os.kill(json.loads((own.data_dir / "run" / "keeper.pid").read_text())["pid"], signal.SIGKILL)
    own.start()
    eventually(lambda: sum(one["count"] for one in denials(own, door)) == 6)
    own.stop()
    own.start()
    assert sorted(one["count"] for one in denials(own, door)) == [1, 5]


def test_a_scanner_is_one_row_and_hides_nobody(
    house: Ostiary, door: Door, holder: Callable[[Leaf], TLSClient], ca: Authority
) -> None:
    client = holder(ca.client("alice"))
    for _ in range(300):
        with pytest.raises(Refused):
            client.without_certificate().get("/")
    refused(client)
    eventually(
        lambda: {one["code"]: one["count"] for one in denials(house, door)} == {"no_certificate": 300, "denied_by_rule": 1}
    )
    assert len(denials(house, door)) == 2
