"""What is asked before a listener is made or taken away: which port is free, who came, what was changed last."""

from datetime import timedelta

from ostiary.model.balancer import LoadBalancer
from ostiary.model.house_door import HouseDoor
from ostiary.model.listener import Listener
from ostiary.model.pool import Member, Pool
from ostiary.ops import balancers, denials, effects_kept, lately, listeners, pools, related, sightings
from ostiary.ops.system import System
from support.systems import ADMIN, FakeClock


def a_balancer(system: System, address: str) -> LoadBalancer:
    return balancers.create(system, ADMIN, LoadBalancer(name=address, vip_address=address))


def a_listener(system: System, balancer: LoadBalancer, port: int) -> Listener:
    wanted = Listener(name=f"at {port}", loadbalancer_id=balancer.id, protocol="HTTP", protocol_port=port)
    return listeners.create(system, ADMIN, wanted)


def test_a_port_is_free_where_nobody_has_it_at_that_address_or_at_all(system: System) -> None:
    one, other, every = (a_balancer(system, address) for address in ("127.0.0.1", "127.0.0.2", "0.0.0.0"))
    for balancer, port in ((one, 443), (one, 444), (other, 445), (every, 446)):
        a_listener(system, balancer, port)

    def free(balancer: LoadBalancer, first: int = 443) -> int:
        return listeners.free_port(system, ADMIN, balancer_id=balancer.id, first=first)

    assert free(one) == 445
    assert free(other) == 443
    assert free(other, 445) == 447
    assert free(every) == 447
    assert listeners.free_port(system, ADMIN, address="127.0.0.3", first=446) == 447


def test_a_door_of_our_own_has_its_port(system: System) -> None:
    door = HouseDoor(kind="console", address="0.0.0.0", port=443, names=("localhost",), socket="")
    with_door = System(store=system.store, sealer=system.sealer, clock=system.clock, doors=(door,))
    assert listeners.free_port(with_door, ADMIN, address="127.0.0.1") == 444


def test_clients_count_once_and_only_of_the_last_day(system: System, clock: FakeClock) -> None:
    balancer = a_balancer(system, "127.0.0.1")
    one, other = a_listener(system, balancer, 81), a_listener(system, balancer, 82)

    def came(who: str, where: Listener, hours_ago: float, sequence: int) -> None:
        at = clock() - timedelta(hours=hours_ago)
        seen = {"fingerprint_sha256": who * 64, "listener_id": where.id, "first_seen": at, "last_seen": at, "requests": 1}
        sightings.seen(system, "gw", {"sequence": sequence, "sightings": [seen], "certificates": {}})

    for sequence, (who, where, hours_ago) in enumerate(
        (("a", one, 1.0), ("a", other, 2.0), ("b", other, 23.0), ("c", one, 25.0)), start=1
    ):
        came(who, where, hours_ago, sequence)
    refusal = {"listener_id": one.id, "stage": "handshake", "code": "no_certificate", "who": "x", "count": 4}
    told = [{**refusal, "first": clock(), "last": clock()}, {**refusal, "code": "tls_failed", "first": clock(), "last": clock()}]
    denials.denied(system, "gw", {"sequence": 1, "denials": told})
    assert lately.at_listeners(system, ADMIN, [one.id, other.id]) == lately.Lately(clients=2, refused=4)
    assert lately.at_listeners(system, ADMIN, [other.id]) == lately.Lately(clients=2, refused=0)
    assert lately.at_listeners(system, ADMIN, []) == lately.Lately(clients=0, refused=0)


def test_the_last_changes_of_a_thing_and_of_no_other(system: System) -> None:
    balancer = a_balancer(system, "127.0.0.1")
    listener, other = a_listener(system, balancer, 81), a_listener(system, balancer, 82)
    for number in range(7):
        listeners.update(system, ADMIN, listener.id, {"description": str(number)})
        listeners.update(system, ADMIN, other.id, {"description": str(number)})
    found = effects_kept.of_thing(system, ADMIN, listener.id, limit=3)
    last = listeners.get(system, ADMIN, listener.id).revision
    assert [revision.number for revision, _effects in found] == [last, last - 2, last - 4]
    assert [effects for _revision, effects in found] == [(), (), ()]


def test_members_are_counted_for_many_pools_at_once(system: System) -> None:
    balancer = a_balancer(system, "127.0.0.1")
    wanted = Pool(loadbalancer_id=balancer.id, protocol="HTTP", lb_algorithm="ROUND_ROBIN")
    two = [Member(address=f"10.0.0.{number}", protocol_port=80) for number in (1, 2)]
    full, empty = pools.create(system, ADMIN, wanted, with_members=two), pools.create(system, ADMIN, wanted)
    assert related.member_counts(system, [full.id, empty.id]) == {full.id: 2}
