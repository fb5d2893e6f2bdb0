"""The load-balancing nouns as a table: where each is, and how one is made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api.client import Client

LB = "/v2/lbaas"


@dataclass(frozen=True)
class Noun:
    """`path` and `new` may make what the noun stands on."""

    one: str
    many: str
    path: Callable[[Client], str]
    new: Callable[[Client], dict[str, Any]]
    change: dict[str, Any]

    def __str__(self) -> str:
        return self.one


def made(client: Client, path: str, one: str, **fields: Any) -> dict[str, Any]:
    """What was created. Fails the test when it was refused."""
    reply = client.post(path, {one: fields})
    assert reply.status_code == 201, reply.text
    return dict(reply.json()[one])


def a_balancer(client: Client, **fields: Any) -> dict[str, Any]:
    return made(client, f"{LB}/loadbalancers", "loadbalancer", **{"vip_address": "127.0.0.1", **fields})


def a_pool(client: Client, **fields: Any) -> dict[str, Any]:
    if "loadbalancer_id" not in fields and "listener_id" not in fields:
        fields["loadbalancer_id"] = a_balancer(client)["id"]
    return made(client, f"{LB}/pools", "pool", **{"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", **fields})


def a_listener(client: Client, **fields: Any) -> dict[str, Any]:
    if "loadbalancer_id" not in fields:
        fields["loadbalancer_id"] = a_balancer(client)["id"]
    return made(client, f"{LB}/listeners", "listener", **{"protocol": "HTTP", "protocol_port": 8080, **fields})


def a_member(client: Client, pool_id: str, **fields: Any) -> dict[str, Any]:
    return made(client, f"{LB}/pools/{pool_id}/members", "member", **{"address": "192.0.2.1", "protocol_port": 80, **fields})


def _pool_id(client: Client) -> str:
    """The id of the one pool there is, made if there is none."""
    known = client.get(f"{LB}/pools").json()["pools"]
    return str((known[0] if known else a_pool(client))["id"])


def _balancer_id(client: Client) -> str:
    known = client.get(f"{LB}/loadbalancers").json()["loadbalancers"]
    return str((known[0] if known else a_balancer(client))["id"])


def _next(client: Client, path: str, many: str) -> int:
    return len(client.get(path).json()[many])


NOUNS = (
    Noun(
        "loadbalancer",
        "loadbalancers",
        lambda _: f"{LB}/loadbalancers",
        lambda _: {"vip_address": "127.0.0.1"},
        {"description": "changed"},
    ),
    Noun(
        "listener",
        "listeners",
        lambda _: f"{LB}/listeners",
        lambda client: {
            "loadbalancer_id": _balancer_id(client),
            "protocol": "HTTP",
            "protocol_port": 8000 + _next(client, f"{LB}/listeners", "listeners"),
        },
        {"timeout_client_data": 1000},
    ),
    Noun(
        "pool",
        "pools",
        lambda _: f"{LB}/pools",
        lambda client: {"loadbalancer_id": _balancer_id(client), "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"},
        {"lb_algorithm": "LEAST_CONNECTIONS"},
    ),
    Noun(
        "member",
        "members",
        lambda client: f"{LB}/pools/{_pool_id(client)}/members",
        lambda client: {
            "address": "192.0.2.1",
            "protocol_port": 1 + _next(client, f"{LB}/pools/{_pool_id(client)}/members", "members"),
        },
        {"weight": 7},
    ),
    Noun(
        "healthmonitor",
        "healthmonitors",
        lambda _: f"{LB}/healthmonitors",
        lambda client: {"pool_id": a_pool(client)["id"], "type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2},
        {"url_path": "/ready"},
    ),
)
