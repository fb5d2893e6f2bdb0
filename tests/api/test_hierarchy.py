"""Authorities above and below each other, as the API makes them: depth, names, warnings, cross-signing."""

from typing import Any

import pytest
from cryptography import x509

from api.client import Client
from ostiary.pki.constraints import given, of
from ostiary.store.material import Materials
from support.certs import Authority, csr, name, new_key
from support.certs import pem as as_pem

PATH = "/v1/authorities"


def a_ca(client: Client, name: str, **fields: Any) -> dict[str, Any]:
    if "parent_id" in fields:
        fields["kind"] = "intermediate"
    reply = client.post(PATH, {"authority": {"name": name, **fields}})
    assert reply.status_code == 201, reply.text
    return dict(reply.json()["authority"])


def issue(client: Client, authority: dict[str, Any], **names: Any) -> Any:
    asked = {"authority_id": authority["id"], "csr": csr(new_key(), "x"), "names": names}
    return client.post("/v1/certificates", {"certificate": asked})


def crossed(client: Client, subject: dict[str, Any], parent: dict[str, Any], **fields: Any) -> Any:
    return client.post(f"{PATH}/{subject['id']}/cross-sign", {"authority": {"parent_id": parent["id"], **fields}})


def certificate(authority: dict[str, Any]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority["certificate"].encode())


def refusal(reply: Any, status: int, *words: str) -> None:
    assert reply.status_code == status, reply.text
    for word in words:
        assert word in reply.text, reply.text


A_TEST = {"permitted": {"dns": ["a.test"]}, "excluded": {"dns": ["secret.a.test"], "email": ["a.test"]}}


def test_depth_is_given_shown_and_kept_to(client: Client) -> None:
    root = a_ca(client, "Root", path_length=1)
    middle = a_ca(client, "Middle", parent_id=root["id"])
    assert (root["path_length"], middle["path_length"], a_ca(client, "Other")["path_length"]) == (1, 0, None)
    new = {"name": "Low", "kind": "intermediate"}
    refusal(client.post(PATH, {"authority": {**new, "parent_id": middle["id"]}}), 400, "parent_id", "only leaves")
    refusal(client.post(PATH, {"authority": {**new, "parent_id": root["id"], "path_length": 1}}), 400, "path_length", "at most 0")


def test_names_are_constrained_below_an_authority_and_below_those_below_it(client: Client) -> None:
    root = a_ca(client, "Root", name_constraints=A_TEST)
    assert root["name_constraints"]["permitted"]["dns"] == ["a.test"]
    assert of(certificate(root)) == given(A_TEST["permitted"], A_TEST["excluded"])
    issuing = a_ca(client, "Issuing", parent_id=root["id"])
    assert issuing["name_constraints"] is None
    for authority in (root, issuing):
        assert issue(client, authority, common_name="alice", dns=["b.a.test"]).status_code == 201
        refusal(issue(client, authority, dns=["b.test"]), 400, "names.dns", "not within what is permitted", "CN=Root")
        refusal(issue(client, authority, dns=["x.secret.a.test"]), 400, "names.dns", "is excluded (secret.a.test)")
        refusal(issue(client, authority, common_name="alice"), 400, "names.dns", "reads as a host name")


def test_a_renewal_is_constrained_as_well(client: Client) -> None:
    issuing = a_ca(client, "Issuing", name_constraints=A_TEST)
    issued = issue(client, issuing, dns=["b.a.test"]).json()["certificate"]
    renewed = client.post(f"/v1/certificates/{issued['id']}/renew", {"csr": csr(new_key(), "evil", sans=("DNS:evil.test",))})
    if renewed.status_code == 201:  # the names are those of the certificate, whatever the request says
        assert renewed.json()["certificate"]["sans"] == ["DNS:b.a.test"]
    else:
        refusal(renewed, 409, "too early")


@pytest.mark.parametrize(
    ("constraints", "field"),
    [
        ({"permitted": {"dns": ["*.a.test"]}}, "name_constraints.permitted.dns"),
        ({"excluded": {"uri": ["https://a.test"]}}, "name_constraints.excluded.uri"),
        ({"permitted": {"ip": ["10.0.0.1/8"]}}, "name_constraints.permitted.ip"),
        ({"permitted": {"directory": ["Acme"]}}, "name_constraints.permitted.directory"),
        ({"permitted": {"dns": ["b.a.test"]}, "excluded": {"dns": ["a.test"]}}, "name_constraints.permitted.dns"),
        ({"forbidden": {}}, "name_constraints.forbidden"),
    ],
)
def test_constraints_that_cannot_be_are_refused_with_the_field(client: Client, constraints: Any, field: str) -> None:
    refusal(client.post(PATH, {"authority": {"name": "CA", "name_constraints": constraints}}), 400, field)


def test_a_child_permits_no_more_than_its_parent(client: Client) -> None:
    root = a_ca(client, "Root", name_constraints=A_TEST)
    wider = {"name": "Child", "kind": "intermediate", "parent_id": root["id"]}
    wider["name_constraints"] = {"permitted": {"dns": ["b.test"]}}
    refusal(client.post(PATH, {"authority": wider}), 400, "name_constraints.permitted", "'b.test'", "'a.test'")


def test_what_common_engines_will_not_accept_is_said_when_it_is_made_and_later(client: Client) -> None:
    made = a_ca(client, "Edwards", key="ED25519", name_constraints={"permitted": {"uri": ["a.test"], "ip": ["10.0.0.0/8"]}})
    assert [word for word in ("Ed25519", "BoringSSL", "cryptography") if any(word in text for text in made["warnings"])] == [
        "Ed25519",
        "BoringSSL",
        "cryptography",
    ]
    assert client.get(f"{PATH}/{made['id']}").json()["authority"]["warnings"] == made["warnings"]
    assert a_ca(client, "Plain")["warnings"] == []


def test_the_constraints_of_an_imported_authority_are_shown(client: Client) -> None:
    constrained = (x509.NameConstraints([x509.DNSName("a.test")], None), True)
    theirs = Authority.root("Theirs")
    key = new_key()
    held = [(x509.BasicConstraints(ca=True, path_length=0), True), constrained]
    made = theirs.sign(name("Held"), key, held, days=100)
    pem = as_pem(made)
    imported = client.post(PATH, {"authority": {"name": "Held", "certificate": pem}}).json()["authority"]
    assert imported["name_constraints"]["permitted"]["dns"] == ["a.test"]
    assert imported["path_length"] == 0


def test_an_authority_of_ours_is_cross_signed_and_trusted_by_way_of_its_new_parent(client: Client) -> None:
    old, new = a_ca(client, "Old"), a_ca(client, "New")
    issuing = a_ca(client, "Issuing", parent_id=old["id"])
    reply = crossed(client, old, new, lifetime_days=100)
    assert reply.status_code == 201, reply.text
    made = reply.json()["authority"]
    assert (made["name"], made["kind"]) == ("Old by New", "intermediate")
    assert (made["parent_id"], made["cross_of"]) == (new["id"], old["id"])
    assert (made["has_key"], made["subject"]) == (False, old["subject"])
    assert certificate(made).issuer == certificate(new).subject
    with client.system.store.read() as reader:
        anchors = Materials(reader, client.system.sealer).anchors(f"/v1/authorities/{new['id']}", "x")
    assert {one.id for one in anchors.authorities} == {new["id"], made["id"], issuing["id"]}
    refusal(issue(client, made, common_name="alice"), 400, "no key here")


def test_what_cannot_be_cross_signed_is_refused(client: Client) -> None:
    old, new = a_ca(client, "Old", name_constraints=A_TEST), a_ca(client, "New")
    made = crossed(client, old, new).json()["authority"]
    refusal(crossed(client, made, new), 400, "authority_id", old["id"])
    refusal(crossed(client, new, new), 400, "is the parent itself")
    refusal(crossed(client, old, new, name_constraints={"permitted": {"dns": ["b.test"]}}), 400, "name_constraints.permitted")
    refusal(crossed(client, old, {"id": "none"}), 400, "parent_id", "there is no authority none")
    refusal(crossed(client, {"id": "none"}, new), 404, "Authority none not found")
    refusal(client.delete(f"{PATH}/{old['id']}"), 409, f"cross-signed as {made['id']}")
    assert client.delete(f"{PATH}/{made['id']}").status_code == 204
    assert client.delete(f"{PATH}/{old['id']}").status_code == 204


def test_an_imported_root_is_cross_signed_by_its_own_signature_and_an_intermediate_is_not(client: Client) -> None:
    theirs = Authority.root("Theirs")
    below = theirs.intermediate("Below")
    ours = a_ca(client, "Ours")
    root, middle = (
        client.post(PATH, {"authority": {"name": title, "certificate": pem}}).json()["authority"]
        for title, pem in (("Theirs", theirs.cert_pem), ("Below", below.cert_pem))
    )
    assert crossed(client, root, ours).status_code == 201
    refusal(crossed(client, middle, ours), 400, "nothing proves that the key of 'CN=Below' is held")


def test_cross_signing_is_on_record(client: Client) -> None:
    crossed(client, a_ca(client, "Old"), a_ca(client, "New"))
    assert client.get("/v1/revisions?limit=1").json()["revisions"][0]["action"] == "authority:cross-sign"
