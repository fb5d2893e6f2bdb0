"""/metrics: what a monitoring system reads."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.client import Client
from ostiary.api.declared import May, declaration
from ostiary.api.openapi import routes
from ostiary.errors import Denied
from ostiary.model.token import NewToken
from ostiary.ops import denials, measures, sessions, sightings, tokens
from support.systems import ADMIN

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


def test_a_token_that_reads_the_metrics_does_nothing_else(client: Client) -> None:
    token, secret = tokens.create(client.system, ADMIN, NewToken(role="monitor", name="prometheus"))
    monitor = {"X-Auth-Token": bytes(secret).decode()}
    assert client.get("/metrics", headers=monitor).status_code == 200
    closed = [one for one in routes(client.app) if isinstance(declaration(one.dependencies), May) and one.path != "/metrics"]
    assert len(closed) > 60
    for route in closed:
        path = re.sub(r"\{[^}]*\}", "x", route.path)
        for method in route.methods or ():
            assert client.request(method, path, headers=monitor).status_code == 403, (method, path)
    with pytest.raises(Denied):
        sessions.by_token(client.system, bytes(secret), is_admin_token=False, source="192.0.2.7", request_id="req-1")
    tokens.delete(client.system, ADMIN, token.id)
    assert client.get("/metrics", headers=monitor).status_code == 401


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=1.0.0,*/*;q=0.1", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text;version=a\tb", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ],
)
def test_the_form_is_one_of_two_whatever_is_asked_for(client: Client, accept: str, kind: str) -> None:
    reply = client.get("/metrics", headers={"Accept": accept})
    assert (reply.status_code, reply.headers["content-type"]) == (200, kind)
