"""How soon changes are in force: measured gateway by gateway, whatever is published meanwhile and whoever is away."""

from datetime import UTC, datetime, timedelta

import pytest

from ostiary.envoy.resources import LISTENER, ROUTE, Key
from ostiary.model.authority import Authority, Certificate
from ostiary.model.revocation import Revoke
from ostiary.ops import effects_kept, revocation
from ostiary.ops.effects import Effects
from ostiary.ops.system import System
from support.made import a_balancer, a_certificate, an_authority
from support.systems import ADMIN, FakeClock

DOOR: Key = (LISTENER, "listener/a")
TABLE: Key = (ROUTE, "route/a")
AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


class Time:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds

    def clock(self) -> datetime:
        return AT + timedelta(seconds=self.seconds)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def effects(time: Time) -> Effects:
    return Effects(time.clock, time)


def reached(effects: Effects) -> list[tuple[str, int, float]]:
    """Which status sequence each gateway reached, and when."""
    found = [(one.gateway_id, one.holds.status, one.moment) for one in effects.applied()]
    effects.written(len(found))
    return found


def caught_up(effects: Effects, *gateway_ids: str) -> None:
    effects.published(1, 1, {DOOR: "1", TABLE: "1"})
    for gateway_id in gateway_ids:
        effects.connected(gateway_id)
        effects.accepted(gateway_id, {DOOR: "1", TABLE: "1"})
    effects.written(len(effects.applied()))


def test_it_is_in_force_when_the_last_changed_resource_is_acknowledged(effects: Effects, time: Time) -> None:
    caught_up(effects, "g1")
    effects.published(1, 2, {DOOR: "2", TABLE: "2"})
    effects.accepted("g1", {DOOR: "2", TABLE: "1"})
    assert reached(effects) == []
    time.seconds += 1
    effects.accepted("g1", {DOOR: "2", TABLE: "2"})
    assert reached(effects) == [("g1", 2, 101.0)]


def test_each_gateway_has_a_time_of_its_own_and_one_that_refuses_has_none(effects: Effects, time: Time) -> None:
    caught_up(effects, "g1", "g2", "g3")
    effects.published(1, 2, {DOOR: "1", TABLE: "2"})
    for gateway_id in ("g1", "g2"):
        effects.accepted(gateway_id, {DOOR: "1", TABLE: "2"})
        time.seconds += 1
    effects.accepted("g3", {DOOR: "1", TABLE: "1"})  # It refused the new one.
    assert reached(effects) == [("g1", 2, 100.0), ("g2", 2, 101.0)]
    effects.accepted("g3", {DOOR: "1", TABLE: "2"})
    assert reached(effects) == [("g3", 2, 102.0)]


def test_what_a_later_publication_overtook_is_in_force_with_the_later_one(effects: Effects) -> None:
    caught_up(effects, "g1")
    effects.published(1, 2, {DOOR: "1", TABLE: "2"})
    effects.published(1, 3, {DOOR: "1", TABLE: "3"})
    effects.accepted("g1", {DOOR: "1", TABLE: "3"})
    assert [status for _, status, _ in reached(effects)] == [3]


def test_an_earlier_publication_is_in_force_before_a_later_one_is(effects: Effects) -> None:
    caught_up(effects, "g1")
    effects.published(1, 2, {DOOR: "1", TABLE: "2"})
    effects.published(1, 3, {DOOR: "3", TABLE: "2"})
    effects.accepted("g1", {DOOR: "1", TABLE: "2"})
    effects.accepted("g1", {DOOR: "3", TABLE: "2"})
    assert [status for _, status, _ in reached(effects)] == [2, 3]


def test_what_changes_no_resource_is_in_force_at_once(effects: Effects) -> None:
    caught_up(effects, "g1")
    effects.published(1, 2, {DOOR: "1", TABLE: "1"})
    assert reached(effects) == [("g1", 2, 100.0)]


def test_a_resource_that_is_gone_has_to_be_let_go(effects: Effects) -> None:
    caught_up(effects, "g1")
    effects.published(1, 2, {TABLE: "1"})
    assert reached(effects) == []
    effects.accepted("g1", {TABLE: "1"})
    assert [status for _, status, _ in reached(effects)] == [2]


def test_what_comes_back_to_what_it_was_needs_no_answer(effects: Effects) -> None:
    caught_up(effects, "g1")
    effects.published(1, 2, {DOOR: "1", TABLE: "2"})
    effects.published(1, 3, {DOOR: "1", TABLE: "1"})
    assert [status for _, status, _ in reached(effects)] == [3]


def test_who_was_away_is_measured_when_it_has_caught_up(effects: Effects, time: Time) -> None:
    caught_up(effects, "g1")
    effects.gone("g1")
    effects.published(1, 2, {DOOR: "1", TABLE: "2"})
    time.seconds += 60
    effects.connected("g1")
    effects.accepted("g1", {DOOR: "1", TABLE: "1"})
    assert reached(effects) == []
    effects.accepted("g1", {DOOR: "1", TABLE: "2"})
    assert reached(effects) == [("g1", 2, 160.0)]


@pytest.fixture
def authority(system: System) -> Authority:
    return an_authority(system)


def revoked(system: System, certificate: Certificate) -> Certificate:
    return revocation.revoke(system, ADMIN, certificate.id, Revoke(reason="keyCompromise"))


def published(system: System, version: str = "1") -> dict[Key, str]:
    """What was committed, as the publisher hands it out."""
    with system.store.read() as reader:
        now = reader.revision(), reader.status_sequence()
    system.effects.published(*now, {TABLE: version})
    return {TABLE: version}


def measured(system: System, certificate: Certificate) -> list[str]:
    effects_kept.write(system)
    return [one.gateway_id for one in effects_kept.of_certificate(system, ADMIN, certificate)]


def test_each_of_several_revocations_in_one_publication_has_its_number(system: System, authority: Authority) -> None:
    for gateway_id in ("g1", "g2"):
        system.effects.connected(gateway_id)
    made = [a_certificate(system, authority, name) for name in ("alice", "bob", "carol")]
    wanted = published(system)
    for gateway_id in ("g1", "g2"):
        system.effects.accepted(gateway_id, wanted)
    effects_kept.write(system)
    gone = made[:2]
    for certificate in gone:
        revoked(system, certificate)
    wanted = published(system, "2")
    assert [measured(system, one) for one in made] == [[], [], []]
    system.effects.accepted("g1", wanted)
    assert [measured(system, one) for one in made] == [["g1"], ["g1"], []]
    system.effects.accepted("g2", wanted)
    assert [measured(system, one) for one in made] == [["g1", "g2"], ["g1", "g2"], []]
    (first, _) = effects_kept.of_certificate(system, ADMIN, gone[0])
    assert 0 <= first.milliseconds < 60_000


def test_what_was_committed_while_a_gateway_and_its_control_plane_were_away_is_measured_by_the_clock(
    system: System, authority: Authority
) -> None:
    system.effects.connected("g1")
    system.effects.accepted("g1", published(system))
    effects_kept.write(system)
    alice = revoked(system, a_certificate(system, authority, "alice"))
    later = System(system.store, system.sealer, system.clock, effects=Effects(lambda: system.clock() + timedelta(seconds=60)))
    later.effects.connected("g1")
    later.effects.accepted("g1", published(later, "2"))
    assert measured(later, alice) == ["g1"]
    (effect,) = effects_kept.of_certificate(later, ADMIN, alice)
    assert effect.milliseconds >= 60_000


def test_a_gateway_that_never_was_there_is_not_measured_by_what_was_before_it(system: System, authority: Authority) -> None:
    alice = revoked(system, a_certificate(system, authority, "alice"))
    system.effects.connected("new")
    system.effects.accepted("new", published(system))
    assert measured(system, alice) == []


def test_a_revision_has_its_number_too(system: System) -> None:
    system.effects.connected("g1")
    system.effects.accepted("g1", published(system))
    effects_kept.write(system)
    revision = a_balancer(system).revision
    system.effects.accepted("g1", published(system, "2"))
    effects_kept.write(system)
    (effect,) = effects_kept.of_revision(system, ADMIN, revision)
    assert (effect.gateway_id, effect.number) == ("g1", revision)


def test_more_than_fits_into_one_transaction_is_written_all_the_same(
    system: System, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects_kept, "_AT_ONCE", 2)
    system.effects.connected("g1")
    system.effects.accepted("g1", published(system))
    effects_kept.write(system)
    made = [revoked(system, a_certificate(system, authority, f"c{number}")) for number in range(5)]
    system.effects.accepted("g1", published(system, "2"))
    assert effects_kept.write(system) >= 5
    assert [measured(system, one) for one in made] == [["g1"]] * 5


def test_what_cannot_be_written_is_written_later(effects: Effects) -> None:
    caught_up(effects, "g1")
    effects.published(1, 2, {DOOR: "1", TABLE: "1"})
    assert effects.applied() == effects.applied()
    effects.written(1)
    assert effects.applied() == []


def test_numbers_are_kept_for_longer_than_a_year_and_then_forgotten(
    system: System, clock: FakeClock, authority: Authority
) -> None:
    system.effects.connected("g1")
    system.effects.accepted("g1", published(system))
    effects_kept.write(system)
    alice = revoked(system, a_certificate(system, authority, "alice"))
    system.effects.accepted("g1", published(system, "2"))
    assert measured(system, alice) == ["g1"]
    clock.advance(days=366)
    assert effects_kept.forget_old(system) == 0
    clock.advance(days=40)
    assert effects_kept.forget_old(system) >= 1
    assert measured(system, alice) == []
