"""Who is in which group: whatever is changed, in whatever order, what was read so far is what a reading of all would find."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary.access import members
from ostiary.model.access import AccessRule, Holders
from ostiary.model.authority import Authority, Certificate
from ostiary.model.listener import Listener
from ostiary.model.query import Query
from ostiary.model.roster import Roster
from ostiary.ops import access, certificates
from ostiary.ops.system import System
from ostiary.store.kinds import CERTIFICATE
from ostiary.store.roster import RosterBook
from support.made import a_balancer, a_certificate, a_listener, an_authority
from support.systems import ADMIN, FakeClock, a_system

SECOND = timedelta(seconds=1)
NOBODY = members.entry((), "")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def system(url: str, clock: FakeClock) -> Iterator[System]:
    made = a_system(url, clock)
    yield made
    made.store.close()


@pytest.fixture
def authority(system: System) -> Authority:
    return an_authority(system)


@pytest.fixture
def door(system: System) -> Listener:
    return a_listener(system, a_balancer(system))


def look(system: System, book: RosterBook) -> Roster:
    with system.store.read() as reader:
        return book.look(reader, system.clock())


def found(roster: Roster) -> dict[str, str]:
    """What a gateway finds of each certificate; who is in no group is left out."""
    settled = roster.settled.entries if roster.settled is not None else {}
    return {one: entry for one, entry in {**settled, **roster.recent}.items() if entry != NOBODY}


def truth(system: System, *, profiles: bool = False) -> dict[str, str]:
    with system.store.read() as reader:
        every = [one for one in reader.all(CERTIFICATE) if one.not_after > system.clock()]
    entries = {one.fingerprint_sha256: members.entry(one.groups, one.profile if profiles else "") for one in every}
    return {one: entry for one, entry in entries.items() if entry != NOBODY}


def a_rule(system: System, door: Listener, **holders: Any) -> AccessRule:
    wanted = AccessRule(name=str(holders), listener_id=door.id, certificate=Holders(**holders))
    return access.create(system, ADMIN, wanted)


def joins(system: System, certificate: Certificate, *groups: str) -> None:
    certificates.update(system, ADMIN, certificate.id, {"groups": groups})


def test_nothing_is_read_while_no_rule_asks(system: System, authority: Authority, door: Listener) -> None:
    book = RosterBook()
    one = a_certificate(system, authority, groups=("a",))
    first = look(system, book)
    assert (first.settled, dict(first.recent)) == (None, {})
    assert look(system, book) is first
    a_rule(system, door, groups=("a",))
    assert found(look(system, book)) == {one.fingerprint_sha256: members.entry(("a",), "")}
    for rule in access.find(system, ADMIN, Query()).items:
        access.delete(system, ADMIN, rule.id)
    assert found(look(system, book)) == {}


def test_what_did_not_change_is_the_same_object(system: System, authority: Authority, door: Listener) -> None:
    one = a_certificate(system, authority, groups=("a",))
    a_rule(system, door, groups=("a",))
    book = RosterBook()
    first = look(system, book)
    certificates.update(system, ADMIN, one.id, {"owner": "ann"})
    a_certificate(system, authority, "in no group")
    assert look(system, book) is first
    joins(system, one)
    after = look(system, book)
    assert after.settled is first.settled
    assert dict(after.recent) == {one.fingerprint_sha256: NOBODY}


def test_profiles_are_read_when_a_rule_asks_for_them(system: System, authority: Authority, door: Listener) -> None:
    a_certificate(system, authority, groups=("a",))
    a_certificate(system, authority, "bob")
    a_rule(system, door, groups=("a",))
    book = RosterBook()
    assert found(look(system, book)) == truth(system)
    a_rule(system, door, profiles=("client",))
    assert found(look(system, book)) == truth(system, profiles=True)
    assert len(truth(system, profiles=True)) == 2


def test_many_changes_are_settled_but_not_too_often(
    system: System, authority: Authority, door: Listener, clock: FakeClock
) -> None:
    made = [a_certificate(system, authority, f"c{number}", groups=("a",)) for number in range(6)]
    a_rule(system, door, groups=("a",))
    book = RosterBook(most=3, rest=10 * SECOND)
    first = look(system, book)
    for one in made[:5]:
        joins(system, one, "a", "b")
    busy = look(system, book)
    assert (busy.settled, len(busy.recent)) == (first.settled, 5)
    clock.advance(seconds=11)
    calm = look(system, book)
    assert calm.settled is not first.settled
    assert (dict(calm.recent), found(calm)) == ({}, truth(system))
    joins(system, made[5])
    assert dict(look(system, book).recent) == {made[5].fingerprint_sha256: NOBODY}


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["join", "issue", "look", "wait", "rule"]),
        st.integers(0, 20),
        st.lists(st.sampled_from(["a", "b", "c"]), max_size=3, unique=True),
    ),
    max_size=25,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, most=st.integers(0, 4), rest=st.sampled_from([0, 5]))
def test_what_was_read_so_far_is_the_truth(
    system: System, authority: Authority, door: Listener, clock: FakeClock, changes: Any, most: int, rest: int
) -> None:
    for rule in access.find(system, ADMIN, Query()).items:
        access.delete(system, ADMIN, rule.id)
    made = [a_certificate(system, authority, groups=("a",)), a_certificate(system, authority, groups=("b", "c"))]
    a_rule(system, door, groups=("a",))
    book, profiles = RosterBook(most=most, rest=rest * SECOND), False
    for what, which, groups in changes:
        if what == "join":
            joins(system, made[which % len(made)], *groups)
        elif what == "issue":
            made.append(a_certificate(system, authority, groups=tuple(groups)))
        elif what == "wait":
            clock.advance(seconds=which)
        elif what == "rule" and not profiles:
            a_rule(system, door, profiles=("client",))
            profiles = True
        elif what == "look":
            assert found(look(system, book)) == truth(system, profiles=profiles)
    assert found(look(system, book)) == truth(system, profiles=profiles)
    clock.advance(seconds=rest + 1)
    assert found(look(system, book)) == truth(system, profiles=profiles)
