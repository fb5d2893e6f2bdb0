"""What is kept from one round to the next only spares work: after any changes, in any order, the same comes out as without it."""

import contextlib
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary.envoy import snapshot as translation
from ostiary.envoy.resources import ENDPOINT, ROUTE, Key, Snapshot
from ostiary.envoy.resources import LISTENER as LISTENERS
from ostiary.errors import Invalid, Refusal
from ostiary.model.access import AccessException, AccessRule, Holders
from ostiary.model.desired import Desired
from ostiary.model.health import HealthMonitor
from ostiary.model.pool import Member, Pool
from ostiary.model.revocation import Revoke
from ostiary.ops import (
    access,
    balancers,
    exceptions,
    list_upkeep,
    listeners,
    members,
    monitors,
    pools,
    revisions,
    revocation,
    rotations,
)
from ostiary.ops.change import change
from ostiary.ops.concerned import concerned
from ostiary.ops.fleet import Fleet
from ostiary.ops.system import System
from ostiary.store import desired
from ostiary.store.kinds import (
    ACCESS_EXCEPTION,
    ACCESS_RULE,
    AUTHORITY,
    CERTIFICATE,
    HEALTH_MONITOR,
    LISTENER,
    LOAD_BALANCER,
    MEMBER,
    POOL,
    ROTATION,
    Kind,
)
from ostiary.store.roster import RosterBook
from ostiary.store.store import Transaction
from support.made import a_balancer, a_certificate, a_listener, an_authority
from support.systems import ADMIN, FakeClock, a_system, sqlite_url


class Town:
    """A system in which things happen by chance, and all that a publisher remembers of it."""

    def __init__(self, system: System, clock: FakeClock, chance: Any) -> None:
        self.system, self.clock, self.chance = system, clock, chance
        self.memory, self.translations, self.members = desired.Memory(), translation.Memory(), RosterBook()
        self.fleet, self.out = Fleet(), Snapshot()
        self.number = 0

    def name(self) -> str:
        self.number += 1
        return f"thing {self.number}"

    def one(self, kind: Kind[Any]) -> Any:
        """One of those that are there. Raises `Refusal` where none is."""
        with self.system.store.read() as reader:
            every = reader.all(kind)
        if not every:
            raise Invalid("chance", "there is none")
        return self.chance.choice(every)

    def publishes(self) -> None:
        """As a publisher does, and as one that knows nothing; the same comes out."""
        at = self.clock()
        with self.system.store.read() as reader:
            self.memory.lend(reader)
            roster = self.members.look(reader, at)
            wanted = desired.desired(reader, self.system.sealer, at, roster, memory=self.memory)
        with self.system.store.read() as reader:
            cold = desired.desired(reader, self.system.sealer, at, roster)
        assert wanted == cold
        made, anew = translation.snapshot(wanted, self.translations), translation.snapshot(cold)
        assert list(made.resources.items()) == list(anew.resources.items())
        assert made == anew
        self.tells_what_changed(wanted, made)

    def tells_what_changed(self, wanted: Desired, made: Snapshot) -> None:
        assert made.step is not None
        assert made.step.before is self.out.resources or not self.out.resources
        assert made.changed(self.out.resources) == Snapshot(resources=made.resources).changed(self.out.resources)
        self.fleet.want(wanted, made)
        fresh = Fleet()
        fresh.want(wanted, Snapshot(resources=made.resources))
        assert self.fleet.wanted is not None
        assert fresh.wanted is not None
        mine, its = ({owner: set(keys) for owner, keys in one.keys.items()} for one in (self.fleet.wanted, fresh.wanted))
        assert mine == its
        self.out = made


def a_door(town: Town) -> None:
    mode = town.chance.choice(("NONE", "OPTIONAL", "MANDATORY", "MANDATORY", "REHEARSAL"))
    fields: dict[str, Any] = {"client_authentication": mode} if mode != "NONE" else {}
    if mode != "NONE":
        fields["client_ca_tls_container_ref"] = f"/v1/authorities/{town.one(AUTHORITY).id}"
    town.number += 1
    a_listener(town.system, town.one(LOAD_BALANCER), protocol_port=1000 + town.number, **fields)


def a_switch(town: Town) -> None:
    mode = town.chance.choice(("NONE", "OPTIONAL", "MANDATORY", "REHEARSAL"))
    trusted = f"/v1/authorities/{town.one(AUTHORITY).id}"
    news = {"client_authentication": mode, "client_ca_tls_container_ref": trusted}
    listeners.update(town.system, ADMIN, town.one(LISTENER).id, news)


def another_pool(town: Town) -> None:
    door = town.one(LISTENER)
    behind = [pool for pool in _all(town, POOL) if pool.loadbalancer_id == door.loadbalancer_id]
    chosen = town.chance.choice([None, *behind])
    patience = town.chance.choice((1000, 5000, 9000))
    news = {"default_pool_id": chosen.id if chosen else None, "timeout_member_connect": patience}
    listeners.update(town.system, ADMIN, door.id, news)


def a_pool(town: Town) -> None:
    protocol = town.chance.choice(("HTTP", "HTTPS"))
    pool = Pool(name=town.name(), protocol="HTTP", lb_algorithm="ROUND_ROBIN", loadbalancer_id=town.one(LOAD_BALANCER).id)
    pools.create(town.system, ADMIN, pool.model_copy(update={"tls_enabled": protocol == "HTTPS"}))


def a_pool_changes(town: Town) -> None:
    balanced = town.chance.choice(("ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP"))
    pools.update(town.system, ADMIN, town.one(POOL).id, {"lb_algorithm": balanced, "admin_state_up": town.chance.random() < 0.8})


def a_member(town: Town) -> None:
    member = Member(address="127.0.0.1", protocol_port=town.chance.randrange(1, 60_000))
    members.create(town.system, ADMIN, town.one(POOL).id, member)


def a_member_goes(town: Town) -> None:
    member = town.one(MEMBER)
    members.delete(town.system, ADMIN, member.pool_id, member.id)


def a_monitor(town: Town) -> None:
    wanted = {"pool_id": town.one(POOL).id, "type": "TCP", "delay": 5, "timeout": 3, "max_retries": 3}
    monitors.create(town.system, ADMIN, HealthMonitor.model_validate(wanted))


def a_monitor_goes(town: Town) -> None:
    monitors.delete(town.system, ADMIN, town.one(HEALTH_MONITOR).id)


def a_rule(town: Town) -> None:
    asked = town.chance.choice(
        (Holders(), Holders(groups=("staff",)), Holders(authority_ids=(town.one(AUTHORITY).id,)), Holders(profiles=("client",)))
    )
    rule = AccessRule(name=town.name(), listener_id=town.one(LISTENER).id, hosts=(f"h{town.number}.test",), certificate=asked)
    access.create(town.system, ADMIN, rule)


def a_rule_goes(town: Town) -> None:
    access.delete(town.system, ADMIN, town.one(ACCESS_RULE).id)


def an_exception(town: Town) -> None:
    until = town.clock() + timedelta(minutes=town.chance.choice((5, 100, 3000)))
    exception = AccessException(
        name=town.name(), listener_id=town.one(LISTENER).id, kind="HEALTH_CHECK", owner="olga", not_after=until
    )
    exceptions.create(town.system, ADMIN, exception)


def an_exception_goes(town: Town) -> None:
    exceptions.delete(town.system, ADMIN, town.one(ACCESS_EXCEPTION).id)


def a_root(town: Town) -> None:
    an_authority(town.system, town.name())


def one_below(town: Town) -> None:
    an_authority(town.system, town.name(), kind="intermediate", parent_id=town.one(AUTHORITY).id)


def an_authority_is_revoked(town: Town) -> None:
    revocation.revoke_authority(town.system, ADMIN, town.one(AUTHORITY).id, Revoke(reason="superseded"))


def a_rotation(town: Town) -> None:
    rotations.start(town.system, ADMIN, town.one(AUTHORITY).id, town.one(AUTHORITY).id)


def a_rotation_ends(town: Town) -> None:
    rotations.finish(town.system, ADMIN, town.one(ROTATION).id, force=True)


def somebody(town: Town) -> None:
    a_certificate(town.system, town.one(AUTHORITY), name=town.name(), groups=town.chance.choice(((), ("staff",))))


def somebody_is_revoked(town: Town) -> None:
    reason = town.chance.choice(("keyCompromise", "certificateHold", "removeFromCRL"))
    revocation.revoke(town.system, ADMIN, town.one(CERTIFICATE).id, Revoke(reason=reason))


def lists(town: Town) -> None:
    list_upkeep.sign_due(town.system)


def time_passes(town: Town) -> None:
    town.clock.advance(minutes=town.chance.choice((1, 16, 200, 26 * 60)))


def a_balancer_rests(town: Town) -> None:
    balancers.update(town.system, ADMIN, town.one(LOAD_BALANCER).id, {"admin_state_up": town.chance.random() < 0.7})


def another_balancer(town: Town) -> None:
    a_balancer(town.system, vip_address=f"127.0.0.{town.chance.randrange(1, 250)}")


def a_door_goes(town: Town) -> None:
    listeners.delete(town.system, ADMIN, town.one(LISTENER).id)


def a_pool_goes(town: Town) -> None:
    pools.delete(town.system, ADMIN, town.one(POOL).id)


def as_it_was(town: Town) -> None:
    with town.system.store.read() as reader:
        now = reader.revision()
    revisions.revert(town.system, ADMIN, town.chance.randrange(max(1, now - 4), now + 1))


def undone(town: Town) -> None:
    """What was never committed has the revision that the next change will have."""
    door = town.one(LISTENER)
    with change(town.system, ADMIN, "listener:update") as transaction:
        transaction.replace(LISTENER, door, door.model_copy(update={"hsts_max_age": town.chance.randrange(1000)}))
        concerned(town.system, transaction)
        raise Invalid("nothing", "of it happens")


HAPPENINGS: tuple[Callable[[Town], None], ...] = (
    *(a_door, a_door, a_door, a_switch, a_switch, another_pool, another_pool, a_door_goes),
    *(a_pool, a_pool, a_pool_changes, a_pool_goes, a_member, a_member, a_member_goes, a_monitor, a_monitor_goes),
    *(a_rule, a_rule, a_rule_goes, an_exception, an_exception_goes),
    *(a_root, one_below, an_authority_is_revoked, a_rotation, a_rotation_ends),
    *(somebody, *[somebody_is_revoked] * 3, lists, lists, lists, time_passes, time_passes),
    *(another_balancer, a_balancer_rests, as_it_was, undone),
)


def _all(town: Town, kind: Kind[Any]) -> tuple[Any, ...]:
    with town.system.store.read() as reader:
        return reader.all(kind)


@settings(max_examples=5, deadline=None)
@given(chance=st.randoms(use_true_random=True))
def test_after_any_changes_the_same_comes_out_as_from_the_start(chance: Any) -> None:
    clock = FakeClock()
    with tempfile.TemporaryDirectory() as folder:
        town = Town(a_system(sqlite_url(Path(folder)), clock), clock, chance)
        for happens in (
            a_root,
            another_balancer,
            *[a_door] * 3,
            *[somebody] * 4,
            *[a_pool] * 2,
            *[another_pool] * 3,
            an_exception,
        ):
            happens(town)
        for _ in range(60):
            if chance.random() < 0.8:
                town.publishes()
            with contextlib.suppress(Refusal):  # chance asks for what cannot be, too
                chance.choice(HAPPENINGS)(town)
        town.publishes()
        town.system.store.close()


# What comes of these is the same for all who trust the same, and tried for one of them; or needs no trying.
OTHERS: frozenset[Callable[[Town], None]] = frozenset(
    {a_root, one_below, an_authority_is_revoked, a_rotation, a_rotation_ends, somebody, somebody_is_revoked, lists, time_passes}
)


@settings(max_examples=1, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chance=st.randoms(use_true_random=True))
def test_whatever_a_change_makes_of_a_listener_or_pool_was_tried_before(
    system: System, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, chance: Any
) -> None:
    tried: set[Key] = set()

    def noted(system: System, transaction: Transaction) -> Desired:
        found = concerned(system, transaction)
        tried.update(translation.snapshot(found).resources)
        return found

    monkeypatch.setattr("ostiary.ops.change.concerned", noted)
    town = Town(system, clock, chance)
    for happens in (a_root, another_balancer, another_balancer, *[a_door] * 5, *[a_pool] * 3, a_member, a_rule):
        happens(town)
    for _ in range(60):
        before = _versions(town)
        tried.clear()
        with contextlib.suppress(Refusal):
            chance.choice([one for one in HAPPENINGS if one not in OTHERS])(town)
        others = {key for key, version in _versions(town).items() if before.get(key) != version}
        assert others <= tried


def _versions(town: Town) -> dict[Key, str]:
    at = town.clock()
    with town.system.store.read() as reader:
        made = translation.snapshot(desired.desired(reader, town.system.sealer, at))
    return {key: one.version for key, one in made.resources.items() if key[0] in {LISTENERS, ROUTE, ENDPOINT}}


def test_a_fact_that_touches_the_configuration_is_refused(system: System) -> None:
    balancer = a_balancer(system)
    with pytest.raises(TypeError, match="loadbalancer"):
        system.store.record(lambda facts: facts.replace(LOAD_BALANCER, balancer, balancer.model_copy(update={"name": "x"})))
