"""/metrics: what a monitoring system reads."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.client import Client
from ostiary.ops import denials, measures, sightings

ALICE = "a" * 64
LABELS = ("listener", "code", "stage")


def read(client: Client) -> dict[tuple[str, ...], float]:
    """Name, listener, code and stage → value."""
    reply = client.get("/metrics")
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(reply.text)
    return {
        (one.name, *(one.labels[label] for label in LABELS if label in one.labels)): one.value
        for family in families
        for one in family.samples
    }


def refused(client: Client, sequence: int, *listeners: str, count: int = 1) -> None:
    at = client.system.clock().isoformat()
    usual = {"stage": "request", "code": "revoked", "who": ALICE, "first": at, "last": at, "count": count}
    told = [{**usual, "listener_id": listener} for listener in listeners]
    assert denials.denied(client.system, "g1", {"sequence": sequence, "denials": told}) == 0


def test_refusals_are_counted_by_listener_code_and_stage(client: Client) -> None:
    refused(client, 1, "l1", "l2")
    refused(client, 2, "l1", count=4)
    numbers = read(client)
    assert numbers["ostiary_denials_total", "l1", "revoked", "request"] == 5
    assert numbers["ostiary_denials_total", "l2", "revoked", "request"] == 1
    assert numbers["ostiary_denials_forgotten",] == 0


def test_clients_gateways_and_the_configuration_have_their_numbers(client: Client) -> None:
    at = client.system.clock().isoformat()
    for number in range(6):
        told = {"fingerprint_sha256": ALICE, "listener_id": "l1", "first_seen": at, "last_seen": at}
        entry = {**told, "addresses": [f"192.0.2.{number}"]}
        sightings.seen(client.system, "g1", {"sequence": number + 1, "sightings": [entry]})
    numbers = read(client)
    assert (numbers["ostiary_clients_seen",], numbers["ostiary_clients_many_addresses",]) == (1, 1)
    assert numbers["ostiary_gateways_connected",] == 0
    with client.system.store.read() as reader:
        assert numbers["ostiary_revision",] == reader.revision()


def test_there_are_never_more_series_than_so_many(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "MOST_KINDS", 3)
    refused(client, 1, *(f"l{number}" for number in range(9)))
    series = [key for key in read(client) if key[0] == "ostiary_denials_total"]
    assert len(series) == 4
    assert read(client)["ostiary_denials_total", "other", "revoked", "request"] == 6


def test_a_token_is_needed(client: Client) -> None:
    assert client.get("/metrics", headers={"X-Auth-Token": "wrong"}).status_code == 401
