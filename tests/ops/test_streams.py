"""Which long streams may not go on: by what was last published, as of now."""

from datetime import timedelta
from typing import Any

import pytest

from ostiary.access import members
from ostiary.envoy.resources import Snapshot
from ostiary.model.access import AccessRule, Holders
from ostiary.model.desired import Desired, DesiredAccess
from ostiary.model.roster import Roster, Table
from ostiary.ops import streams
from ostiary.ops.system import System
from support.desired import listener, trust

ALICE, BOB = "a" * 64, "b" * 64


def told(fingerprint: str = ALICE, **fields: Any) -> dict[str, Any]:
    return {"id": 1, "listener": "l1", "client": "192.0.2.1", "fingerprint": fingerprint, **fields}


def publish(system: System, **fields: Any) -> None:
    system.fleet.want(Desired(**fields), Snapshot())


def test_who_is_denied_may_not_go_on(system: System) -> None:
    publish(system, denied=frozenset({ALICE}))
    assert streams.to_end(system, {1: told(ALICE), 2: told(BOB)}) == {1: "revoked"}


def test_who_has_expired_may_not_go_on(system: System) -> None:
    publish(system)
    past, future = (
        (system.clock() + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for seconds in (-1, 60)
    )
    assert streams.to_end(system, {1: told(not_after=past), 2: told(not_after=future)}) == {1: "expired"}


def test_before_the_first_publication_nobody_is_ended(system: System) -> None:
    assert streams.to_end(system, {1: told()}) == {}


def test_at_a_listener_the_rules_decide_as_they_do_for_a_new_request(system: System) -> None:
    rules = (
        AccessRule(
            id="r1", name="alice", listener_id="l1", position=1, action="ALLOW", certificate=Holders(fingerprints_sha256=(ALICE,))
        ),
        AccessRule(id="r2", name="all", listener_id="l1", position=2, action="ALLOW", paths=("/open/*",)),
    )
    door = listener("l1", trust=trust("root"), client_authentication="MANDATORY")
    publish(system, listeners=(door.model_copy(update={"access": DesiredAccess(rules=rules)}),))
    asked = {
        1: told(ALICE),
        2: told(BOB),
        3: told(BOB, path="/open/stream"),
        4: told("", path="/open/stream"),
        5: told(BOB, listener="gone"),
        6: told(ALICE, sni="a.test", authority="b.test"),
    }
    assert streams.to_end(system, asked) == {2: "no_rule_allows", 4: "certificate_required", 6: "misdirected"}


def test_a_group_that_was_left_takes_its_streams_along(system: System) -> None:
    rule = AccessRule(id="r1", name="ops", listener_id="l1", position=1, action="ALLOW", certificate=Holders(groups=("ops",)))
    door = listener("l1", trust=trust("root"), client_authentication="MANDATORY")
    doors = (door.model_copy(update={"access": DesiredAccess(rules=(rule,))}),)
    ops, nothing = members.entry(["ops"], "client"), members.entry([], "client")
    settled = Table({ALICE: ops, BOB: ops})
    publish(system, listeners=doors, roster=Roster(settled))
    assert streams.to_end(system, {1: told(ALICE), 2: told(BOB)}) == {}
    publish(system, listeners=doors, roster=Roster(settled, {BOB: nothing}))
    assert streams.to_end(system, {1: told(ALICE), 2: told(BOB)}) == {2: "no_rule_allows"}


def test_who_was_signed_by_an_authority_that_was_taken_off_may_not_go_on(system: System) -> None:
    door = listener("l1", trust=trust("root"), client_authentication="MANDATORY", trust_revision=7)
    publish(system, listeners=(door.model_copy(update={"access": DesiredAccess(trusted=("1" * 64,))}),))
    before, since = told(issuer_fingerprint="2" * 64, trust_revision="6"), told(issuer_fingerprint="2" * 64, trust_revision="7")
    kept = told(issuer_fingerprint="1" * 64, trust_revision="6")
    assert streams.to_end(system, {1: before, 2: since, 3: kept}) == {1: "authority_removed"}


@pytest.mark.parametrize("mode", ["REHEARSAL", "NONE"])
def test_where_nobody_is_refused_nobody_is_ended(system: System, mode: str) -> None:
    door = listener("l1", trust=trust("root") if mode == "REHEARSAL" else None, client_authentication=mode)
    publish(system, listeners=(door,), denied=frozenset({ALICE}))
    assert streams.to_end(system, {1: told(ALICE), 2: told("")}) == {}


@pytest.mark.parametrize("nonsense", [{}, {"listener": 5}, told(not_after="soon"), told("f" * 2000), told(client="nowhere")])
def test_one_that_makes_no_sense_may_not_go_on(system: System, nonsense: dict[str, Any]) -> None:
    publish(system)
    assert streams.to_end(system, {1: nonsense, 2: told()}) == {1: "malformed"}


def test_what_newer_gateways_tell_besides_changes_nothing(system: System) -> None:
    publish(system)
    assert streams.to_end(system, {1: told(colour="red")}) == {}
