"""Authorities whose key is elsewhere, over the API."""

from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from api.client import Client
from api.nouns import made
from ostiary.clock import now
from support.certs import DAY, Authority
from support.site import Page, Site

CAS = "/v1/authorities"
ROOT = Authority.root("Partner root")
ISSUING = ROOT.intermediate("Partner issuing")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as running:
        running.pages["/all"] = Page((ROOT.crl() + ISSUING.crl([5], number=3)).encode())
        yield running


def a_bundle(client: Client) -> dict[str, Any]:
    return made(client, CAS, "authority", name="Partner", certificate=ISSUING.bundle_pem)


def patched(client: Client, authority: dict[str, Any], **check: Any) -> Any:
    return client.request("PATCH", f"{CAS}/{authority['id']}", {"authority": {"status_check": check}})


def fetching(site: Site, **other: Any) -> dict[str, Any]:
    where = {"crl_urls": [site.url("/all")], "fetch_private_networks": ["127.0.0.0/8"], "fetch_ports": [site.port]}
    return {"revocation_check": "CRL", **where, **other}


def test_a_bundle_is_imported_in_one_call_and_shown_as_a_series(client: Client) -> None:
    first = a_bundle(client)
    assert len(first["series"]) == 2
    assert first["series"][0] == first["id"]
    second = client.get(f"{CAS}/{first['series'][1]}").json()["authority"]
    assert (second["parent_id"], second["series"]) == (first["id"], first["series"])
    assert first["status_check"]["revocation_check"] == "NONE"
    assert first["status_check_state"]["state"] == "NOT_CHECKED"


def test_lists_are_switched_on_fetched_and_shown(client: Client, site: Site) -> None:
    first = a_bundle(client)
    reply = patched(client, first, **fetching(site))
    assert reply.status_code == 200, reply.text
    state = client.get(f"{CAS}/{first['series'][1]}").json()["authority"]["status_check_state"]
    assert (state["state"], state["number"], state["entries"], state["source"]) == ("FRESH", 3, 1, "fetched")
    assert state["next_update"].endswith("Z")
    assert state["last_error"] is None


def test_only_what_is_given_changes(client: Client, site: Site) -> None:
    first = a_bundle(client)
    patched(client, first, **fetching(site))
    after = patched(client, first, stale_status="ALLOW", stale_allow_hours=8).json()["authority"]["status_check"]
    assert (after["stale_status"], after["stale_allow_hours"], after["revocation_check"]) == ("ALLOW", 8, "CRL")
    assert after["crl_urls"] == [site.url("/all")]
    other = client.get(f"{CAS}/{first['series'][1]}").json()["authority"]
    assert other["status_check"] == after


def test_a_name_is_changed_alone(client: Client) -> None:
    first = a_bundle(client)
    reply = client.request("PATCH", f"{CAS}/{first['id']}", {"authority": {"name": "Other"}})
    assert reply.json()["authority"]["name"] == "Other"


@pytest.mark.parametrize(
    ("check", "field", "words"),
    [
        ({"crl_urls": ["ldap://d.test/x"]}, "status_check.crl_urls.0", "LDAP is not asked"),
        ({"stale_status": "MAYBE"}, "status_check.stale_status", "REFUSE"),
        ({"fetch_private_networks": ["10.0.0.1/8"]}, "status_check.fetch_private_networks.0", "is not a network"),
        ({"fetch_ports": []}, "status_check.fetch_ports", "at least 1"),
        ({"surprise": 1}, "status_check.surprise", "is not a known field"),
        ({"revocation_check": "CRL"}, "status_check.revocation_check", "no current revocation list of CN=Partner"),
    ],
)
def test_settings_that_make_no_sense_are_named(client: Client, check: dict[str, Any], field: str, words: str) -> None:
    reply = patched(client, a_bundle(client), **check)
    assert reply.status_code == 400
    assert words in reply.text
    assert field in reply.text


def test_lists_are_uploaded_as_der_or_pem(client: Client) -> None:
    root, issuing = a_bundle(client)["series"]
    der = x509.load_pem_x509_crl(ROOT.crl().encode()).public_bytes(Encoding.DER)
    assert client.put(f"{CAS}/{root}/crl", content=der).status_code == 200
    reply = client.put(f"{CAS}/{issuing}/crl", content=ISSUING.crl(number=5))
    assert reply.json()["authority"]["status_check_state"]["state"] == "FRESH"
    older = ISSUING.crl(number=4)
    refused = client.put(f"{CAS}/{issuing}/crl", content=older)
    assert refused.status_code == 400
    assert "it is older" in refused.json()["detail"]
    assert client.put(f"{CAS}/{issuing}/crl?force=true", content=older).json()["authority"]["status_check_state"]["number"] == 4
    assert client.put(f"{CAS}/{issuing}/crl?sure=1", content=older).status_code == 400


def test_a_list_may_be_larger_than_other_bodies_but_not_endless(client: Client) -> None:
    root = a_bundle(client)["series"][0]
    large = ROOT.crl(range(1, 60_000))
    assert len(large) > 2**20
    assert client.put(f"{CAS}/{root}/crl", content=large).status_code == 200
    assert client.put(f"{CAS}/{root}/crl", content=b"x" * (9 * 2**20)).status_code in {400, 413}


def test_lists_are_fetched_when_somebody_asks(client: Client, site: Site) -> None:
    first = a_bundle(client)
    patched(client, first, **fetching(site))
    issuing = ISSUING.crl([5, 6], number=4, next_update=now() + DAY)
    site.pages["/all"] = Page((ROOT.crl(number=2) + issuing).encode())
    client.post(f"{CAS}/{first['id']}/crl/fetch")
    state = client.get(f"{CAS}/{first['series'][1]}").json()["authority"]["status_check_state"]
    assert (state["number"], state["entries"]) == (4, 2)
    own = made(client, CAS, "authority", name="Own")
    assert client.post(f"{CAS}/{own['id']}/crl/fetch").status_code == 400
