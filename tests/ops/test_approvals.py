"""Another person has to agree: what is stopped, what becomes of it, and who may decide."""

from typing import Any

import pytest

from ostiary.errors import Awaits, Conflict, Denied
from ostiary.model.approval import Approval, NewBreakGlass
from ostiary.model.query import Query
from ostiary.model.token import NewToken
from ostiary.ops import approvals, break_glass, house_settings, listeners, tokens
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from support.made import a_balancer, a_listener, an_authority
from support.systems import ADMIN, FakeClock

ALICE, BOB = Caller("alice", "admin", "192.0.2.1", "req-a"), Caller("bob", "admin", "192.0.2.2", "req-b")
EVERY = ("CLIENT_CA", "LOWER_PROTECTION", "MASS_REVOCATION", "KEY_EXPORT", "NEW_PERSON")


@pytest.fixture(autouse=True)
def _people(system: System) -> None:
    """Two administrators beside whoever holds the admin token."""
    for name in ("alice", "bob"):
        tokens.create(system, ADMIN, NewToken(name=name, role="admin"))


def turn_on(system: System, *kinds: str, **more: Any) -> None:
    house_settings.update(system, ADMIN, {"approval_needed_for": kinds or EVERY, **more})


def asked(system: System, call: Any) -> Approval:
    with pytest.raises(Awaits) as waits:
        call()
    return approvals.get(system, ADMIN, waits.value.approval_id)


def test_what_lowers_a_listener_waits_and_is_done_once_another_person_agreed(system: System) -> None:
    ca = an_authority(system)
    listener = a_listener(
        system, a_balancer(system), client_authentication="MANDATORY", client_ca_tls_container_ref=f"/v1/authorities/{ca.id}"
    )
    turn_on(system)
    waiting = asked(system, lambda: listeners.update(system, ALICE, listener.id, {"client_authentication": "OPTIONAL"}))
    assert (waiting.status, waiting.kinds, waiting.requested_by) == ("PENDING", ("LOWER_PROTECTION",), "alice")
    assert listeners.get(system, ADMIN, listener.id).client_authentication == "MANDATORY"
    with pytest.raises(Denied, match="another person has to decide"):
        approvals.approve(system, ALICE, waiting.id)
    done = approvals.approve(system, BOB, waiting.id, "called back")
    assert (done.status, done.decided_by, done.reason) == ("DONE", "bob", "called back")
    assert listeners.get(system, ADMIN, listener.id).client_authentication == "OPTIONAL"


def test_what_somebody_let_in_by_whoever_asked_may_not_decide(system: System) -> None:
    ca = an_authority(system)
    balancer = a_balancer(system)
    tokens.create(system, ALICE, NewToken(name="mallory", role="admin"))
    tokens.create(system, Caller("mallory", "admin"), NewToken(name="m2", role="admin"))
    listener = a_listener(system, balancer, client_authentication="MANDATORY", client_ca_tls_container_ref=ca.id)
    turn_on(system)
    waiting = asked(system, lambda: listeners.delete(system, ALICE, listener.id))
    for name in ("mallory", "m2"):
        with pytest.raises(Denied, match="has let"):
            approvals.approve(system, Caller(name, "admin"), waiting.id)
    with pytest.raises(Denied, match="admin has let alice in"):
        approvals.approve(system, ADMIN, waiting.id)
    approvals.approve(system, BOB, waiting.id)
    assert listeners.find(system, ADMIN, Query()).items == ()


def test_what_was_changed_meanwhile_is_asked_anew(system: System) -> None:
    ca = an_authority(system)
    listener = a_listener(
        system, a_balancer(system), client_authentication="MANDATORY", client_ca_tls_container_ref=f"/v1/authorities/{ca.id}"
    )
    turn_on(system)
    waiting = asked(system, lambda: listeners.update(system, ALICE, listener.id, {"client_authentication": "NONE"}))
    listeners.update(system, BOB, listener.id, {"description": "another"})
    with pytest.raises(Conflict, match=r"door: description \(by bob"):
        approvals.approve(system, BOB, waiting.id)
    assert approvals.get(system, ADMIN, waiting.id).status == "OVERTAKEN"
    assert listeners.get(system, ADMIN, listener.id).client_authentication == "MANDATORY"


def test_an_emergency_lets_its_own_administrator_do_it_for_a_time(system: System, clock: FakeClock) -> None:
    ca = an_authority(system)
    listener = a_listener(
        system, a_balancer(system), client_authentication="MANDATORY", client_ca_tls_container_ref=f"/v1/authorities/{ca.id}"
    )
    turn_on(system)
    glass = break_glass.begin(system, ALICE, NewBreakGlass(reason="house on fire", minutes=10))
    listeners.update(system, ALICE, listener.id, {"client_authentication": "OPTIONAL"})
    asked(system, lambda: listeners.update(system, BOB, listener.id, {"client_authentication": "NONE"}))
    clock.advance(minutes=11)
    asked(system, lambda: listeners.update(system, ALICE, listener.id, {"client_authentication": "NONE"}))
    assert break_glass.lapse_due(system) == 1
    after = break_glass.get(system, ADMIN, glass.id)
    assert (after.state, after.uses) == ("ENDED", 1)
    assert break_glass.review(system, BOB, glass.id, "fine").state == "REVIEWED"
