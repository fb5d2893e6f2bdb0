"""Access rules, exceptions and what-if, over the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.client import Client
from api.nouns import a_balancer, a_listener, made
from ostiary.clock import now
from ostiary.model.sighting import Sighting
from ostiary.store import sightings
from support.certs import Authority, csr, new_key

RULES, EXCEPTIONS, CERTIFICATES = "/v1/access-rules", "/v1/access-exceptions", "/v1/certificates"


@pytest.fixture
def authority(client: Client) -> dict[str, Any]:
    return made(client, "/v1/authorities", "authority", name="Devices")


@pytest.fixture
def door(client: Client, authority: dict[str, Any]) -> dict[str, Any]:
    on = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": authority["href"]}
    return a_listener(client, name="door", protocol="TERMINATED_HTTPS", protocol_port=8443, **on)


def a_certificate(client: Client, authority: dict[str, Any], cn: str = "alice", **fields: Any) -> dict[str, Any]:
    return made(client, CERTIFICATES, "certificate", authority_id=authority["id"], csr=csr(new_key(), cn), **fields)


def a_rule(client: Client, door: dict[str, Any], name: str = "rule", **fields: Any) -> dict[str, Any]:
    return made(client, RULES, "access_rule", listener_id=door["id"], name=name, **fields)


def refused(reply: Any, status: int, field: str | None, words: str) -> None:
    assert (reply.status_code, reply.json().get("field")) == (status, field), reply.text
    assert words in reply.json()["detail"]


def later(**by: float) -> str:
    return (now() + timedelta(**by)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_rule_is_made_listed_changed_and_removed(client: Client, door: dict[str, Any], authority: dict[str, Any]) -> None:
    a_certificate(client, authority, groups=["field"])
    all_of_it = {
        "action": "ALLOW",
        "certificate": {"groups": ["field"], "authority_ids": [authority["id"]], "san_dns": ["*.a.test"]},
        "hosts": ["API.test"],
        "paths": ["/v1/*"],
        "methods": ["GET"],
        "sources": ["10.0.0.0/8"],
        "not_before": later(days=-1),
        "not_after": later(days=1),
    }
    first = a_rule(client, door, "field reads", **all_of_it)
    assert (first["position"], first["listener"], first["hosts"], first["warnings"]) == (1, "door", ["api.test"], [])
    assert first["certificate"]["groups"] == ["field"]
    second = a_rule(client, door, "first of all", action="DENY", paths=["/admin*"], position=1)
    listed = client.get(f"{RULES}?listener_id={door['id']}").json()["access_rules"]
    assert [(one["name"], one["position"]) for one in listed] == [("first of all", 1), ("field reads", 2)]
    moved = client.put(f"{RULES}/{second['id']}", {"access_rule": {"position": 2, "shadow": True}}).json()["access_rule"]
    assert (moved["position"], moved["shadow"]) == (2, True)
    assert client.get(f"{RULES}/{first['id']}").json()["access_rule"]["position"] == 1
    assert client.delete(f"{RULES}/{first['id']}").status_code == 204
    assert client.get(f"{RULES}/{second['id']}?fields=position").json() == {"access_rule": {"position": 1}}
    actions = [one["action"] for one in client.get("/v1/revisions?limit=4").json()["revisions"]]
    assert actions == ["access-rule:delete", "access-rule:update", "access-rule:create", "access-rule:create"]


def test_lists_are_paged_in_the_order_in_which_rules_are_tried(client: Client, door: dict[str, Any]) -> None:
    for name in "abcde":
        a_rule(client, door, name, position=1, paths=[f"/{name}"])
    names, path = [], f"{RULES}?listener_id={door['id']}&limit=2"
    while path:
        reply = client.get(path).json()
        names += [one["name"] for one in reply["access_rules"]]
        path = next((link["href"] for link in reply["access_rules_links"] if link["rel"] == "next"), "")
    assert names == ["e", "d", "c", "b", "a"]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"listener_id": "nowhere"}, "listener_id", "no listener nowhere"),
        ({"certificate": {"groups": ["nobody"]}}, "certificate.groups", "nobody is in group 'nobody'"),
        ({"certificate": {"authority_ids": ["x"]}}, "certificate.authority_ids", "there is no authority x"),
        ({"certificate": {"profiles": ["x"]}}, "certificate.profiles", "there is no profile 'x'"),
        ({"certificate": {"san_dns": ["*a.test"]}}, "certificate.san_dns.0", "a star stands for whole labels"),
        ({"certificate": {"fingerprints_sha256": ["zz"]}}, "certificate.fingerprints_sha256.0", "not a SHA-256"),
        ({"certificate": {"colour": ["red"]}}, "certificate.colour", "is not a known field"),
        ({"hosts": ["a.*"]}, "hosts.0", "is not a DNS name"),
        ({"paths": ["admin"]}, "paths.0", "it begins with /"),
        ({"paths": ["/a/../b"]}, "paths.0", "would never fit"),
        ({"methods": ["get"]}, "methods.0", "pattern"),
        ({"sources": ["10.0.0.1/8"]}, "sources.0", "is not a network"),
        ({"not_before": "2031-01-02T00:00:00Z", "not_after": "2031-01-01T00:00:00Z"}, "not_after", "ends before it starts"),
        ({"not_after": "2020-01-01T00:00:00Z"}, "not_after", "over already"),
        ({"not_after": "2031-01-01T00:00:00"}, "not_after", "timezone"),
        ({"position": 0}, "position", "greater than or equal to 1"),
        ({"action": "MAYBE"}, "action", "'ALLOW' or 'DENY'"),
        ({"name": ""}, "name", "at least 1 item"),
    ],
    ids=str,
)
def test_bad_input_is_told_by_field_and_changes_nothing(
    client: Client, door: dict[str, Any], fields: dict[str, Any], field: str, words: str
) -> None:
    before = client.revision()
    reply = client.post(RULES, {"access_rule": {"listener_id": door["id"], "name": "bad", **fields}})
    refused(reply, 400, field, words)
    assert client.revision() == before
    assert client.get(RULES).json()["access_rules"] == []


def test_the_same_rule_twice_is_a_conflict(client: Client, door: dict[str, Any]) -> None:
    first = a_rule(client, door, paths=["/a"])
    reply = client.post(RULES, {"access_rule": {"listener_id": door["id"], "name": "again", "paths": ["/a"]}})
    refused(reply, 409, None, first["id"])
    later_one = a_rule(client, door, "narrower", paths=["/a"], methods=["GET"])
    assert "fits all that it fits" in later_one["warnings"][0]


def test_a_listener_or_a_fixed_field_of_a_rule_stays(client: Client, door: dict[str, Any]) -> None:
    rule = a_rule(client, door)
    for name in ("listener_id", "project_id", "id", "revision"):
        refused(client.put(f"{RULES}/{rule['id']}", {"access_rule": {name: "x"}}), 400, name, "")
    plain = a_listener(client, protocol_port=8081, loadbalancer_id=a_balancer(client, vip_address="127.0.0.2")["id"])
    reply = client.post(RULES, {"access_rule": {"listener_id": plain["id"], "name": "x"}})
    refused(reply, 400, "listener_id", "sees no client certificate")
    assert client.get(f"{RULES}/nothing").status_code == 404


def test_an_exception_is_made_renewed_and_removed(client: Client, door: dict[str, Any]) -> None:
    wanted = {
        "listener_id": door["id"],
        "name": "CORS",
        "kind": "CORS_PREFLIGHT",
        "owner": "web team",
        "not_after": later(days=10, seconds=60),
    }
    one = made(client, EXCEPTIONS, "access_exception", **wanted)
    assert (one["state"], one["days_left"], one["listener"]) == ("ACTIVE", 10, "door")
    path = f"{EXCEPTIONS}/{one['id']}"
    after = client.put(path, {"access_exception": {"not_after": later(days=20, seconds=60)}}).json()["access_exception"]
    assert after["days_left"] == 20
    for state, found in (("ACTIVE", [one["id"]]), ("ENDED", [])):
        listed = client.get(f"{EXCEPTIONS}?state={state}&listener_id={door['id']}").json()["access_exceptions"]
        assert [each["id"] for each in listed] == found
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"owner": None}, "owner"),
        ({"not_after": None}, "not_after"),
        ({"not_after": "2020-01-01T00:00:00Z"}, "not_after"),
        ({"not_after": "2099-01-01T00:00:00Z"}, "not_after"),
        ({"kind": "PATHS"}, "paths"),
        ({"kind": "PATHS", "paths": ["/*"]}, "paths"),
        ({"kind": "EVERYBODY"}, "kind"),
        ({"listener_id": "x"}, "listener_id"),
    ],
    ids=str,
)
def test_an_exception_needs_an_owner_an_end_and_bounds(
    client: Client, door: dict[str, Any], fields: dict[str, Any], field: str
) -> None:
    usual = {"listener_id": door["id"], "name": "health", "kind": "HEALTH_CHECK", "owner": "ops", "not_after": later(days=1)}
    wanted = {name: value for name, value in {**usual, **fields}.items() if value is not None}
    refused(client.post(EXCEPTIONS, {"access_exception": wanted}), 400, field, "")
    assert client.get(EXCEPTIONS).json()["access_exceptions"] == []


def asked(client: Client, door: dict[str, Any], **fields: Any) -> dict[str, Any]:
    reply = client.post(f"{RULES}/test", {"listener_id": door["id"], "host": "a.test", **fields})
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["test"])


def decided(told: dict[str, Any]) -> tuple[str, str, str]:
    return told["decision"], told["stage"], told["reason"]


def test_what_if_tells_decision_rule_and_checks(client: Client, door: dict[str, Any], authority: dict[str, Any]) -> None:
    alice = a_certificate(client, authority, groups=["field"])
    bob = a_certificate(client, authority, "bob")
    pem = alice["certificate"] + alice["chain"]
    before = client.revision()
    assert decided(asked(client, door, certificate=pem)) == ("ALLOW", "request", "allowed")
    assert decided(asked(client, door)) == ("DENY", "handshake", "no_certificate")
    stranger = Authority.root("Stranger").client("mallory")
    told = asked(client, door, certificate=stranger.chain_pem)
    assert decided(told) == ("DENY", "handshake", "unknown_authority")
    assert "Choose that authority as Client CA" in told["fix"]

    rule = a_rule(client, door, "field reads", certificate={"groups": ["field"]}, paths=["/v1/*"], methods=["GET"])
    told = asked(client, door, certificate=pem, path="/v1/x")
    assert decided(told) == ("ALLOW", "request", "allowed")
    assert (told["access_rule_id"], told["access_rule"], told["would_be"]) == (rule["id"], "field reads", None)
    results = {one["name"]: one["result"] for one in told["checks"]}
    assert (results["rule field reads"], results["not expired"]) == ("passed", "passed")
    told = asked(client, door, certificate_id=bob["id"], path="/v1/x")
    assert decided(told) == ("DENY", "request", "no_rule_allows")
    assert "ostiary access add" in told["fix"]
    assert decided(asked(client, door, certificate_id=alice["id"], path="/v1/x", method="POST"))[2] == "no_rule_allows"
    assert client.revision() == before + 1


def test_what_if_tries_rules_that_are_not_in_force(client: Client, door: dict[str, Any], authority: dict[str, Any]) -> None:
    alice = a_certificate(client, authority)
    who = {"certificate_id": alice["id"], "path": "/admin/x"}
    deny = {"name": "no admin", "action": "DENY", "paths": ["/admin/*"]}
    told = asked(client, door, **who, rule=deny)
    assert (*decided(told), told["access_rule"], told["access_rule_id"]) == (
        "DENY",
        "request",
        "denied_by_rule",
        "no admin",
        None,
    )
    assert decided(asked(client, door, **who, rule={**deny, "shadow": True}))[0] == "ALLOW"
    would_be = asked(client, door, **who, rule={**deny, "shadow": True})["would_be"]
    assert (would_be["decision"], would_be["reason"], would_be["access_rule_id"]) == ("DENY", "denied_by_rule", None)
    assert "'no admin'" in would_be["detail"]
    everything = {"name": "all", "certificate": {"subject_cn": ["al*"], "authority_ids": [authority["id"]]}}
    assert decided(asked(client, door, **who, rules=[everything, deny]))[0] == "ALLOW"
    assert decided(asked(client, door, **who, rules=[deny, everything]))[0] == "DENY"
    rule = a_rule(client, door, "nobody", action="DENY", position=1)
    assert decided(asked(client, door, **who))[2] == "denied_by_rule"
    assert decided(asked(client, door, **who, without=[rule["id"]]))[0] == "ALLOW"
    assert decided(asked(client, door, **who, rules=[]))[0] == "ALLOW"
    assert decided(asked(client, door, **who, rule={**everything, "position": 1}))[0] == "ALLOW"
    assert [one["name"] for one in client.get(RULES).json()["access_rules"]] == ["nobody"]


def test_what_if_knows_exceptions_sources_and_times(client: Client, door: dict[str, Any], authority: dict[str, Any]) -> None:
    alice = a_certificate(client, authority)["id"]
    cors = {"listener_id": door["id"], "name": "CORS", "kind": "CORS_PREFLIGHT", "owner": "web", "not_after": later(days=10)}
    made(client, EXCEPTIONS, "access_exception", **cors)
    preflight = {"method": "OPTIONS", "headers": {"Origin": "https://a.test", "access-control-request-method": "PUT"}}
    told = asked(client, door, **preflight)
    assert (*decided(told), told["access_rule"]) == ("ALLOW", "request", "exempt", "CORS")
    assert decided(asked(client, door, **preflight, at=later(days=11)))[2] == "no_certificate"
    assert decided(asked(client, door))[2] == "certificate_required"
    a_rule(client, door, "office", sources=["10.0.0.0/8"])
    assert decided(asked(client, door, certificate_id=alice, source="10.1.2.3"))[0] == "ALLOW"
    assert decided(asked(client, door, certificate_id=alice, source="192.0.2.1"))[2] == "source_not_allowed"
    client.post(f"{CERTIFICATES}/{alice}/revoke", {"reason": "superseded"})
    assert decided(asked(client, door, certificate_id=alice, source="10.1.2.3"))[0] == "DENY"


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"listener_id": "x"}, "listener_id", "no listener"),
        ({"certificate": "not PEM"}, "certificate", ""),
        ({"certificate": "x", "certificate_id": "y"}, "certificate_id", "not both"),
        ({"path": "a"}, "path", ""),
        ({"host": "a b"}, "host", ""),
        ({"source": "x"}, "source", "not an IP address"),
        ({"rule": {"name": "x", "listener_id": "y"}}, "rule.listener_id", "is not a known field"),
        ({"rule": {"name": "x", "paths": ["x"]}}, "rule.paths.0", "begins with /"),
        ({"rule": {"name": "x", "certificate": {"groups": ["nobody"]}}}, "certificate.groups", "nobody is in group"),
        ({"without": ["x"]}, "without", "has no rule x"),
    ],
    ids=str,
)
def test_what_if_says_what_it_cannot_make_sense_of(
    client: Client, door: dict[str, Any], fields: dict[str, Any], field: str, words: str
) -> None:
    refused(client.post(f"{RULES}/test", {"listener_id": door["id"], **fields}), 400, field, words)


def seen(client: Client, door: dict[str, Any], at: datetime, *certificates: dict[str, Any]) -> None:
    told = [
        Sighting(fingerprint_sha256=one["fingerprint_sha256"], listener_id=door["id"], first_seen=at, last_seen=at, addresses={})
        for one in certificates
    ]
    client.system.store.record(lambda facts: sightings.merge(facts, told))


def preview(client: Client, door: dict[str, Any], **trial: Any) -> dict[str, Any]:
    reply = client.post(f"{RULES}/preview", {"listener_id": door["id"], **trial})
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["preview"])


def test_whom_a_rule_would_shut_out_is_told_before_it_is_made(
    client: Client, door: dict[str, Any], authority: dict[str, Any]
) -> None:
    alice = a_certificate(client, authority, groups=["field"])
    others = [a_certificate(client, authority, f"other {number}", owner="ops") for number in range(3)]
    long_ago = a_certificate(client, authority, "long ago")
    seen(client, door, client.system.clock(), alice, *others)
    seen(client, door, client.system.clock() - timedelta(days=2), long_ago)
    field: dict[str, Any] = {"name": "field", "certificate": {"groups": ["field"]}, "paths": ["/v1/*"]}
    told = preview(client, door, rule=field)
    assert (told["clients"], told["looked_at"], told["refused"]) == (4, 4, 3)
    assert {one["certificate_id"] for one in told["some"]} == {one["id"] for one in others}
    assert {(one["owner"], one["reason"]) for one in told["some"]} == {("ops", "no_rule_allows")}
    # What leaves something to ask for shuts nobody out; but where rules are, what none allows is refused.
    assert preview(client, door, rule={**field, "shadow": True})["refused"] == 0
    assert preview(client, door, rule={"name": "no admin", "action": "DENY", "paths": ["/admin/*"]})["refused"] == 4
    assert preview(client, door, rule={"name": "all", "paths": ["/open/*"]})["refused"] == 0
    rule = a_rule(client, door, **field)
    assert preview(client, door, rule={"name": "nobody", "action": "DENY", "position": 1})["refused"] == 1
    assert preview(client, door, without=[rule["id"]])["refused"] == 0
    everybody = a_rule(client, door, "everybody")
    assert preview(client, door, without=[everybody["id"]])["refused"] == 3
    by_authority = {"name": "ours", "certificate": {"authority_ids": [authority["id"]]}}
    assert preview(client, door, rules=[by_authority])["refused"] == 0
    assert preview(client, door, rules=[{**by_authority, "action": "DENY"}])["refused"] == 4


def test_groups_and_owner_of_a_certificate_are_changed(client: Client, authority: dict[str, Any]) -> None:
    one = a_certificate(client, authority)
    path = f"{CERTIFICATES}/{one['id']}"
    after = client.put(path, {"certificate": {"groups": ["field", "ops"], "owner": "ann"}}).json()["certificate"]
    assert (after["groups"], after["owner"], after["status"], after["serial"]) == (
        ["field", "ops"],
        "ann",
        "VALID",
        one["serial"],
    )
    assert client.get(f"{CERTIFICATES}?group=ops").json()["certificates"] == [after]
    for name, value in (("profile", "server"), ("serial", "1"), ("authority_id", "x"), ("revoked_at", None)):
        refused(client.put(path, {"certificate": {name: value}}), 400, name, "")
    assert client.put(f"{CERTIFICATES}/x", {"certificate": {"owner": "ann"}}).status_code == 404
    assert client.put(path, {"certificate": {"groups": None}}).json()["certificate"]["groups"] == []
    assert "certificate:update" in {entry["action"] for entry in client.get("/v1/audit").json()["audit"]}
