"""Authorities, certificates, and what is public of them."""

import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.client import Client, a_client
from api.nouns import LB, a_balancer, a_listener, made
from ostiary.api import authorities, certificates
from ostiary.pki.holder import new_key_and_request
from support.certs import Authority
from support.systems import FakeClock

CAS, CERTIFICATES = "/v1/authorities", "/v1/certificates"


def refused(reply: Any, status: int, words: str) -> None:
    """RFC 9457's form of an error, saying these words."""
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json"), reply.text
    body = reply.json()
    assert {"type", "title", "status", "detail"} <= set(body)
    assert body["status"] == status
    assert words in body["detail"]


def a_ca(client: Client, **fields: Any) -> dict[str, Any]:
    return made(client, CAS, "authority", **{"name": "root", **fields})


def a_certificate(client: Client, authority_id: str, **fields: Any) -> dict[str, Any]:
    _, csr = new_key_and_request("alice")
    return made(client, CERTIFICATES, "certificate", **{"authority_id": authority_id, "csr": csr, **fields})


def test_an_authority_is_made_shown_and_deleted(client: Client) -> None:
    root = a_ca(client, subject={"CN": "Root", "O": "Acme"}, lifetime_days=4000)
    assert set(root) == set(authorities.NOUN.item.model_fields)
    assert (root["has_key"], root["kind"], root["parent_id"]) == (True, "root", None)
    assert root["crl_href"] == f"http://ostiary.test:9876/pki/{root['id']}.crl"
    assert root["href"] == f"http://ostiary.test:9876{CAS}/{root['id']}"
    assert root["not_after"].endswith("Z")
    issuing = a_ca(client, name="issuing", kind="intermediate", parent_id=root["id"])
    assert issuing["parent_id"] == root["id"]
    assert client.get(root["href"]).json() == {"authority": root}
    assert client.get(f"{CAS}?name=issuing").json() == {"authorities": [issuing], "authorities_links": []}
    refused(client.delete(f"{CAS}/{root['id']}"), 409, "has signed authority")
    for one in (issuing, root):
        assert client.delete(f"{CAS}/{one['id']}").status_code == 204
    refused(client.get(root["href"]), 404, f"Authority {root['id']} not found.")


def test_a_key_is_never_shown(client: Client) -> None:
    root = a_ca(client)
    shown = (
        client.get(CAS).text + client.get(root["href"]).text + client.get("/v1/audit").text + client.get("/v1/revisions/1").text
    )
    assert "sealed_key" not in shown
    assert "PRIVATE" not in shown


def test_a_ca_certificate_is_imported_without_a_key(client: Client) -> None:
    pem = Authority.root("Partner").cert_pem
    imported = a_ca(client, name="partner", certificate=pem)
    assert (imported["has_key"], imported["kind"], imported["subject"]) == (False, "imported", "CN=Partner")
    again = client.post(CAS, {"authority": {"name": "partner", "certificate": pem}})
    assert again.status_code == 409


def test_an_authority_tells_who_uses_it(client: Client) -> None:
    root = a_ca(client)
    listener = a_listener(
        client,
        protocol="TERMINATED_HTTPS",
        client_authentication="MANDATORY",
        client_ca_tls_container_ref=root["href"],
    )
    assert client.get(root["href"]).json()["authority"]["in_use_by"] == [listener["id"]]
    refused(client.delete(root["href"]), 409, f"in use by listener {listener['id']}")
    off = client.put(
        f"{LB}/listeners/{listener['id']}",
        {"listener": {"client_authentication": None, "client_ca_tls_container_ref": None}},
    )
    assert off.json()["listener"]["client_authentication"] == "NONE"
    assert client.get(root["href"]).json()["authority"]["in_use_by"] == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"kind": "imported"}, "kind"),
        ({"key": "RSA-1024"}, "key"),
        ({"lifetime_days": 0}, "lifetime_days"),
        ({"lifetime_days": "10"}, "lifetime_days"),
        ({"subject": {"EMAIL": "x"}}, "subject.EMAIL"),
        ({"kind": "intermediate"}, "parent_id"),
        ({"kind": "intermediate", "parent_id": "none"}, "parent_id"),
        ({"certificate": "garbage"}, "certificate"),
        ({"certificate": 7}, "certificate"),
        ({"certificate": "garbage", "key": "EC-P256"}, "key"),
        ({"certificate": "x" * 65_537}, "certificate"),
    ],
)
def test_a_bad_authority_is_refused_by_name(client: Client, fields: dict[str, Any], field: str) -> None:
    revision = client.revision()
    reply = client.post(CAS, {"authority": {"name": "x", **fields}})
    refused(reply, 400, f"{field}: ")
    assert reply.json()["field"] == field
    assert client.revision() == revision


def test_a_leaf_certificate_is_not_imported_as_an_authority(client: Client) -> None:
    leaf = Authority.root("Root").client("alice").cert_pem
    refused(client.post(CAS, {"authority": {"name": "x", "certificate": leaf}}), 400, "certificate: ")


def test_a_certificate_is_issued_and_found(client: Client) -> None:
    root = a_ca(client)
    issued = a_certificate(client, root["id"], owner="alice", groups=["staff", "admins"], lifetime="P30D", name="laptop")
    assert set(issued) == set(certificates.NOUN.item.model_fields)
    assert (issued["status"], issued["last_seen"], issued["profile"], issued["owner"]) == ("VALID", None, "client", "alice")
    other = a_certificate(client, root["id"], owner="bob")
    assert client.get(f"{CERTIFICATES}/{issued['id']}").json() == {"certificate": issued | {"effects": []}}
    for query, expected in (
        ({"owner": "alice"}, [issued]),
        ({"group": "staff"}, [issued]),
        ({"group": "sta"}, []),
        ({"serial": issued["serial"]}, [issued]),
        ({"fingerprint_sha256": other["fingerprint_sha256"]}, [other]),
        ({"authority_id": root["id"]}, [issued, other]),
        ({"status": "VALID"}, [issued, other]),
        ({"status": "EXPIRED"}, []),
        ({"expires_before": issued["not_after"]}, []),
        ({"expires_before": other["not_after"]}, [issued]),
        ({"expires_before": "2999-01-01"}, [issued, other]),
        ({"expires_before": "2999-01-01T00:00:00+02:00", "limit": "1"}, [issued]),
    ):
        assert client.get(CERTIFICATES, params=query).json()["certificates"] == expected, query
    refused(client.get(f"{CERTIFICATES}?expires_before=soon"), 400, "expires_before: ")
    refused(client.get(f"{CERTIFICATES}?colour=red"), 400, "colour: ")
    refused(client.get(f"{CERTIFICATES}/none"), 404, "Certificate none not found.")
    refused(client.delete(f"{CAS}/{root['id']}"), 409, "has issued 2 certificates")


def test_an_expired_certificate_says_so(tmp_path: Path) -> None:
    clock = FakeClock()
    with a_client(tmp_path, clock) as client:
        a_certificate(client, a_ca(client)["id"], lifetime="P1D")
        clock.at += timedelta(days=2)
        (shown,) = client.get(f"{CERTIFICATES}?status=EXPIRED").json()["certificates"]
        assert shown["status"] == "EXPIRED"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"csr": "garbage"}, "csr"),
        ({"csr": 7}, "csr"),
        ({"profile": "none"}, "profile"),
        ({"lifetime": 90}, "lifetime"),
        ({"lifetime": "ninety days"}, "lifetime"),
        ({"lifetime": "-P1D"}, "lifetime"),
        ({"lifetime": "P9999D"}, "lifetime"),
        ({"authority_id": "none"}, "authority_id"),
        ({"names": {"colour": "red"}}, "names.colour"),
        ({"names": {"ip": ["x"]}}, "names.ip.0"),
        ({"serial": "1"}, "serial"),
    ],
)
def test_a_bad_request_is_refused_by_name(client: Client, fields: dict[str, Any], field: str) -> None:
    root = a_ca(client)
    _, csr = new_key_and_request("alice")
    revision = client.revision()
    reply = client.post(CERTIFICATES, {"certificate": {"authority_id": root["id"], "csr": csr, **fields}})
    refused(reply, 400, f"{field}: ")
    assert client.revision() == revision


def test_an_authority_without_a_key_cannot_issue(client: Client) -> None:
    imported = a_ca(client, certificate=Authority.root("Partner").cert_pem)
    _, csr = new_key_and_request("alice")
    reply = client.post(CERTIFICATES, {"certificate": {"authority_id": imported["id"], "csr": csr}})
    assert reply.status_code in {400, 409}


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/pkix-cert"),
        ("*/*", "application/pkix-cert"),
        ("application/pkix-cert", "application/pkix-cert"),
        ("application/x-pem-file", "application/x-pem-file"),
        ("application/pem-certificate-chain", "application/pem-certificate-chain"),
        ("text/plain", "text/plain; charset=utf-8"),
    ],
)
def test_an_authoritys_certificate_is_public(tmp_path: Path, accept: str | None, media_type: str) -> None:
    with a_client(tmp_path) as client:
        root = a_ca(client)
        headers = {"Accept": accept} if accept else {}
        # No token, and a wrong one, make no difference here.
        for token in ("", "wrong"):
            reply = client.get(f"/pki/{root['id']}.crt", headers={"X-Auth-Token": token, **headers})
            assert (reply.status_code, reply.headers["content-type"]) == (200, media_type)
            pem = reply.text if reply.content.startswith(b"-----") else ssl.DER_cert_to_PEM_cert(reply.content)
            assert pem.split() == root["certificate"].split()
        refused(client.get("/pki/none.crt", headers=headers), 404, "Authority none not found.")
        refused(client.get(f"/pki/{root['id']}.key", headers=headers), 404, "not found.")
        refused(client.get(f"/pki/{root['id']}", headers=headers), 404, "not found.")


def test_a_load_balancer_id_is_no_authority(client: Client) -> None:
    refused(client.get(f"/pki/{a_balancer(client)['id']}.crt"), 404, "not found.")
