"""/v1/clients: who was let in, a page at a time."""

from datetime import timedelta
from typing import Any

import pytest

from api.client import Client
from ostiary.api.clients import ClientList
from ostiary.ops import sightings


def seen(client: Client, *entries: dict[str, Any]) -> None:
    system = client.system
    at = system.clock()
    usual = {"listener_id": "l1", "subject": "CN=x", "requests": 1, "addresses": ["192.0.2.1"]}
    told = [
        {**usual, "fingerprint_sha256": f"{number:064x}", "first_seen": at.isoformat(), "last_seen": at.isoformat(), **entry}
        for number, entry in enumerate(entries)
    ]
    sightings.seen(system, "g1", {"sequence": 1, "sightings": told})


def test_a_client_is_shown_with_all_that_is_known(client: Client) -> None:
    seen(client, {"not_after": "2027-01-01T00:00:00Z", "serial": "0a", "issuer": "CN=r"})
    (one,) = ClientList.model_validate_json(client.get("/v1/clients").content).clients
    assert one.last_seen.endswith("Z")
    assert one.model_dump(exclude={"first_seen", "last_seen"}) == {
        "fingerprint_sha256": "0" * 64,
        "certificate_id": None,
        "subject": "CN=x",
        "issuer": "CN=r",
        "serial": "0a",
        "not_after": "2027-01-01T00:00:00Z",
        "listener_id": "l1",
        "requests": 1,
        "addresses": ("192.0.2.1",),
        "address_count": 1,
        "many_addresses": False,
    }


def test_pages_follow_each_other_by_their_links(client: Client) -> None:
    seen(client, *({} for _ in range(7)))
    path, found = "/v1/clients?limit=3", []
    while path:
        reply = ClientList.model_validate_json(client.get(path).content)
        found += [int(one.fingerprint_sha256, 16) for one in reply.clients]
        path = next((link.href for link in reply.clients_links if link.rel == "next"), "")
    assert found == list(range(7))


def test_filters(client: Client) -> None:
    seen(client, {}, {"listener_id": "l2"})
    now = client.system.clock()

    def found(**query: str) -> list[str]:
        reply = client.get("/v1/clients", params=query)
        return [one.listener_id for one in ClientList.model_validate_json(reply.content).clients]

    assert found(listener_id="l2") == ["l2"]
    assert found(fingerprint_sha256="0" * 64) == ["l1"]
    assert found(certificate_id="none") == []
    assert found(many_addresses="true") == []
    assert found(many_addresses="false") == ["l1", "l2"]
    assert found(seen_after=(now - timedelta(minutes=1)).isoformat()) == ["l1", "l2"]
    assert found(seen_before=(now - timedelta(minutes=1)).isoformat()) == []


@pytest.mark.parametrize(
    "query",
    [
        "seen_after=never",
        "seen_before=",
        "marker=x",
        "marker=0001-01-01T00:00:00%2B23:59|a|b",
        "limit=x",
        "subject=CN",
        "many_addresses=perhaps",
    ],
)
def test_what_cannot_be_asked_for_is_named(client: Client, query: str) -> None:
    reply = client.get(f"/v1/clients?{query}")
    assert reply.status_code == 400
    assert query.partition("=")[0] in reply.text


def test_whether_there_are_many_addresses_is_true_or_false(client: Client) -> None:
    assert "neither true nor false" in client.get("/v1/clients?many_addresses=perhaps").text


def test_a_marker_of_any_kind_is_only_a_place(client: Client) -> None:
    seen(client, {})
    assert client.get("/v1/clients?marker=2999-01-01T00:00:00Z|'; drop|x").json()["clients"]
    assert client.get("/v1/clients?marker=1999-01-01").json()["clients"] == []
