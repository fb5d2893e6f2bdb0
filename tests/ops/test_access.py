"""Access rules: their order, what is refused, what is warned of, and how they come back."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary.errors import Conflict, Denied, Invalid, NotFound, Overtaken
from ostiary.model.access import RULES_PER_LISTENER, AccessException, AccessRule, Holders
from ostiary.model.authority import RequestedNames
from ostiary.model.listener import Listener
from ostiary.model.query import Query
from ostiary.model.token import NewToken
from ostiary.ops import access, authorities, certificates, exceptions, listeners, revisions, tokens
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.store.desired import desired
from ostiary.store.kinds import ACCESS_RULE, LISTENER
from support.made import a_balancer, a_certificate, a_listener, an_authority
from support.systems import ADMIN, FakeClock

OPERATOR = Caller(name="olga", role="operator", source="192.0.2.9")
AUDITOR = Caller(name="ada", role="auditor", source="192.0.2.9")


@pytest.fixture
def door(system: System) -> Listener:
    return a_listener(system, a_balancer(system))


def a_rule(system: System, door: Listener, name: str = "rule", **fields: Any) -> AccessRule:
    wanted = {"name": name, "listener_id": door.id, "hosts": (f"{name.replace(' ', '-')}.test",), **fields}
    return access.create(system, ADMIN, AccessRule(**wanted))


def order(system: System, door: Listener) -> list[tuple[str, int | None]]:
    found = access.find(system, ADMIN, Query(filters=(("listener_id", door.id),))).items
    return [(rule.name, rule.position) for rule in found]


def revision(system: System) -> int:
    with system.store.read() as reader:
        return reader.revision()


def refused(system: System, door: Listener, field: str, words: str, **fields: Any) -> None:
    before = revision(system), order(system, door)
    with pytest.raises(Invalid, match=words) as refusal:
        a_rule(system, door, **fields)
    assert refusal.value.field == field
    assert (revision(system), order(system, door)) == before


def test_rules_are_numbered_in_the_order_they_are_tried(system: System, door: Listener) -> None:
    for name in ("a", "b", "c"):
        a_rule(system, door, name)
    assert order(system, door) == [("a", 1), ("b", 2), ("c", 3)]
    a_rule(system, door, "between", position=2)
    a_rule(system, door, "far behind", position=400)
    assert order(system, door) == [("a", 1), ("between", 2), ("b", 3), ("c", 4), ("far behind", 5)]


def test_another_listener_has_numbers_of_its_own(system: System, door: Listener) -> None:
    other = a_listener(system, a_balancer(system, vip_address="127.0.0.2"))
    a_rule(system, door, "a")
    a_rule(system, other, "a", position=1)
    assert (order(system, door), order(system, other)) == ([("a", 1)], [("a", 1)])


def test_a_rule_is_moved_and_the_others_make_room(system: System, door: Listener) -> None:
    made = {name: a_rule(system, door, name) for name in "abcd"}
    access.update(system, ADMIN, made["d"].id, {"position": 1})
    assert order(system, door) == [("d", 1), ("a", 2), ("b", 3), ("c", 4)]
    access.update(system, ADMIN, made["d"].id, {"position": None})
    assert order(system, door) == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]
    access.update(system, ADMIN, made["a"].id, {"position": 3, "name": "moved"})
    assert order(system, door) == [("b", 1), ("c", 2), ("moved", 3), ("d", 4)]


def test_no_gap_is_left_where_a_rule_was(system: System, door: Listener) -> None:
    made = [a_rule(system, door, name) for name in "abc"]
    access.delete(system, ADMIN, made[0].id)
    assert order(system, door) == [("b", 1), ("c", 2)]
    with pytest.raises(NotFound):
        access.delete(system, ADMIN, made[0].id)


STEPS = st.lists(st.tuples(st.sampled_from(["create", "move", "delete"]), st.integers(1, 12), st.integers(0, 11)), max_size=14)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_is_done_to_them_they_are_numbered_from_one_without_gaps(system: System, door: Listener, steps: Any) -> None:
    for rule in access.find(system, ADMIN, Query()).items:
        access.delete(system, ADMIN, rule.id)
    wanted: list[str] = []
    for number, (what, place, which) in enumerate(steps):
        if what == "create":
            made = a_rule(system, door, f"n{number}", position=place)
            wanted.insert(min(place, len(wanted) + 1) - 1, made.id)
        elif wanted:
            one = wanted.pop(which % len(wanted))
            if what == "move":
                access.update(system, ADMIN, one, {"position": place})
                wanted.insert(min(place, len(wanted) + 1) - 1, one)
            else:
                access.delete(system, ADMIN, one)
    found = access.find(system, ADMIN, Query(filters=(("listener_id", door.id),))).items
    assert [(rule.id, rule.position) for rule in found] == [(one, number) for number, one in enumerate(wanted, start=1)]


def test_what_is_not_there_is_named(system: System, door: Listener) -> None:
    plain = a_listener(system, a_balancer(system, vip_address="127.0.0.3"), protocol="HTTP", protocol_port=8080)
    refused(system, door, "listener_id", "there is no listener", listener_id="nowhere")
    refused(system, door, "listener_id", "sees no client certificate", listener_id=plain.id)
    nobody = "00000000-0000-4000-8000-000000000000"
    refused(system, door, "certificate.authority_ids", "no authority", certificate=Holders(authority_ids=(nobody,)))
    refused(system, door, "certificate.authority_ids", "no authority x", certificate=Holders(authority_ids=("x",)))
    refused(system, door, "certificate.profiles", "no profile 'x'", certificate=Holders(profiles=("x",)))
    refused(system, door, "certificate.groups", "ostiary cert set ID --group 'x'", certificate=Holders(groups=("x",)))


def test_a_window_has_to_be_one(system: System, door: Listener, clock: FakeClock) -> None:
    at, day = clock(), timedelta(days=1)
    refused(system, door, "not_after", "before it starts", not_before=at + 2 * day, not_after=at + day)
    refused(system, door, "not_after", "over already", not_after=at - day)
    made = a_rule(system, door, not_before=at - day, not_after=at + day)
    clock.advance(days=2)
    after = access.update(system, ADMIN, made.id, {"name": "kept as it was"})
    assert after.not_after == made.not_after
    with pytest.raises(Invalid, match="over already"):
        access.update(system, ADMIN, made.id, {"not_after": clock() - day})


def test_a_group_is_known_by_its_members_or_by_a_grant_that_promises_one(system: System, door: Listener) -> None:
    authority = an_authority(system)
    a_certificate(system, authority, groups=("Field",))
    refused(system, door, "certificate.groups", "group 'field'", certificate=Holders(groups=("field",)))
    refused(system, door, "certificate.groups", "group 'Fiel'", certificate=Holders(groups=("Field", "Fiel")))
    a_rule(system, door, certificate=Holders(groups=("Field",)))
    grant = NewToken(authority_id=authority.id, profile="client", names=RequestedNames(common_name="s"), groups=('new "one"%',))
    tokens.create(system, ADMIN, grant)
    made = a_rule(system, door, "promised", certificate=Holders(groups=('new "one"%',)))
    for token in tokens.find(system, ADMIN, Query()).items:
        tokens.delete(system, ADMIN, token.id)
    # What it was written about stays in it.
    assert access.update(system, ADMIN, made.id, {"action": "DENY"}).certificate.groups == ('new "one"%',)
    with pytest.raises(Invalid, match="group 'other'"):
        access.update(system, ADMIN, made.id, {"certificate": Holders(groups=('new "one"%', "other"))})


def test_nothing_is_said_twice(system: System, door: Listener) -> None:
    one = a_rule(system, door, "one", hosts=("a.test", "b.test"), methods=("GET",))
    with pytest.raises(Conflict, match="Rule 'one'"):
        a_rule(system, door, "two", hosts=("b.test", "a.test"), methods=("GET",), position=1)
    two = a_rule(system, door, "two", hosts=("b.test", "a.test"), methods=("GET",), action="DENY")
    with pytest.raises(Conflict, match="position 1"):
        access.update(system, ADMIN, two.id, {"action": "ALLOW"})
    assert access.update(system, ADMIN, one.id, {"name": "uno"}).name == "uno"


def test_there_are_only_so_many(system: System, door: Listener) -> None:
    with system.store.write() as transaction:
        for number in range(RULES_PER_LISTENER):
            rule = AccessRule(
                id=f"r{number}", listener_id=door.id, name="filler", position=number + 1, hosts=(f"h{number}.test",)
            )
            transaction.insert(ACCESS_RULE, rule)
    with pytest.raises(Conflict, match="500 rules"):
        a_rule(system, door)


def test_what_was_probably_not_meant_is_warned_of(system: System, door: Listener, clock: FakeClock) -> None:
    def said(rule: AccessRule, **listener: Any) -> list[str]:
        with system.store.read() as reader:
            others = access.of_listener(reader, door.id)
        on = {"client_authentication": "MANDATORY", **listener}
        return list(access.warnings(rule, door.model_copy(update=on), others, clock()))

    wide = a_rule(system, door, "wide", hosts=(), paths=("/v1/*",))
    narrow = a_rule(system, door, "narrow", hosts=("a.test",), paths=("/v1/*",), methods=("GET",))
    deny = a_rule(system, door, "deny", hosts=("a.test",), paths=("/v1/*",), action="DENY")
    ends = a_rule(system, door, "ends", paths=("/v2",), not_after=clock() + timedelta(days=1))
    later = a_rule(system, door, "later", hosts=("ends.test",), paths=("/v2",))
    assert said(wide) == said(ends) == said(later) == []
    assert "'wide' at position 1" in said(narrow)[0]
    # What denies is read more widely than what allows, so some of it is left to deny.
    assert said(deny) == []
    assert "none of its rules is in force" in said(wide, client_authentication="NONE")[0]
    clock.advance(days=2)
    assert "Its time is over" in said(ends)[0]
    access.update(system, ADMIN, wide.id, {"shadow": True})
    assert said(narrow) == []


def test_a_change_of_rules_is_a_change_of_the_listener(system: System, door: Listener) -> None:
    made = a_rule(system, door, "a")

    def stamped() -> int:
        return listeners.get(system, ADMIN, door.id).revision

    assert stamped() == revision(system)
    access.update(system, ADMIN, made.id, {"name": "b"})
    assert stamped() == revision(system)
    before = revision(system)
    access.update(system, ADMIN, made.id, {"name": "b"})
    assert (stamped(), revision(system)) == (before, before)
    access.delete(system, ADMIN, made.id)
    assert stamped() == revision(system) == before + 1


def test_operators_may_and_auditors_read(system: System, door: Listener) -> None:
    made = access.create(system, OPERATOR, AccessRule(name="a", listener_id=door.id))
    assert access.get(system, AUDITOR, made.id) == made
    for forbidden in (
        lambda: access.create(system, AUDITOR, AccessRule(name="b", listener_id=door.id)),
        lambda: access.update(system, AUDITOR, made.id, {"name": "b"}),
        lambda: access.delete(system, AUDITOR, made.id),
    ):
        with pytest.raises(Denied):
            forbidden()


def test_what_is_desired_holds_them_in_order(system: System, door: Listener) -> None:
    authority = an_authority(system)
    for name in "abc":
        a_rule(system, door, name, position=1, certificate=Holders(authority_ids=(authority.id,)))
    with system.store.read() as reader:
        (one,) = desired(reader, system.sealer, system.clock()).listeners
    assert [rule.name for rule in one.access.rules] == ["c", "b", "a"]
    assert one.access.authorities == {authority.id: (authority.fingerprint_sha256,)}
    with pytest.raises(Conflict, match="access_rule"):
        authorities.delete(system, ADMIN, authority.id)


def test_rules_come_back_in_their_order(system: System, door: Listener) -> None:
    made = {name: a_rule(system, door, name) for name in "abc"}
    then, seen = revision(system), order(system, door)
    access.update(system, ADMIN, made["c"].id, {"position": 1, "action": "DENY"})
    access.delete(system, ADMIN, made["a"].id)
    a_rule(system, door, "new", position=2)
    now = revisions.revert(system, ADMIN, then)
    assert order(system, door) == seen
    assert access.get(system, ADMIN, made["c"].id).action == "ALLOW"
    assert listeners.get(system, ADMIN, door.id).revision == now
    listeners.delete(system, ADMIN, door.id)
    assert order(system, door) == []
    revisions.revert(system, ADMIN, now)
    assert order(system, door) == seen
    revisions.revert(system, ADMIN, door.revision)
    assert order(system, door) == []
    with system.store.read() as reader:
        assert reader.count(LISTENER) == 1


def test_groups_and_owner_of_a_certificate_can_be_changed(system: System) -> None:
    one = a_certificate(system, an_authority(system), groups=("a", "b"))

    def moves() -> int:
        with system.store.read() as reader:
            return reader.status_sequence()

    before = moves()
    after = certificates.update(system, OPERATOR, one.id, {"groups": ("b", "c", "b")})
    assert (after.groups, moves()) == (("b", "c"), before + 1)
    certificates.update(system, OPERATOR, one.id, {"owner": "ann", "name": "laptop"})
    assert moves() == before + 1
    stored = certificates.get(system, ADMIN, one.id)
    assert (stored.groups, stored.owner, stored.name, stored.certificate) == (("b", "c"), "ann", "laptop", one.certificate)
    with pytest.raises(Invalid, match="cannot be changed"):
        certificates.update(system, OPERATOR, one.id, {"profile": "server"})
    with pytest.raises(Denied):
        certificates.update(system, AUDITOR, one.id, {"owner": "ada"})


def test_whoever_comes_second_is_told_what_was_changed_but_not_where_it_stands(system: System, door: Listener) -> None:
    made = a_rule(system, door, "first")
    a_rule(system, door, "before", position=1)
    access.update(system, ADMIN, made.id, {"action": "DENY"}, since=made.revision)
    with pytest.raises(Overtaken) as overtaken:
        access.update(system, ADMIN, made.id, {"name": "other"}, since=made.revision)
    assert overtaken.value.changes == {"action": ("ALLOW", "DENY")}
    assert overtaken.value.actor == ADMIN.name
    assert order(system, door) == [("before", 1), ("first", 2)]


def test_how_many_there_are_is_counted_for_several_listeners_at_once(system: System, door: Listener, clock: FakeClock) -> None:
    balancer = a_balancer(system, vip_address="127.0.0.2")
    other, bare = (a_listener(system, balancer, protocol_port=port) for port in (8444, 8445))
    for name in ("a", "b"):
        a_rule(system, door, name)
    usual: dict[str, Any] = {"kind": "HEALTH_CHECK", "name": "m", "owner": "o", "listener_id": other.id}
    exceptions.create(system, ADMIN, AccessException(**usual, not_after=clock() + timedelta(days=1)))
    assert access.counts(system, ADMIN, [door.id, other.id, bare.id]) == {door.id: (2, 0), other.id: (0, 1)}
    clock.advance(days=2)
    assert access.counts(system, ADMIN, [other.id]) == {}
