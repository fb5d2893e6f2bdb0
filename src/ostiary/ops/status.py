"""How things are: derived on every read from what each live gateway has accepted or refused, never stored."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from ostiary.envoy import names
from ostiary.envoy.resources import LISTENER as LISTENERS
from ostiary.model.balancer import LoadBalancer
from ostiary.model.desired import DesiredPool
from ostiary.model.health import HealthMonitor
from ostiary.model.listener import Listener
from ostiary.model.pool import Member, Pool
from ostiary.model.resource import Configured, Resource
from ostiary.ops.caller import Caller
from ostiary.ops.fleet import Fleet, Gateway, Wanted
from ostiary.ops.system import System
from ostiary.store.kinds import HEALTH_MONITOR, LISTENER, LOAD_BALANCER, MEMBER, POOL

COUNTERS = ("active_connections", "bytes_in", "bytes_out", "request_errors", "total_connections")


@dataclass(frozen=True)
class Provisioning:
    """Octavia's provisioning status; with ERROR, the engine's own words."""

    status: str
    error: str | None = None


def provisioning(system: System, thing: Resource) -> Provisioning:
    """Whether what is stored is in force.

    PENDING_CREATE or PENDING_UPDATE until every live gateway has accepted it, then ACTIVE; ERROR when one refused it.
    While no gateway is connected nothing is known to be in force, so it is PENDING.
    """
    pending = Provisioning("PENDING_CREATE" if thing.updated_at is None else "PENDING_UPDATE")
    wanted, live = system.fleet.wanted, system.fleet.live()
    if wanted is None or not live or wanted.snapshot.revision < thing.revision:
        return pending
    states = [_carried_out(gateway, wanted, thing) for gateway in live]
    errors = [error for error, _ in states if error]
    if errors:
        return Provisioning("ERROR", "; ".join(dict.fromkeys(errors)))
    return Provisioning("ACTIVE") if all(done for _, done in states) else pending


def _carried_out(gateway: Gateway, wanted: Wanted, thing: Resource) -> tuple[str, bool]:
    """What this gateway said against it, and whether it has accepted all of it, and let go of what is no longer wanted."""
    done = not _still_open(gateway, wanted, thing)
    # A member or monitor that was taken out of service owns nothing any more: it is out when its pool is carried out.
    owner = thing.pool_id if isinstance(thing, Member | HealthMonitor) else thing.id
    for resource in wanted.owned(owner):
        version, words = gateway.rejected.get(resource.key, ("", ""))
        if version == resource.version:
            return words, False
        done = done and gateway.accepted.get(resource.key) == resource.version
    return "", done


def _still_open(gateway: Gateway, wanted: Wanted, thing: Resource) -> bool:
    """Whether the gateway has a listener of it that it should not have: disabled or deleted, and its port not closed yet."""
    has, should_have = gateway.accepted, wanted.snapshot.resources
    if isinstance(thing, Listener):
        key = (LISTENERS, names.listener(thing.id))
        return key in has and key not in should_have
    # Of a listener that is gone we no longer know whose it was: each load balancer waits for it, which takes milliseconds.
    return isinstance(thing, LoadBalancer) and wanted.left_open(gateway)


def operating(system: System, thing: Configured) -> str:
    """Octavia's operating status: ONLINE, OFFLINE, DEGRADED, ERROR, DRAINING or NO_MONITOR."""
    wanted = system.fleet.wanted
    if not thing.admin_state_up or wanted is None:
        return "OFFLINE"
    if isinstance(thing, Member):
        pool = _wanted_pool(wanted, thing.pool_id)
        return "OFFLINE" if pool is None else _member(system.fleet, pool, thing)
    if isinstance(thing, Pool):
        pool = _wanted_pool(wanted, thing.id)
        return "OFFLINE" if pool is None else _pool(system.fleet, pool)
    if isinstance(thing, Listener):
        return _listener(system, wanted, thing)
    if isinstance(thing, LoadBalancer):
        return system.fleet.derived(("operating", thing.id), partial(_balancer, system, thing.id))
    return "ONLINE"


def _balancer(system: System, balancer_id: str) -> str:
    """Of all listeners of a load balancer: there may be hundreds, and a page shows many of these."""
    wanted = system.fleet.wanted or Wanted()
    return _worst({_listener(system, wanted, listener) for listener in wanted.listeners.get(balancer_id, ())})


def _wanted_pool(wanted: Wanted, pool_id: str | None) -> DesiredPool | None:
    return wanted.pools.get(pool_id) if pool_id is not None else None


def _listener(system: System, wanted: Wanted, listener: Listener) -> str:
    state = provisioning(system, listener)
    if state.status == "ERROR":
        return "ERROR"
    pool = _wanted_pool(wanted, listener.default_pool_id)
    below = _pool(system.fleet, pool) if pool is not None else "ONLINE"
    return {"ERROR": "DEGRADED", "DEGRADED": "DEGRADED"}.get(below, "ONLINE")


def _pool(fleet: Fleet, pool: DesiredPool) -> str:
    if pool.health_monitor is None:
        return "NO_MONITOR" if pool.members else "ONLINE"
    states = [_member(fleet, pool, member) for member in pool.members]
    if not states or all(state == "ONLINE" for state in states):
        return "ONLINE"
    return "ERROR" if all(state in {"ERROR", "OFFLINE"} for state in states) else "DEGRADED"


def _member(fleet: Fleet, pool: DesiredPool, member: Member) -> str:
    if member.weight == 0:
        return "DRAINING"
    if pool.health_monitor is None:
        return "NO_MONITOR"
    place = f"[{member.address}]:{member.protocol_port}" if ":" in member.address else f"{member.address}:{member.protocol_port}"
    told = [gateway.report.get("members", {}).get(f"pool/{pool.pool.id}", {}).get(place) for gateway in fleet.live()]
    if any(state == "unhealthy" for state in told):
        return "ERROR"
    return "ONLINE" if any(state == "healthy" for state in told) else "OFFLINE"


def _worst(states: set[str]) -> str:
    return "DEGRADED" if states & {"ERROR", "DEGRADED"} else "ONLINE"


def stats(system: System, listener_ids: tuple[str, ...]) -> dict[str, int]:
    """Counters of these listeners, summed over the live gateways since each started."""
    total = dict.fromkeys(COUNTERS, 0)
    for gateway in system.fleet.live():
        for listener_id in listener_ids:
            counted = gateway.report.get("listeners", {}).get(f"listener/{listener_id}", {})
            for name in COUNTERS:
                total[name] += int(counted.get(name, 0))
    return total


def tree(system: System, caller: Caller, balancer_id: str) -> dict[str, Any]:
    """A load balancer and all below it, with their statuses, as Octavia's status tree has them."""
    caller.must("loadbalancer:read")
    with system.store.read() as reader:
        balancer = reader.require(LOAD_BALANCER, balancer_id)
        listeners = reader.all(LISTENER, loadbalancer_id=balancer_id)
        pools = reader.all(POOL, loadbalancer_id=balancer_id)
        branches: dict[str, dict[str, Any]] = {}
        for pool in pools:
            monitors: tuple[HealthMonitor, ...] = reader.all(HEALTH_MONITOR, pool_id=pool.id)
            branches[pool.id] = {
                **_named(system, pool),
                "health_monitor": {**_named(system, monitors[0]), "type": monitors[0].type} if monitors else {},
                "members": [
                    {**_named(system, member), "address": member.address, "protocol_port": member.protocol_port}
                    for member in reader.all(MEMBER, pool_id=pool.id)
                ],
            }
    return {
        **_named(system, balancer),
        "listeners": [
            {
                **_named(system, listener),
                "pools": [branches[listener.default_pool_id]] if listener.default_pool_id in branches else [],
            }
            for listener in listeners
        ],
        "pools": list(branches.values()),
    }


def _named(system: System, thing: Configured) -> dict[str, Any]:
    return {
        "id": thing.id,
        "name": thing.name,
        "provisioning_status": provisioning(system, thing).status,
        "operating_status": operating(system, thing),
    }
