"""One request that creates a load balancer with all that hangs on it, as Octavia's clients send it."""

import json
import re
from typing import Any

import pytest

from api.client import Client
from api.nouns import LB, a_balancer, a_listener, made
from api.test_nouns import refused
from ostiary.api import balancers, listeners, members, monitors, pools

POOL = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
MEMBER = {"address": "192.0.2.1", "protocol_port": 80}
MONITOR = {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2}
LISTENER = {"protocol": "HTTP", "protocol_port": 8080}
WHOLE = {
    "name": "shop",
    "vip_address": "127.0.0.1",
    "tenant_id": "blue",
    "listeners": [
        {**LISTENER, "name": "by name", "default_pool": {"name": "p"}},
        {**LISTENER, "name": "inline", "protocol_port": 8081, "default_pool": {**POOL, "members": [MEMBER], "healthmonitor": {}}},
        {**LISTENER, "name": "none", "protocol_port": 8082, "default_pool": {}, "l7policies": [], "tags": None},
    ],
    "pools": [{**POOL, "name": "p", "members": [MEMBER, {**MEMBER, "protocol_port": 81}], "healthmonitor": MONITOR}],
}


def listed(client: Client, many: str) -> list[dict[str, Any]]:
    return list(client.get(f"{LB}/{many}").json()[many])


def rows(client: Client) -> tuple[int, int]:
    """The revision, and how many things there are."""
    return client.revision(), sum(len(listed(client, many)) for many in ("loadbalancers", "listeners", "pools", "healthmonitors"))


def test_one_request_makes_them_all(client: Client) -> None:
    balancer = made(client, f"{LB}/loadbalancers", "loadbalancer", **WHOLE)
    by_name, inline, none = listed(client, "listeners")
    named, within = listed(client, "pools")
    assert balancer["listeners"] == [{"id": listener["id"]} for listener in (by_name, inline, none)]
    assert balancer["pools"] == [{"id": named["id"]}, {"id": within["id"]}]
    assert [by_name["default_pool_id"], inline["default_pool_id"], none["default_pool_id"]] == [named["id"], within["id"], None]
    assert [len(pool["members"]) for pool in (named, within)] == [2, 1]
    (monitor,) = listed(client, "healthmonitors")
    assert [pool["healthmonitor_id"] for pool in (named, within)] == [monitor["id"], None]
    its_members = client.get(f"{LB}/pools/{named['id']}/members").json()["members"]
    everything = [balancer, by_name, inline, none, named, within, monitor, *its_members]
    assert {(thing["revision"], thing["project_id"]) for thing in everything} == {(1, "blue")}
    assert client.get(f"{LB}/loadbalancers/{balancer['id']}").json() == {"loadbalancer": balancer}
    entries = client.get("/v1/audit?limit=100").json()["audit"]
    assert sorted(entry["resource_id"] for entry in entries) == sorted(
        [*(thing["id"] for thing in everything), client.get(f"{LB}/pools/{within['id']}").json()["pool"]["members"][0]["id"]]
    )
    assert {entry["revision"] for entry in entries} == {1}


def test_a_listener_brings_its_pool(client: Client) -> None:
    balancer = a_balancer(client)
    wanted = {**LISTENER, "default_pool": {**POOL, "members": [MEMBER], "healthmonitor": MONITOR}}
    listener = made(client, f"{LB}/listeners", "listener", loadbalancer_id=balancer["id"], **wanted)
    pool = client.get(f"{LB}/pools/{listener['default_pool_id']}").json()["pool"]
    assert (len(pool["members"]), pool["listeners"]) == (1, [{"id": listener["id"]}])
    assert pool["healthmonitor_id"] == listed(client, "healthmonitors")[0]["id"]
    assert client.revision() == 2


def test_a_pool_brings_its_members_and_monitor(client: Client) -> None:
    listener = a_listener(client)
    before = client.revision()
    pool = made(client, f"{LB}/pools", "pool", listener_id=listener["id"], members=[MEMBER], healthmonitor=MONITOR, **POOL)
    assert len(pool["members"]) == 1
    assert pool["healthmonitor_id"] == listed(client, "healthmonitors")[0]["id"]
    assert pool["listeners"] == [{"id": listener["id"]}]
    assert client.revision() == before + 1


@pytest.mark.parametrize(("many", "one"), [(None, None), ([], {})])
def test_what_is_empty_is_the_same_as_left_out(client: Client, many: Any, one: Any) -> None:
    balancer = a_balancer(client, listeners=many, pools=many)
    made(client, f"{LB}/listeners", "listener", loadbalancer_id=balancer["id"], default_pool=one, **LISTENER)
    made(client, f"{LB}/pools", "pool", loadbalancer_id=balancer["id"], members=many, healthmonitor=one, **POOL)
    assert rows(client) == (3, 3)


def with_member(**fields: Any) -> dict[str, Any]:
    """A body with a fault in its deepest place, after much that is well."""
    pool = {**POOL, "members": [MEMBER, {**MEMBER, "protocol_port": 81, **fields}]}
    return {"pools": WHOLE["pools"], "listeners": [{**LISTENER, "default_pool": pool}]}


def with_listener(**fields: Any) -> dict[str, Any]:
    return {"pools": WHOLE["pools"], "listeners": [LISTENER, {**LISTENER, "protocol_port": 81, **fields}]}


DEEP = "listeners.0.default_pool.members.1"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (with_member(address="x"), 400, f"{DEEP}.address: 'x' is not an IP address"),
        (with_member(colour=1), 400, f"{DEEP}.colour: is not a known field"),
        (with_member(protocol_port="80"), 400, f"{DEEP}.protocol_port: must be a whole number"),
        (with_member(pool_id="x"), 400, f"{DEEP}.pool_id: is not a known field"),
        (with_member(request_sriov=True), 400, f"{DEEP}.request_sriov: is not supported"),
        (with_member(protocol_port=80), 400, f"{DEEP}: 192.0.2.1 port 80 is given twice"),
        (with_listener(loadbalancer_id="x"), 400, "listeners.1.loadbalancer_id: is not a known field"),
        (with_listener(project_id="x"), 400, "listeners.1.project_id: is not a known field"),
        (with_listener(id="x"), 400, "listeners.1.id: is not a known field"),
        (with_listener(l7policies=[{}]), 400, "listeners.1.l7policies: is not supported"),
        (with_listener(client_authentcation="MANDATORY"), 400, "listeners.1.client_authentcation: is not a known field"),
        (with_listener(default_pool="p"), 400, "listeners.1.default_pool: must be an object"),
        (with_listener(default_pool={"name": 7}), 400, "listeners.1.default_pool.name: must be text"),
        (with_listener(default_pool={"name": "q"}), 400, "listeners.1.default_pool.name: no pool of this call is called 'q'"),
        (with_listener(default_pool={"name": "p", "tags": []}), 400, "listeners.1.default_pool.protocol: is required"),
        (with_listener(default_pool={**POOL, "name": "p"}), 400, "listeners.1.default_pool.name: another pool of this call"),
        (with_listener(default_pool={**POOL, "listener_id": "x"}), 400, "listeners.1.default_pool.listener_id: is not a known"),
        (
            with_listener(default_pool={**POOL, "healthmonitor": {"delay": 1}}),
            400,
            "default_pool.healthmonitor.type: is required",
        ),
        (with_listener(default_pool={"name": "p"}, default_pool_id="x"), 400, "listeners.1.default_pool_id: "),
        (with_listener(protocol_port=8080), 409, "listeners.1.protocol_port: port 8080 at 127.0.0.1 is taken"),
        ({"pools": [{**POOL, "name": "p"}, {**POOL, "name": "p"}]}, 400, "pools.1.name: another pool of this call"),
        ({"pools": [{**POOL, "healthmonitor": {**MONITOR, "timeout": 9}}]}, 400, "pools.0.healthmonitor.timeout: "),
        (
            {"pools": [{**POOL, "healthmonitor": {**MONITOR, "pool_id": "x"}}]},
            400,
            "pools.0.healthmonitor.pool_id: is not a known",
        ),
        ({"pools": POOL}, 400, "pools: must be a list"),
        ({"pools": ["p"]}, 400, "pools.0: must be an object"),
        ({"listeners": [LISTENER] * 101}, 400, "listeners.100: at most 100 listeners"),
        ({"pools": [POOL] * 101}, 400, "pools.100: at most 100 pools"),
        (
            {"pools": [{**POOL, "members": [{**MEMBER, "protocol_port": port} for port in range(1, 502)]}] * 2},
            400,
            "pools.1.members: at most 1000 members",
        ),
    ],
)
def test_one_fault_anywhere_refuses_it_all_and_is_named_by_its_place(
    client: Client, body: dict[str, Any], status: int, words: str
) -> None:
    before = rows(client)
    reply = client.post(f"{LB}/loadbalancers", {"loadbalancer": {"vip_address": "127.0.0.1", **body}})
    refused(reply, status, words)
    assert "loadbalancer." not in reply.json()["faultstring"]
    assert rows(client) == before == (0, 0)


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("listeners", {**LISTENER, "default_pool": {**POOL, "members": [{}]}}, "default_pool.members.0.address: is required"),
        ("listeners", {**LISTENER, "default_pool": {"name": "p"}}, "default_pool.protocol: is required"),
        ("listeners", {**LISTENER, "default_pool": {**POOL, "protocol": "TCP"}}, "default_pool.protocol: "),
        ("listeners", {**LISTENER, "default_pool": POOL, "default_pool_id": "x"}, "default_pool_id: there is a default_pool too"),
        ("pools", {**POOL, "members": [MEMBER, MEMBER]}, "members.1: 192.0.2.1 port 80 is given twice"),
        ("pools", {**POOL, "healthmonitor": {**MONITOR, "timeout": 9}}, "healthmonitor.timeout: "),
        ("pools", {**POOL, "healthmonitor": {"name": "m"}}, "healthmonitor.type: is required"),
    ],
)
def test_a_fault_in_what_a_listener_or_pool_brings_refuses_both(
    client: Client, path: str, body: dict[str, Any], words: str
) -> None:
    balancer = a_balancer(client)
    before = rows(client)
    reply = client.post(f"{LB}/{path}", {path[:-1]: {**body, "loadbalancer_id": balancer["id"]}})
    refused(reply, 400, words)
    assert reply.json()["faultstring"].startswith(words)
    assert rows(client) == before


def test_nested_shapes_follow_the_model_and_are_in_the_schema(client: Client) -> None:
    shapes = client.get("/openapi.json").json()["components"]["schemas"]
    above = {"project_id", "tenant_id", "loadbalancer_id", "listener_id", "pool_id"}
    for noun in (listeners.NOUN, pools.NOUN, members.NOUN, monitors.NOUN):
        title = noun.model.__name__
        assert set(shapes[f"Nested{title}"]["properties"]) == set(shapes[f"New{title}"]["properties"]) - above
        assert shapes[f"Nested{title}"]["required"] == shapes[f"New{title}"]["required"]
        assert shapes[f"Nested{title}"]["additionalProperties"] is False
    assert shapes["NestedListener"]["properties"]["protocol_port"]["maximum"] == 65535
    new = shapes[balancers.NOUN.new.__name__]["properties"]
    assert (new["listeners"]["maxItems"], new["pools"]["maxItems"]) == (100, 100)
    options = shapes["NestedListener"]["properties"]["default_pool"]
    assert set(re.findall(r"/schemas/(\w+)", json.dumps(options))) == {"NestedPool", "PoolByName", "Nothing"}
