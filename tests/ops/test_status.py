"""Statuses are what gateways say, resource by resource, and nothing else."""

from typing import Any

import pytest

from ostiary.clock import now
from ostiary.envoy.resources import CLUSTER, LISTENER, Key
from ostiary.envoy.snapshot import snapshot
from ostiary.model.resource import Resource
from ostiary.ops import balancers, listeners, members, pools, status
from ostiary.ops.system import System
from ostiary.store.desired import desired
from support.made import a_balancer, a_listener, a_member, a_pool
from support.systems import ADMIN


def publish(system: System) -> dict[Key, str]:
    """Do as the publisher does; what a gateway that takes all of it has accepted."""
    with system.store.read() as reader:
        wanted = desired(reader, system.sealer, system.clock())
    made = snapshot(wanted)
    system.fleet.want(wanted, made)
    return {key: resource.version for key, resource in made.resources.items()}


def hear(system: System, accepted: dict[Key, str], gateway: str = "g", **more: Any) -> None:
    system.fleet.heard(gateway, now(), **{"connected": True, "accepted": accepted, "rejected": {}, **more})


def state(system: System, thing: Resource) -> str:
    return status.provisioning(system, thing).status


def test_nothing_is_in_force_while_no_gateway_says_so(system: System) -> None:
    balancer = a_balancer(system)
    assert state(system, balancer) == "PENDING_CREATE"
    publish(system)
    assert state(system, balancer) == "PENDING_CREATE"
    hear(system, {}, connected=False)
    assert state(system, balancer) == "PENDING_CREATE"
    hear(system, {})
    assert state(system, balancer) == "ACTIVE"


def test_a_listener_is_active_once_every_gateway_has_all_of_it(system: System) -> None:
    listener = a_listener(system, a_balancer(system))
    everything = publish(system)
    hear(system, everything)
    assert state(system, listener) == "ACTIVE"
    for key in everything:
        hear(system, {name: version for name, version in everything.items() if name != key}, "other")
        assert state(system, listener) == "PENDING_CREATE"
    hear(system, everything, "other")
    assert state(system, listener) == "ACTIVE"


def test_a_change_that_is_not_published_yet_is_pending_for_all_that_it_affects(system: System) -> None:
    balancer = a_balancer(system)
    pool = a_pool(system, balancer)
    listener = a_listener(system, balancer, default_pool_id=pool.id)
    bystander = a_balancer(system)
    hear(system, publish(system))
    member = a_member(system, pool)
    affected = (
        member,
        pools.get(system, ADMIN, pool.id),
        listeners.get(system, ADMIN, listener.id),
        balancers.get(system, ADMIN, balancer.id),
    )
    assert [state(system, thing).split("_")[0] for thing in affected] == ["PENDING"] * 4
    assert state(system, balancers.get(system, ADMIN, bystander.id)) == "ACTIVE"
    hear(system, publish(system))
    assert [state(system, thing) for thing in affected] == ["ACTIVE"] * 4


def test_a_refusal_is_an_error_in_the_engines_own_words_where_it_belongs(system: System) -> None:
    balancer = a_balancer(system)
    listener, other = a_listener(system, balancer), a_listener(system, balancer, protocol_port=8444)
    everything = publish(system)
    refused = next(key for key in everything if key[0] == LISTENER and listener.id in key[1])
    version = everything.pop(refused)
    hear(system, everything, rejected={refused: (version, "cannot bind: Address already in use")})
    found = status.provisioning(system, listener)
    assert (found.status, found.error) == ("ERROR", "cannot bind: Address already in use")
    assert status.operating(system, listener) == "ERROR"
    assert state(system, balancer) == "ERROR"
    assert state(system, other) == "ACTIVE"
    # What was refused before is no longer asked for, so it is no error.
    hear(system, everything, rejected={refused: ("an older version", "no")})
    assert state(system, listener) == "PENDING_CREATE"


@pytest.mark.parametrize("disabled", ["listener", "load balancer"])
def test_a_door_that_was_closed_is_active_only_when_it_is_shut(system: System, disabled: str) -> None:
    balancer = a_balancer(system)
    listener = a_listener(system, balancer)
    before = publish(system)
    hear(system, before)
    if disabled == "listener":
        listener = listeners.update(system, ADMIN, listener.id, {"admin_state_up": False})
    else:
        balancers.update(system, ADMIN, balancer.id, {"admin_state_up": False})
    publish(system)
    assert state(system, listeners.get(system, ADMIN, listener.id)).startswith("PENDING")
    assert state(system, balancers.get(system, ADMIN, balancer.id)) == "PENDING_UPDATE"
    hear(system, {key: version for key, version in before.items() if key[0] != LISTENER})
    assert state(system, listener) == "ACTIVE"
    assert status.operating(system, listeners.get(system, ADMIN, listener.id)) in {"OFFLINE", "ONLINE"}


def test_a_member_taken_out_of_service_is_out_when_its_pool_says_so(system: System) -> None:
    balancer = a_balancer(system)
    pool = a_pool(system, balancer)
    a_listener(system, balancer, default_pool_id=pool.id)
    member = a_member(system, pool)
    before = publish(system)
    hear(system, before)
    member = members.update(system, ADMIN, pool.id, member.id, {"admin_state_up": False})
    publish(system)
    assert state(system, member) == "PENDING_UPDATE"
    hear(system, publish(system))
    assert state(system, member) == "ACTIVE"
    assert status.operating(system, member) == "OFFLINE"
    assert any(key[0] == CLUSTER for key in before)


def test_a_load_balancer_is_as_its_listeners_are_now(system: System) -> None:
    """Looked at or not: what was derived before is not what is told after something changed."""
    balancer = a_balancer(system)
    listener = a_listener(system, balancer)
    everything = publish(system)
    hear(system, everything)
    assert status.operating(system, balancer) == "ONLINE"
    key = (LISTENER, f"listener/{listener.id}")
    hear(system, everything, rejected={key: (everything[key], "its port is taken")})
    assert status.operating(system, balancer) == "DEGRADED"
    listeners.delete(system, ADMIN, listener.id)
    assert status.operating(system, balancer) == "DEGRADED"
    publish(system)
    assert status.operating(system, balancer) == "ONLINE"
