"""One call that creates a load balancer with all that hangs on it: one revision, the same rules, all or nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary.errors import Conflict, Denied, Invalid, Refusal
from ostiary.model.balancer import LoadBalancer
from ostiary.model.health import HealthMonitor
from ostiary.model.listener import Listener
from ostiary.model.pool import Member, Pool
from ostiary.model.query import Query
from ostiary.model.whole import LISTENERS_MAX, MEMBERS_MAX, POOLS_MAX, WholeListener, WholePool
from ostiary.ops import audit, balancers, caller, listeners, members, monitors, pools, revisions
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.store.kinds import KINDS
from support.made import a_balancer, a_listener, a_pool
from support.systems import ADMIN

BALANCER = LoadBalancer(vip_address="127.0.0.1", project_id="blue")
NO_SECRET = "/v1/secrets/00000000-0000-0000-0000-000000000000"
MONITOR = HealthMonitor(type="HTTP", delay=5, timeout=3, max_retries=2)


def a_whole_pool(name: str = "", ports: tuple[int, ...] = (), monitor: HealthMonitor | None = None, **fields: Any) -> WholePool:
    values = {"name": name, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", **fields}
    return WholePool(
        pool=Pool(**values),
        members=tuple(Member(address="127.0.0.1", protocol_port=port) for port in ports),
        healthmonitor=monitor,
    )


def a_whole_listener(port: int, default_pool: WholePool | str | None = None, **fields: Any) -> WholeListener:
    values = {"protocol": "HTTP", "protocol_port": port, **fields}
    return WholeListener(listener=Listener(**values), default_pool=default_pool)


def state(system: System) -> tuple[int, list[int], int]:
    """The revision, how many rows there are of each kind, and how long the record is."""
    with system.store.read() as reader:
        return reader.revision(), [reader.count(kind) for kind in KINDS], reader.audit_head()[0]


def test_it_is_all_there_after_one_revision(system: System) -> None:
    balancer = balancers.create(
        system,
        ADMIN,
        BALANCER,
        with_listeners=[
            a_whole_listener(8080, "late"),
            a_whole_listener(8081, "apart"),
            a_whole_listener(8082, a_whole_pool("late", (3, 4))),
            a_whole_listener(8443, protocol="TERMINATED_HTTPS"),
        ],
        with_pools=[a_whole_pool("apart", (1, 2), MONITOR), a_whole_pool("unused"), a_whole_pool(), a_whole_pool()],
    )
    by_port = {listener.protocol_port: listener for listener in listeners.find(system, ADMIN, Query()).items}
    by_name = {pool.name: pool for pool in pools.find(system, ADMIN, Query()).items}
    assert [by_port[port].default_pool_id for port in (8080, 8081, 8082, 8443)] == [
        by_name["late"].id, by_name["apart"].id, by_name["late"].id, None,
    ]  # fmt: skip
    assert by_port[8443].default_tls_container_ref is not None
    assert len(pools.find(system, ADMIN, Query()).items) == 5
    in_apart = members.find(system, ADMIN, by_name["apart"].id, Query()).items
    assert [member.protocol_port for member in in_apart] == [1, 2]
    (monitor,) = monitors.find(system, ADMIN, Query()).items
    assert monitor.pool_id == by_name["apart"].id
    everything = [balancer, *by_port.values(), *by_name.values(), *in_apart, monitor]
    assert {thing.revision for thing in everything} == {1}
    assert {thing.project_id for thing in everything} == {"blue"}
    assert state(system)[0] == 1


def test_each_resource_is_on_record_under_the_same_revision(system: System) -> None:
    balancers.create(
        system, ADMIN, BALANCER, with_listeners=[a_whole_listener(8080, a_whole_pool("p", (1, 2), MONITOR))], with_pools=[]
    )
    entries = audit.find(system, ADMIN)
    assert [entry["kind"] for entry in entries] == ["loadbalancer", "pool", "member", "member", "healthmonitor", "listener"]
    assert {(entry["revision"], entry["action"], entry["before"]) for entry in entries} == {(1, "loadbalancer:create", None)}
    assert len({entry["resource_id"] for entry in entries}) == 6
    assert audit.verify(system, ADMIN).problem is None


def test_going_back_takes_all_of_it_away_and_forward_again(system: System) -> None:
    balancers.create(system, ADMIN, LoadBalancer(vip_address="127.0.0.1"))
    balancers.create(system, ADMIN, BALANCER, with_listeners=[a_whole_listener(8080, a_whole_pool("p", (1,), MONITOR))])
    rows = state(system)[1]
    revisions.revert(system, ADMIN, 1)
    assert sum(state(system)[1]) == 1
    revisions.revert(system, ADMIN, 2)
    assert state(system)[1] == rows


def test_a_listener_comes_with_its_pool(system: System) -> None:
    balancer = a_balancer(system, project_id="blue")
    before = state(system)[0]
    wanted = Listener(protocol="HTTP", protocol_port=8080, loadbalancer_id=balancer.id)
    made = listeners.create(system, ADMIN, wanted, with_pool=a_whole_pool("p", (1, 2), MONITOR))
    assert made.default_pool_id is not None
    pool = pools.get(system, ADMIN, made.default_pool_id)
    assert (pool.loadbalancer_id, pool.project_id) == (balancer.id, "blue")
    assert len(members.find(system, ADMIN, pool.id, Query()).items) == 2
    assert state(system)[0] == before + 1 == balancers.get(system, ADMIN, balancer.id).revision


def test_a_pool_comes_with_its_members_and_monitor(system: System) -> None:
    listener = a_listener(system, a_balancer(system))
    before = state(system)[0]
    whole = a_whole_pool("p", (1, 2), MONITOR)
    made = pools.create(system, ADMIN, whole.pool, listener.id, with_members=whole.members, with_monitor=MONITOR)
    assert listeners.get(system, ADMIN, listener.id).default_pool_id == made.id
    assert len(members.find(system, ADMIN, made.id, Query()).items) == 2
    assert monitors.find(system, ADMIN, Query()).items[0].pool_id == made.id
    assert state(system)[0] == before + 1


BAD_MONITOR = HealthMonitor(type="HTTP", delay=1, timeout=3, max_retries=2)


@pytest.mark.parametrize(
    ("its_listeners", "its_pools", "words"),
    [
        ([a_whole_listener(1, a_whole_pool("p", (5, 6, 5)))], [], r"^listeners\.0\.default_pool\.members\.2: .* given twice"),
        ([a_whole_listener(1, a_whole_pool("p", (), BAD_MONITOR))], [], r"^listeners\.0\.default_pool\.healthmonitor\.timeout: "),
        ([], [a_whole_pool(), a_whole_pool("", (1,), BAD_MONITOR)], r"^pools\.1\.healthmonitor\.timeout: "),
        ([], [a_whole_pool(ca_tls_container_ref=NO_SECRET)], r"^pools\.0\.ca_tls_container_ref: needs tls_enabled"),
        ([a_whole_listener(1, client_authentication="OPTIONAL")], [], r"^listeners\.0\.client_authentication: "),
        (
            [a_whole_listener(1), a_whole_listener(2, default_pool_id="x")],
            [],
            r"^listeners\.1\.default_pool_id: there is no pool x",
        ),
        (
            [
                a_whole_listener(1),
                a_whole_listener(2, default_tls_container_ref=NO_SECRET, protocol="TERMINATED_HTTPS"),
            ],
            [a_whole_pool("", (1, 2))],
            r"^listeners\.1\.default_tls_container_ref: there is no secret 0",
        ),
        ([a_whole_listener(1, a_whole_pool(protocol="TCP"))], [], r"^listeners\.0\.default_pool\.protocol: .* speaks TCP"),
        ([a_whole_listener(1, "p")], [a_whole_pool("p", protocol="TCP")], r"^listeners\.0\.default_pool\.name: .* speaks TCP"),
        ([a_whole_listener(1, a_whole_pool(), default_pool_id="x")], [], r"^listeners\.0\.default_pool_id: .* give one of them"),
        (
            [a_whole_listener(1, "q")],
            [a_whole_pool("p")],
            r"^listeners\.0\.default_pool\.name: no pool of this call is called 'q'",
        ),
        ([a_whole_listener(1, "")], [a_whole_pool("")], r"^listeners\.0\.default_pool\.name: no pool of this call"),
        ([], [a_whole_pool("p"), a_whole_pool("q"), a_whole_pool("p")], r"^pools\.2\.name: another pool .* 'p' too"),
        ([a_whole_listener(1, a_whole_pool("p"))], [a_whole_pool("p")], r"^listeners\.0\.default_pool\.name: another pool"),
        ([a_whole_listener(1)] * (LISTENERS_MAX + 1), [], r"^listeners\.100: at most 100 listeners"),
        ([], [a_whole_pool()] * (POOLS_MAX + 1), r"^pools\.100: at most 100 pools"),
        ([a_whole_listener(1, a_whole_pool())], [a_whole_pool()] * POOLS_MAX, r"^listeners\.0\.default_pool: at most 100 pools"),
        (
            [a_whole_listener(1, a_whole_pool("p", (1,)))],
            [a_whole_pool("", tuple(range(1, MEMBERS_MAX + 1)))],
            r"^listeners\.0\.default_pool\.members: at most 1000 members",
        ),
    ],
)
def test_what_is_refused_in_one_place_refuses_it_all(
    system: System, its_listeners: list[WholeListener], its_pools: list[WholePool], words: str
) -> None:
    before = state(system)
    with pytest.raises(Invalid, match=words):
        balancers.create(system, ADMIN, BALANCER, with_listeners=its_listeners, with_pools=its_pools)
    assert state(system) == before


def test_a_port_that_is_taken_is_named_by_its_place(system: System) -> None:
    a_listener(system, a_balancer(system), protocol_port=8443)
    before = state(system)
    for ports, place in (((8080, 8443), 1), ((8080, 8081, 8080), 2)):
        with pytest.raises(Conflict, match=rf"^listeners\.{place}\.protocol_port: port {ports[place]} .* is taken") as refused:
            balancers.create(system, ADMIN, BALANCER, with_listeners=[a_whole_listener(port) for port in ports])
        assert refused.value.field == f"listeners.{place}.protocol_port"
    assert state(system) == before


def test_a_listener_and_its_pool_are_refused_together(system: System) -> None:
    balancer = a_balancer(system)
    wanted = Listener(protocol="HTTP", protocol_port=8080, loadbalancer_id=balancer.id)
    before = state(system)
    for listener, pool, words in (
        (wanted, a_whole_pool("p", (1, 1)), r"^default_pool\.members\.1: "),
        (wanted, a_whole_pool(protocol="TCP"), r"^default_pool\.protocol: "),
        (wanted, a_whole_pool("p", tuple(range(1, MEMBERS_MAX + 2))), r"^default_pool\.members: at most 1000"),
        (wanted.model_copy(update={"loadbalancer_id": "x"}), a_whole_pool(), r"^loadbalancer_id: there is no load balancer x"),
        (wanted.model_copy(update={"hsts_max_age": 7}), a_whole_pool(), r"^hsts_max_age: "),
    ):
        with pytest.raises(Invalid, match=words):
            listeners.create(system, ADMIN, listener, with_pool=pool)
    assert state(system) == before


def test_a_pool_and_what_hangs_on_it_are_refused_together(system: System) -> None:
    listener = a_listener(system, a_balancer(system), protocol="TCP")
    http, tcp = (
        a_whole_pool("p", (1, 1)),
        Pool(protocol="TCP", lb_algorithm="ROUND_ROBIN", loadbalancer_id=listener.loadbalancer_id),
    )
    before = state(system)
    for refused, words in (
        (lambda: pools.create(system, ADMIN, tcp, with_members=http.members), r"^members\.1: "),
        (lambda: pools.create(system, ADMIN, tcp, with_monitor=BAD_MONITOR), r"^healthmonitor\.timeout: "),
        (lambda: pools.create(system, ADMIN, tcp, with_members=[*http.members] * MEMBERS_MAX), "^members: at most 1000"),
    ):
        _refused(refused, words)
    assert state(system) == before


def test_a_pool_that_does_not_fit_its_listener_says_which_field_does_not(system: System) -> None:
    balancer = a_balancer(system)
    listener = a_listener(system, balancer)
    with pytest.raises(Invalid) as refused:
        a_pool(system, balancer, listener.id, protocol="TCP")
    assert refused.value.field == "protocol"


def _refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        call()


@pytest.mark.parametrize("missing", ["listener:create", "pool:create", "member:create", "healthmonitor:create"])
def test_each_kind_needs_its_own_permission(system: System, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    needed = {f"{kind}:create" for kind in ("loadbalancer", "listener", "pool", "member", "healthmonitor")}
    monkeypatch.setitem(caller.ROLES, "builder", frozenset(needed - {missing}))
    with pytest.raises(Denied, match=f"may not {missing}"):
        balancers.create(
            system,
            Caller(name="bob", role="builder"),
            BALANCER,
            with_listeners=[a_whole_listener(8080, a_whole_pool("p", (1,), MONITOR))],
        )
    assert state(system)[0] == 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_asked_for_happens_whole_or_not_at_all(system: System, data: st.DataObject) -> None:
    names = st.sampled_from(["", "a", "b"])
    whole_pools = st.builds(
        a_whole_pool,
        names,
        st.lists(st.integers(1, 3), max_size=3).map(tuple),
        st.sampled_from([None, MONITOR, BAD_MONITOR]),
        protocol=st.sampled_from(["HTTP", "TCP"]),
    )
    whole_listeners = st.builds(a_whole_listener, st.integers(1024, 60_000), st.none() | names | whole_pools)
    its_pools = data.draw(st.lists(whole_pools, max_size=2))
    its_listeners = data.draw(st.lists(whole_listeners, max_size=2))
    before = state(system)
    try:
        balancers.create(system, ADMIN, BALANCER, with_listeners=its_listeners, with_pools=its_pools)
    except Refusal:
        assert state(system) == before
        return
    every_pool = [*its_pools, *(part.default_pool for part in its_listeners if isinstance(part.default_pool, WholePool))]
    parts = sum(1 + len(pool.members) + (pool.healthmonitor is not None) for pool in every_pool)
    after = state(system)
    assert after[0] == before[0] + 1
    assert sum(after[1]) - sum(before[1]) == after[2] - before[2] == 1 + len(its_listeners) + parts
