"""A rehearsal on a whole ostiary: everybody is served as before, and the report names who would have been refused, and why.

Then certificates are demanded, and exactly those are refused.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes

from ostiary.access.words import FIXES
from ostiary.clock import now
from support.backend import Backend
from support.certs import Authority, Leaf
from support.commands import Terminal
from support.stack import PROGRAM, Door, Ostiary
from support.terminal import typed
from support.tls_clients import Answer, Refused, TLSClient, Version
from support.wait import eventually

pytestmark = pytest.mark.live

EVERY_HEADER = {
    "X-SSL-Client-Verify": "true",
    "X-SSL-Client-DN": "true",
    "X-SSL-Client-CN": "true",
    "X-SSL-Client-SHA1": "true",
    "Client-Cert": "true",
    "Client-Cert-Chain": "true",
}
IDENTITY = ("x-ssl-", "client-cert", "x-forwarded-client-cert")
VERSIONS: tuple[Version, ...] = ("TLSv1.2", "TLSv1.3")


@dataclass(frozen=True)
class Guests:
    """One client of each kind, by the code that is expected of it; None has nothing to show."""

    admitted: dict[str, Leaf]
    refused: dict[str, Leaf | None]


@pytest.fixture(scope="module")
def ca() -> Authority:
    return Authority.root("Rehearsal root")


@pytest.fixture(scope="module")
def revoked(ca: Authority) -> Leaf:
    return ca.client("revoked")


@pytest.fixture(scope="module")
def guests(ca: Authority, revoked: Leaf) -> Guests:
    return Guests(
        admitted={"alice": ca.client("alice", sans=("URI:spiffe://test/alice",)), "bob": ca.client("bob")},
        refused={
            "no_certificate": None,
            "unknown_authority": Authority.root("Elsewhere").client("mallory", sans=("DNS:mallory.test",)),
            "expired": ca.expired_client(),
            "not_yet_valid": ca.future_client(),
            "revoked": revoked,
            "wrong_purpose": ca.server_only_client(),
            "malformed": ca.client("strange", sans=("URI:spiffe://a;URI=spiffe://b",)),
        },
    )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ostiary]:
    with Ostiary(tmp_path_factory.mktemp("rehearsal")) as running:
        yield running


@pytest.fixture
def door(house: Ostiary, backend: Backend, ca: Authority, revoked: Leaf) -> Iterator[Door]:
    made = house.door(
        backend.port,
        client_authentication="REHEARSAL",
        client_ca_tls_container_ref=house.secret(ca.cert_pem),
        client_crl_container_ref=house.secret(ca.crl([revoked])),
        insert_headers=EVERY_HEADER,
    )
    yield made
    house.call("DELETE", f"/v2/lbaas/loadbalancers/{made.balancer_id}?cascade=true")


@pytest.fixture
def showing(house: Ostiary, door: Door, tmp_path: Path) -> Callable[[Leaf | None], TLSClient]:
    """A client that shows this certificate, or none."""

    def client(leaf: Leaf | None) -> TLSClient:
        if leaf is None:
            return TLSClient(door.port, ca=house.server_ca)
        paths = leaf.write(tmp_path, fingerprint(leaf)[:8])
        return TLSClient(door.port, ca=house.server_ca, cert=paths.chain, key=paths.key)

    return client


def fingerprint(leaf: Leaf) -> str:
    return leaf.certificate.fingerprint(hashes.SHA256()).hex()


def report(house: Ostiary, door: Door) -> dict[str, Any]:
    return dict(house.call("GET", f"/v1/rehearsals/{door.id}")["rehearsal"])


def preview(house: Ostiary, door: Door, mode: str = "MANDATORY") -> dict[str, Any]:
    return dict(house.call("GET", f"/v1/rehearsals/{door.id}/preview?client_authentication={mode}")["preview"])


def identity(answer: Answer) -> dict[str, Any]:
    """What the member was told of who the client is."""
    return {name: value for name, value in answer.json()["headers"].items() if name.startswith(IDENTITY)}


def test_everybody_is_served_and_members_are_told_of_verified_certificates_alone(
    showing: Callable[[Leaf | None], TLSClient], guests: Guests
) -> None:
    forged = {"X-SSL-Client-CN": "root", "X-Forwarded-Client-Cert": "Hash=00", "Client-Cert": ":AA==:", "X-Client-DN": "CN=root"}
    for code, leaf in guests.refused.items():
        for version in VERSIONS:
            answer = replace(showing(leaf), version=version, _context=[]).get("/", headers=forged)
            assert (code, answer.status) == (code, 200)
            if code != "malformed":  # it is verified; see below
                assert (code, version, identity(answer)) == (code, version, {})
        for answer in showing(leaf).get_h2("/one", "/two", headers=forged):
            assert (code, answer.status) == (code, 200)
            assert code == "malformed" or identity(answer) == {}
    for leaf in guests.admitted.values():
        for version in VERSIONS:
            told = identity(replace(showing(leaf), version=version, _context=[]).get("/", headers=forged))
            assert fingerprint(leaf) in str(told["x-forwarded-client-cert"])
            assert "root" not in str(told.get("x-ssl-client-cn"))


def test_the_report_names_each_with_its_reason_and_then_exactly_those_are_refused(
    house: Ostiary, door: Door, showing: Callable[[Leaf | None], TLSClient], guests: Guests
) -> None:
    assert report(house, door)["clients"] == 0
    assert report(house, door)["last_would_be_refusal"] is None
    assert preview(house, door)["clients"] == 0
    for leaf in (*guests.refused.values(), *guests.admitted.values()):
        for _ in range(2):
            assert showing(leaf).get("/some/path?token=secret").status == 200
    every = len(guests.refused) + len(guests.admitted)
    eventually(lambda: report(house, door)["requests"] == 2 * every)
    found = report(house, door)
    assert found["scope"] == "LISTENER"
    assert (found["clients"], found["would_be_admitted"]) == (every, {"clients": 2, "requests": 4})
    assert found["would_be_refused"] == {"clients": len(guests.refused), "requests": 2 * len(guests.refused)}
    assert found["last_would_be_refusal"] >= found["since"]
    assert found["last_24_hours"]["would_be_refused"] == len(guests.refused)
    by_code = {one["code"]: one for one in found["refusals"]}
    assert set(by_code) == set(guests.refused)
    for code, leaf in guests.refused.items():
        one = by_code[code]
        assert (one["count"], one["client"], one["fix"]) == (2, "127.0.0.1", FIXES[code])
        assert one["example"] == {"host": "localhost", "method": "GET", "path": "/some/path"}
        if leaf is None:
            assert one["certificate"] is None
        else:
            assert one["certificate"]["fingerprint_sha256"] == fingerprint(leaf)
            assert f"CN={_cn(leaf)}" in one["certificate"]["subject"]
    assert by_code["unknown_authority"]["certificate"]["sans"] == ["DNS:mallory.test"]
    assert [one["fingerprint_sha256"] for one in _seen(house, door)].count(fingerprint(guests.refused["expired"])) == 0  # type: ignore[arg-type]
    admitted = {fingerprint(leaf) for leaf in guests.admitted.values()}
    eventually(lambda: admitted <= {one["fingerprint_sha256"] for one in _seen(house, door)})
    (listed,) = [one for one in house.call("GET", "/v1/rehearsals")["rehearsals"] if one["listener_id"] == door.id]
    assert listed["would_be_refused"]["clients"] == len(guests.refused)
    told = preview(house, door)
    assert (told["clients"], told["would_be_refused"]) == (every, len(guests.refused))

    house.change(door.id, client_authentication="MANDATORY")
    for leaf in guests.admitted.values():
        assert showing(leaf).get("/").status == 200
    for code, leaf in guests.refused.items():
        if code == "malformed":  # refused at the request
            assert showing(leaf).get("/").status == 403
            continue
        with pytest.raises(Refused):
            showing(leaf).get("/")
    assert house.request("GET", f"/v1/rehearsals/{door.id}").status_code == 409


def test_nobody_who_was_not_verified_is_among_the_clients(
    house: Ostiary, door: Door, showing: Callable[[Leaf | None], TLSClient], guests: Guests
) -> None:
    with showing(guests.refused["unknown_authority"]).connect() as connection:
        assert connection.echo_over_websocket("hello") == "hello"
    assert showing(guests.admitted["alice"]).get("/").status == 200
    eventually(lambda: report(house, door)["requests"] == 2)
    (one,) = report(house, door)["refusals"]
    assert (one["code"], one["count"]) == ("unknown_authority", 1)
    assert [client["fingerprint_sha256"] for client in _seen(house, door)] == [fingerprint(guests.admitted["alice"])]
    denied = house.call("GET", f"/v1/denials?listener_id={door.id}")["denials"]
    assert denied == []


def test_a_rehearsal_that_begins_again_counts_anew(
    house: Ostiary, door: Door, showing: Callable[[Leaf | None], TLSClient], guests: Guests
) -> None:
    assert showing(None).get("/").status == 200
    eventually(lambda: report(house, door)["clients"] == 1)
    before = report(house, door)["since"]
    house.change(door.id, name="renamed")
    assert report(house, door)["clients"] == 1
    house.change(door.id, client_authentication="OPTIONAL")
    told = preview(house, door)
    assert told["would_be_refused"] is None
    assert "Rehearse it first" in " ".join(told["notes"])
    house.change(door.id, client_authentication="REHEARSAL")
    again = report(house, door)
    assert (again["clients"], again["refusals"]) == (0, [])
    assert again["since"] >= before
    assert showing(guests.refused["expired"]).get("/").status == 200
    eventually(lambda: [one["code"] for one in report(house, door)["refusals"]] == ["expired"])


def test_one_of_ours_without_its_intermediate_or_revoked_here_is_known_by_its_id(
    house: Ostiary, backend: Backend, tmp_path: Path
) -> None:
    from ostiary.pki.holder import new_key_and_request  # noqa: PLC0415

    root = house.call("POST", "/v1/authorities", {"authority": {"name": "Ours", "kind": "root"}})["authority"]
    below = {"name": "Ours, issuing", "kind": "intermediate", "parent_id": root["id"], "lifetime_days": 900}
    issuing = house.call("POST", "/v1/authorities", {"authority": below})["authority"]
    door = house.door(backend.port, client_authentication="REHEARSAL", client_ca_tls_container_ref=issuing["href"])
    key, csr = new_key_and_request("carol")
    body = {"certificate": {"authority_id": issuing["id"], "csr": csr, "profile": "client"}}
    carol = house.call("POST", "/v1/certificates", body)["certificate"]
    (tmp_path / "c.pem").write_text(carol["certificate"])
    (tmp_path / "c.key").write_bytes(key)
    client = TLSClient(door.port, ca=house.server_ca, cert=tmp_path / "c.pem", key=tmp_path / "c.key")
    with client.connect() as connection:
        assert connection.get("/").status == 200
        house.call("POST", f"/v1/certificates/{carol['id']}/revoke", {"reason": "keyCompromise"})

        def would_be_refused() -> bool:
            assert connection.get("/").status == 200  # served all the same
            return bool(report(house, door)["refusals"])

        eventually(would_be_refused)
    (one,) = report(house, door)["refusals"]
    assert (one["code"], one["certificate"]["certificate_id"]) == ("revoked", carol["id"])
    assert client.get("/").status == 200


def test_an_exception_spares_who_shows_nothing_and_not_who_shows_something_bad(
    house: Ostiary, door: Door, showing: Callable[[Leaf | None], TLSClient], guests: Guests
) -> None:
    wanted = {"listener_id": door.id, "name": "monitoring", "kind": "PATHS", "paths": ["/probe"], "owner": "ops"}
    until = (now() + timedelta(days=1)).isoformat()
    house.call("POST", "/v1/access-exceptions", {"access_exception": {**wanted, "not_after": until}})
    house.until_active(door.id)

    def codes() -> dict[str, str]:
        return {one["code"]: one["example"]["path"] for one in report(house, door)["refusals"]}

    for leaf in (None, guests.refused["expired"]):
        assert showing(leaf).get("/probe").status == 200
    eventually(lambda: report(house, door)["requests"] == 2)
    assert codes() == {"expired": "/probe"}
    assert showing(None).get("/other").status == 200
    eventually(lambda: codes() == {"expired": "/probe", "certificate_required": "/other"})
    house.change(door.id, client_authentication="MANDATORY")
    assert [showing(None).get(path).status for path in ("/probe", "/other")] == [200, 403]
    with pytest.raises(Refused):
        showing(guests.refused["expired"]).get("/probe")


def test_what_was_found_while_the_control_plane_was_killed_is_counted_once(
    house: Ostiary, door: Door, showing: Callable[[Leaf | None], TLSClient]
) -> None:
    assert house.process is not None
    assert house.server_ca.exists()  # asked for while somebody answers
    house.process.kill()
    for _ in range(5):
        assert showing(None).get("/").status == 200
    house.start()
    eventually(lambda: report(house, door)["would_be_refused"] == {"clients": 1, "requests": 5})


def test_a_rule_is_rehearsed_by_itself(house: Ostiary, backend: Backend, ca: Authority, guests: Guests, tmp_path: Path) -> None:
    door = house.door(backend.port, client_authentication="MANDATORY", client_ca_tls_container_ref=house.secret(ca.cert_pem))
    rule = {
        "listener_id": door.id,
        "name": "only alice",
        "action": "DENY",
        "certificate": {"subject_cn": ["bob"]},
        "shadow": True,
    }
    made = house.call("POST", "/v1/access-rules", {"access_rule": rule})["access_rule"]
    house.until_active(door.id)
    everybody = {"listener_id": door.id, "name": "everybody", "action": "ALLOW", "shadow": True}
    house.call("POST", "/v1/access-rules", {"access_rule": everybody})
    house.until_active(door.id)
    for name, leaf in guests.admitted.items():
        paths = leaf.write(tmp_path, name)
        client = TLSClient(door.port, ca=house.server_ca, cert=paths.chain, key=paths.key)
        assert client.get("/").status == 200
    eventually(lambda: report(house, door)["requests"] == 2)
    found = report(house, door)
    assert (found["scope"], found["clients"], found["would_be_refused"]["clients"]) == ("RULES", 2, 1)
    (one,) = found["refusals"]
    assert (one["code"], one["access_rule_name"]) == ("denied_by_rule", "only alice")
    assert one["certificate"]["fingerprint_sha256"] == fingerprint(guests.admitted["bob"])
    rules = {each["name"]: (each["would_refuse"]["clients"], each["would_admit"]["clients"]) for each in found["rules"]}
    assert rules == {"only alice": (1, 0), "everybody": (0, 1)}
    told = house.call("GET", f"/v1/rehearsals/{door.id}/preview?access_rule_id={made['id']}")["preview"]
    assert (told["clients"], told["would_be_refused"]) == (2, 1)
    terminal = Terminal(house, tmp_path, {"OSTIARY_URL": f"http://{house.listen}", "OSTIARY_DATA_DIR": str(house.data_dir)})
    assert "would be refused" in terminal.is_told("access", "set", made["id"], "--enforce")
    assert (
        "1 of them would be refused: CN=bob (denied_by_rule)"
        in terminal.does("access", "set", made["id"], "--enforce", "--yes").out
    )
    eventually(lambda: client.get("/").status == 403)  # bob's


def test_the_command_line_shows_it_and_asks_before_it_shuts_anybody_out(
    house: Ostiary, door: Door, showing: Callable[[Leaf | None], TLSClient], guests: Guests, tmp_path: Path
) -> None:
    terminal = Terminal(house, tmp_path, {"OSTIARY_URL": f"http://{house.listen}", "OSTIARY_DATA_DIR": str(house.data_dir)})
    assert "Nobody came yet" in terminal.does("rehearsal", "show", door.id).out
    assert showing(guests.refused["expired"]).get("/").status == 200
    assert showing(guests.admitted["alice"]).get("/").status == 200
    eventually(lambda: report(house, door)["requests"] == 2)
    shown = terminal.does("rehearsal", "show", door.id).out
    assert "2 clients were seen; 1 would have been refused (1 of 2 requests)" in shown
    assert FIXES["expired"][:30] in shown
    assert "CN=expired" in shown
    told = terminal.is_told("listener", "set", door.id, "--client-authentication", "MANDATORY")
    assert "2 clients were seen since" in told
    assert "1 of them would be refused: CN=expired (expired). Say --yes" in told
    assert house.read(door.id)["client_authentication"] == "REHEARSAL"
    said = typed(f"{PROGRAM} listener set {door.id} --client-authentication MANDATORY", tmp_path, "", terminal.env)
    assert (
        "1 of them would be refused: CN=expired (expired). Go on? [y/N]:" in said
    )  # what is typed may be echoed before the space
    house.until_active(door.id)
    assert door.id not in {one["listener_id"] for one in terminal.does("rehearsal", "list", "--json").json()}
    house.change(door.id, client_authentication="REHEARSAL")
    assert showing(guests.refused["expired"]).get("/").status == 200
    eventually(lambda: report(house, door)["would_be_refused"]["clients"] == 1)
    assert "all of it" in terminal.does("rehearsal", "list").out
    done = terminal.does("listener", "set", door.id, "--client-authentication", "MANDATORY", "--yes")
    assert done.out.endswith("client_authentication MANDATORY\n")
    house.until_active(door.id)
    assert showing(guests.admitted["alice"]).get("/").status == 200
    with pytest.raises(Refused):
        showing(guests.refused["expired"]).get("/")


def _seen(house: Ostiary, door: Door) -> list[dict[str, Any]]:
    return list(house.call("GET", f"/v1/clients?listener_id={door.id}")["clients"])


def _cn(leaf: Leaf) -> str:
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    return str(leaf.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
