"""Statuses: derived from what the gateways have said, shown in replies, found by filters, and gathered in the tree."""

from typing import Any

import pytest

from api.client import Client
from api.nouns import LB, a_balancer, a_listener, a_member, a_pool
from ostiary.api.shapes import StatsReply, StatusesReply
from ostiary.envoy.snapshot import snapshot
from ostiary.store.desired import desired

WORDS = "error adding listener: cannot bind '127.0.0.1:8080': Address already in use"


def translated(client: Client) -> None:
    """Do what the publisher does after a commit."""
    with client.system.store.read() as reader:
        wanted = desired(reader, client.system.sealer, client.system.clock())
    client.system.fleet.want(wanted, snapshot(wanted))


def heard(client: Client, *, refused: str | None = None, **more: Any) -> None:
    """A gateway accepts everything, but refuses what belongs to this id."""
    wanted = client.system.fleet.wanted
    assert wanted is not None
    bad = {resource.key for resource in wanted.owned(refused or "")}
    versions = {key: resource.version for key, resource in wanted.snapshot.resources.items()}
    client.system.fleet.heard(
        "local",
        client.system.clock(),
        connected=True,
        accepted={key: version for key, version in versions.items() if key not in bad},
        rejected={key: (version, WORDS) for key, version in versions.items() if key in bad},
        **more,
    )


@pytest.fixture
def listener(client: Client) -> dict[str, Any]:
    """A listener with a pool of one member, translated."""
    made = a_listener(client)
    pool = a_pool(client, listener_id=made["id"])
    a_member(client, pool["id"])
    translated(client)
    return made


def status(client: Client, listener: dict[str, Any]) -> tuple[str, str | None]:
    shown = client.get(f"{LB}/listeners/{listener['id']}").json()["listener"]
    return shown["provisioning_status"], shown["provisioning_error"]


def test_it_is_pending_until_the_gateway_has_it(client: Client, listener: dict[str, Any]) -> None:
    assert status(client, listener)[0].startswith("PENDING_")
    heard(client)
    assert status(client, listener) == ("ACTIVE", None)
    client.put(f"{LB}/listeners/{listener['id']}", {"listener": {"connection_limit": 5}})
    assert status(client, listener) == ("PENDING_UPDATE", None)
    translated(client)
    assert status(client, listener) == ("PENDING_UPDATE", None)
    heard(client)
    assert status(client, listener) == ("ACTIVE", None)


def test_what_the_engine_said_against_it_is_shown(client: Client, listener: dict[str, Any]) -> None:
    heard(client, refused=listener["id"])
    assert status(client, listener) == ("ERROR", WORDS)
    found = client.get(f"{LB}/listeners?provisioning_status=ERROR").json()["listeners"]
    assert [one["id"] for one in found] == [listener["id"]]
    gateway = client.get("/v1/gateways").json()["gateways"][0]
    assert (gateway["connected"], gateway["applied_revision"], gateway["last_error"]) == (True, None, WORDS)


def test_a_gateway_shows_what_it_has_applied(client: Client, listener: dict[str, Any]) -> None:
    assert client.get("/v1/gateways").json() == {"gateways": []}
    assert client.get("/readyz").json() == {"status": "ok", "database": True, "gateway": False}
    heard(client, report={"version": "1.40.0"})
    (gateway,) = client.get("/v1/gateways").json()["gateways"]
    assert gateway["applied_revision"] == client.revision()
    assert (gateway["version"], gateway["last_error"]) == ("1.40.0", None)
    assert client.get("/v1/gateways/local").json() == {"gateway": gateway}
    assert client.get("/v1/gateways/none").status_code == 404
    assert client.get("/readyz").json()["gateway"] is True
    assert listener["id"] in str(client.system.fleet.wanted)


def test_a_gateway_shows_where_its_access_record_goes(client: Client) -> None:
    one: dict[str, Any] = {"target": "syslog+tls://logs.example:6514", "sent": 5.0, "dropped": 0.0, "error": None}
    fine = one | {"waiting_since": None, "failing_since": None}
    away = one | {"waiting_since": "2026-01-02T00:00:00.000+00:00", "failing_since": "2026-01-02T07:00:00.000+07:00"}
    away |= {"dropped": 2.0, "error": "Connection refused"}
    translated(client)
    nonsense = [{}, "x", fine | {"sent": float("inf")}, fine | {"waiting_since": "soon"}, fine | {"waiting_since": 7.0}]
    heard(client, report={"exports": [fine, away, *nonsense]})
    (gateway,) = client.get("/v1/gateways").json()["gateways"]
    at = "2026-01-02T00:00:00Z"
    assert gateway["exports"] == [
        fine,
        away | {"waiting_since": at, "failing_since": at},
    ]
    assert gateway["recording_error"] is None
    for told in ({}, {"exports": None}, {"exports": "nonsense"}):
        heard(client, report=told)
        assert client.get("/v1/gateways").json()["gateways"][0]["exports"] == []


def test_a_gateway_shows_whose_revocation_lists_have_ended(client: Client, listener: dict[str, Any]) -> None:
    fresh: dict[str, Any] = {"stale_since": None, "stale": []}
    allowed = {"listeners": [listener["id"]], "since": "2026-01-02T00:00:00+00:00", "until": "2026-01-03T00:00:00+00:00"}
    refused = {"listeners": ["other"], "since": "2026-01-01T00:00:00+00:00", "until": None}
    heard(client, report={"stale": [allowed, refused, {"since": "not a time"}, "nonsense"]})
    (gateway,) = client.get("/v1/gateways").json()["gateways"]
    assert gateway["stale_since"] == "2026-01-01T00:00:00Z"
    assert gateway["stale"] == [
        {"listener_ids": [listener["id"]], "since": "2026-01-02T00:00:00Z", "allowed_until": "2026-01-03T00:00:00Z"},
        {"listener_ids": ["other"], "since": "2026-01-01T00:00:00Z", "allowed_until": None},
    ]
    reports: tuple[dict[str, Any], ...] = ({}, {"stale": []}, {"stale": "nonsense"})
    for told in reports:
        heard(client, report=told)
        (gateway,) = client.get("/v1/gateways").json()["gateways"]
        assert {name: gateway[name] for name in fresh} == fresh


@pytest.mark.usefixtures("listener")
def test_a_gateway_shows_its_long_streams_and_why_it_can_end_none(client: Client) -> None:
    told = {"open": 3, "ended": {"revoked": 2}, "unable": "the kernel does not lend us Envoy's sockets"}
    heard(client, report={"streams": told})
    assert client.get("/v1/gateways").json()["gateways"][0]["streams"] == told
    reports: tuple[dict[str, Any], ...] = (
        {},
        {"streams": None},
        {"streams": {"open": "many", "ended": {}}},
        {"streams": "nonsense"},
    )
    for unclear in reports:
        heard(client, report=unclear)
        assert client.get("/v1/gateways").json()["gateways"][0]["streams"] is None


@pytest.mark.parametrize("last", ["status", "statuses"])
def test_the_tree_shows_all_below_a_load_balancer(client: Client, listener: dict[str, Any], last: str) -> None:
    heard(client)
    reply = client.get(f"{LB}/loadbalancers/{listener['loadbalancer_id']}/{last}")
    assert reply.status_code == 200
    tree = StatusesReply.model_validate_json(reply.content).statuses.loadbalancer
    assert tree.listeners[0].id == listener["id"]
    assert tree.listeners[0].pools[0].members[0].address == "192.0.2.1"
    assert tree.provisioning_status == "ACTIVE"
    assert client.get(f"{LB}/loadbalancers/none/{last}").status_code == 404


def test_counters_are_those_of_the_listeners(client: Client, listener: dict[str, Any]) -> None:
    counted = {"active_connections": 1, "bytes_in": 2, "bytes_out": 3, "request_errors": 4, "total_connections": 5}
    zero = dict.fromkeys(counted, 0)
    other = a_balancer(client)
    paths = (f"listeners/{listener['id']}", f"loadbalancers/{listener['loadbalancer_id']}", f"loadbalancers/{other['id']}")
    assert [client.get(f"{LB}/{path}/stats").json()["stats"] for path in paths] == [zero] * 3
    heard(client, report={"listeners": {f"listener/{listener['id']}": counted}})
    assert [client.get(f"{LB}/{path}/stats").json()["stats"] for path in paths] == [counted, counted, zero]
    StatsReply.model_validate_json(client.get(f"{LB}/{paths[0]}/stats").content)
    for noun in ("listeners", "loadbalancers"):
        assert client.get(f"{LB}/{noun}/none/stats").status_code == 404
