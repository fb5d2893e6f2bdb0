"""Another person has to agree: what is stopped, what becomes of it, and who may decide. As an attacker would go about it."""

import ast
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

import ostiary
from ostiary.errors import Awaits, Conflict, Denied, Invalid, NotFound
from ostiary.model.access import AccessException, AccessRule, Holders
from ostiary.model.approval import Approval, NewBreakGlass
from ostiary.model.authority import NewCertificate, TrustedAuthority
from ostiary.model.key_transfer import KeyExport
from ostiary.model.listener import Listener
from ostiary.model.query import Query
from ostiary.model.revocation import Revoke
from ostiary.model.status_check import StatusCheck
from ostiary.model.token import NewToken
from ostiary.model.user import User
from ostiary.ops import (
    access,
    approvals,
    audit,
    authorities,
    break_glass,
    certificates,
    exceptions,
    house_settings,
    imported,
    key_transfer,
    listeners,
    profiles,
    requests,
    revocation,
    rotations,
    series,
    sessions,
    status_fetch,
    tokens,
    users,
)
from ostiary.ops.asking import name_of
from ostiary.ops.caller import SYSTEM, Caller
from ostiary.ops.system import System
from ostiary.ops.why_words import said
from support.certs import Authority as Elsewhere
from support.certs import csr, new_key
from support.made import a_balancer, a_certificate, a_listener, an_authority
from support.signing_in import der
from support.systems import ADMIN, FakeClock, a_store, a_system, sqlite_url

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


def a_door(system: System, **fields: Any) -> Listener:
    """A listener that demands certificates of an authority of its own."""
    wanted = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": f"/v1/authorities/{an_authority(system).id}"}
    return a_listener(system, a_balancer(system), **{**wanted, **fields})


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[System]:
    """The same on both databases."""
    (tmp_path / "either").mkdir()
    url = sqlite_url(tmp_path / "either") if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    made = a_system(url, clock)
    for name in ("alice", "bob"):
        tokens.create(made, ADMIN, NewToken(name=name, role="admin"))
    yield made
    made.store.close()


def test_what_lowers_a_listener_waits_and_is_done_once_another_person_agreed(either: System) -> None:
    system, listener = either, a_door(either)
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
    listener = a_door(system)
    turn_on(system)
    waiting = asked(system, lambda: listeners.update(system, ALICE, listener.id, {"client_authentication": "NONE"}))
    listeners.update(system, BOB, listener.id, {"description": "another"})
    with pytest.raises(Conflict, match=r"door: description \(by bob"):
        approvals.approve(system, BOB, waiting.id)
    assert approvals.get(system, ADMIN, waiting.id).status == "OVERTAKEN"
    assert listeners.get(system, ADMIN, listener.id).client_authentication == "MANDATORY"


def test_an_emergency_lets_its_own_administrator_do_it_for_a_time(system: System, clock: FakeClock) -> None:
    listener = a_door(system)
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


def test_it_is_on_record_who_asked_and_who_agreed(system: System) -> None:
    listener = a_door(system)
    turn_on(system)
    waiting = asked(system, lambda: listeners.delete(system, replace(ALICE, justification="retired"), listener.id))
    assert (waiting.justification, waiting.source, waiting.hands) == ("retired", "192.0.2.1", ("admin",))
    approvals.approve(system, BOB, waiting.id)
    last = audit.find(system, ADMIN, newest_first=True, limit=50)
    (done,) = [one for one in last if one["kind"] == "listener" and one["action"] == "listener:delete"]
    assert (done["actor"], done["approved_by"], done["approval"]) == ("alice", "bob", waiting.id)


# What is done from day to day stays so.


def test_what_asks_more_of_clients_or_lets_nobody_new_in_needs_nobody(system: System, clock: FakeClock) -> None:
    listener = a_door(system, client_authentication="REHEARSAL")
    turn_on(system)
    listeners.update(system, ALICE, listener.id, {"client_authentication": "NONE"})
    listeners.update(system, ALICE, listener.id, {"client_authentication": "OPTIONAL"})
    listeners.update(system, ALICE, listener.id, {"client_authentication": "MANDATORY", "name": "front"})
    deny = access.create(system, ALICE, AccessRule(listener_id=listener.id, name="no", action="DENY", methods=("PUT",)))
    allow = AccessRule(listener_id=listener.id, name="yes", certificate=Holders(subject_ou=("devices",)))
    access.create(system, ALICE, allow)
    access.update(system, ALICE, deny.id, {"methods": ("PUT", "DELETE"), "name": "never"})
    listeners.update(system, ALICE, listener.id, {"admin_state_up": False})
    listeners.update(system, ALICE, listener.id, {"admin_state_up": True})
    wanted = AccessException(
        listener_id=listener.id, name="h", kind="PATHS", paths=("/a", "/b"), owner="o", not_after=clock() + timedelta(days=9)
    )
    exception = exceptions.create(system, SYSTEM, wanted)
    exceptions.update(system, ALICE, exception.id, {"paths": ("/a",), "not_after": clock() + timedelta(days=1)})
    exceptions.end(system, ALICE, exception.id)
    exceptions.delete(system, ALICE, exception.id)
    assert approvals.find(system, ADMIN, Query()).items == ()


def test_what_ostiary_does_by_itself_needs_nobody(system: System) -> None:
    root = an_authority(system, "Root")
    below = an_authority(system, "Below", kind="intermediate", parent_id=root.id)
    a_door(system, client_ca_tls_container_ref=f"/v1/authorities/{below.id}")
    turn_on(system)
    assert series.roll(system, SYSTEM, below.id).generation == 2
    waiting = asked(system, lambda: series.roll(system, ALICE, below.id))
    assert [one.code for one in waiting.reasons] == ["ca_grown"]
    approvals.approve(system, BOB, waiting.id)
    assert len(authorities.find(system, ADMIN, Query()).items) >= 4


def test_while_nothing_is_chosen_nothing_waits(system: System) -> None:
    listener = a_door(system)
    listeners.update(system, ALICE, listener.id, {"client_authentication": "NONE"})
    listeners.delete(system, ALICE, listener.id)
    with pytest.raises(Conflict, match="Nothing needs"):
        break_glass.begin(system, ALICE, NewBreakGlass(reason="why not"))


# Ways around.


def test_a_listener_out_of_service_is_looked_at_as_if_it_served(system: System) -> None:
    listener = a_door(system)
    turn_on(system)
    listeners.update(system, ALICE, listener.id, {"admin_state_up": False})
    asked(system, lambda: listeners.update(system, ALICE, listener.id, {"client_authentication": "NONE"}))
    another = f"/v1/authorities/{an_authority(system, 'Another').id}"
    asked(system, lambda: listeners.update(system, ALICE, listener.id, {"client_ca_tls_container_ref": another}))


def test_all_that_comes_with_a_client_ca_is_named(system: System) -> None:
    one, hidden = an_authority(system, "One"), an_authority(system, "Hidden")
    listener = a_door(system)
    turn_on(system)
    rotations.start(system, ALICE, one.id, hidden.id)  # nobody trusts either, so that is nothing yet
    waiting = asked(
        system, lambda: listeners.update(system, ALICE, listener.id, {"client_ca_tls_container_ref": f"/v1/authorities/{one.id}"})
    )
    (why,) = waiting.reasons
    assert (why.code, why.more) == ("ca_changed", "CN=Hidden, CN=One")
    assert said(why) == "door gets another Client CA: CN=Hidden, CN=One."


def test_who_is_alone_is_told_how_to_get_another_person(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "alone").mkdir()
    system = a_system(sqlite_url(tmp_path / "alone"), clock)
    listener = a_door(system)
    made = {}
    for name in ("alice", "bob"):
        with pytest.raises(Conflict, match="two administrators have to be here first"):
            turn_on(system)
        made[name] = tokens.create(system, ADMIN, NewToken(name=name, role="admin"))[0]
    turn_on(system)
    for token in made.values():
        tokens.delete(system, ADMIN, token.id)
    # They are gone, and only the admin token is left.
    with pytest.raises(Awaits, match="make tokens or users for two people"):
        listeners.delete(system, ADMIN, listener.id)
    glass = break_glass.begin(system, ADMIN, NewBreakGlass(reason="alone"))
    for name in ("alice", "bob"):
        tokens.create(system, ADMIN, NewToken(name=name, role="admin"))
    with pytest.raises(Awaits, match="make tokens or users"):
        listeners.delete(system, ALICE, listener.id)
    break_glass.end(system, ADMIN, glass.id)
    with pytest.raises(Denied, match="was let in, or changed, after that"):
        break_glass.review(system, BOB, glass.id, "all of it was right")
    clock.advance(days=6, hours=23)
    waiting = asked(system, lambda: listeners.update(system, ALICE, listener.id, {"client_authentication": "NONE"}))
    with pytest.raises(Denied, match="or wait a week"):
        approvals.approve(system, BOB, waiting.id)
    clock.advance(hours=2)
    assert break_glass.review(system, BOB, glass.id, "all of it was right").state == "REVIEWED"
    approvals.approve(system, BOB, waiting.id)
    system.store.close()


def test_neither_half_of_deleting_and_making_anew_gets_around_it(system: System) -> None:
    listener = a_door(system)
    turn_on(system)
    waiting = asked(system, lambda: listeners.delete(system, ALICE, listener.id))
    approvals.approve(system, BOB, waiting.id)
    anew = Listener(name="door", protocol="HTTP", protocol_port=8443, loadbalancer_id=listener.loadbalancer_id)
    waiting = asked(system, lambda: listeners.create(system, ALICE, anew))
    assert [one.code for one in waiting.reasons] == ["open_listener"]


def test_one_by_one_is_at_once_within_an_hour(either: System, clock: FakeClock) -> None:
    root = an_authority(either)
    its = [a_certificate(either, root, f"c{number}") for number in range(6)]
    turn_on(either, "MASS_REVOCATION", mass_revocation_threshold=3)
    for one in its[:3]:
        revocation.revoke(either, ALICE, one.id, Revoke())
    waiting = asked(either, lambda: revocation.revoke(either, ALICE, its[3].id, Revoke()))
    revocation.revoke(either, BOB, its[4].id, Revoke())
    assert approvals.approve(either, BOB, waiting.id).status == "DONE"
    assert certificates.get(either, ADMIN, its[3].id).revocation_reason == "unspecified"
    clock.advance(minutes=61)
    revocation.revoke(either, ALICE, its[5].id, Revoke())


def test_many_at_the_same_moment_are_no_fewer(system: System) -> None:
    root = an_authority(system)
    its = [a_certificate(system, root, f"c{number}") for number in range(12)]
    turn_on(system, "MASS_REVOCATION", mass_revocation_threshold=3)

    def revoke(certificate_id: str) -> int:
        try:
            revocation.revoke(system, ALICE, certificate_id, Revoke())
        except Awaits:
            return 0
        return 1

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(revoke, [one.id for one in its])) == 3


def test_revoking_an_authority_and_checking_less_wait(system: System) -> None:
    root = an_authority(system, "Root")
    below = an_authority(system, "Below", kind="intermediate", parent_id=root.id)
    for number in range(3):
        a_certificate(system, below, f"c{number}")
    a_door(system, client_ca_tls_container_ref=f"/v1/authorities/{root.id}")
    partner = Elsewhere.root("Partner")
    theirs = imported.import_bundle(system, ADMIN, TrustedAuthority(name="Partner", certificate=partner.cert_pem))
    imported.upload(system, ADMIN, theirs.id, partner.crl(number=5).encode())
    turn_on(system, mass_revocation_threshold=2)
    waiting = asked(system, lambda: revocation.revoke_authority(system, ALICE, below.id, Revoke()))
    assert waiting.kinds == ("CLIENT_CA", "MASS_REVOCATION")
    assert approvals.approve(system, BOB, waiting.id).status == "DONE"
    assert authorities.get(system, ADMIN, below.id).revoked_at is not None
    less = {"status_check": StatusCheck(revocation_check="NONE")}
    assert asked(system, lambda: status_fetch.update(system, ALICE, theirs.id, less)).kinds == ("LOWER_PROTECTION",)
    older = partner.crl(number=4).encode()
    waiting = asked(system, lambda: imported.upload(system, ALICE, theirs.id, older, force=True))
    assert (waiting.repeats, waiting.arguments) == (True, {})
    approvals.approve(system, BOB, waiting.id)
    imported.upload(system, ALICE, theirs.id, older, force=True)


def test_a_grant_is_for_the_very_thing_once_and_for_whoever_asked(system: System, tmp_path: Path) -> None:
    one, other = an_authority(system, "One"), an_authority(system, "Other")
    turn_on(system)
    export = KeyExport(passphrase="correct horse battery staple")
    waiting = asked(system, lambda: key_transfer.export_key(system, ALICE, one.id, export))
    approvals.approve(system, BOB, waiting.id)
    for call in (
        lambda: key_transfer.export_key(system, BOB, one.id, export),
        lambda: key_transfer.export_key(system, ALICE, other.id, export),
        lambda: key_transfer.export_key(system, ALICE, one.id, export.model_copy(update={"remove": True})),
    ):
        asked(system, call)
    another = export.model_copy(update={"passphrase": "another passphrase of mine"})
    assert "ENCRYPTED PRIVATE KEY" in key_transfer.export_key(system, ALICE, one.id, another).content
    asked(system, lambda: key_transfer.export_key(system, ALICE, one.id, another))
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert b"horse battery" not in written
    assert b"passphrase of mine" not in written


def test_a_grant_lapses(system: System, clock: FakeClock) -> None:
    one = an_authority(system)
    turn_on(system)
    export = KeyExport(passphrase="correct horse battery staple")
    waiting = asked(system, lambda: key_transfer.export_key(system, ALICE, one.id, export))
    approvals.approve(system, BOB, waiting.id)
    clock.advance(hours=25)
    asked(system, lambda: key_transfer.export_key(system, ALICE, one.id, export))
    assert approvals.lapse_due(system) == 1
    assert approvals.get(system, ADMIN, waiting.id).status == "LAPSED"


def test_what_somebody_elses_certificate_was_issued_by_whoever_asked_does_not_decide(system: System) -> None:
    staff = an_authority(system, "Staff")
    users.create(system, ADMIN, User(name="carol", role="admin", certificate=Holders(subject_cn=("carol",))))
    listener = a_door(system)
    turn_on(system)
    waiting = asked(system, lambda: listeners.delete(system, ALICE, listener.id))

    def signed_in(by: Caller) -> Caller:
        """Whoever comes as carol with a certificate that `by` issued."""
        issued = certificates.issue(system, by, NewCertificate(authority_id=staff.id, csr=csr(new_key(), "carol")))
        session, _secret = sessions.by_certificate(system, der(issued), "192.0.2.9", "req-9")
        return Caller(session.name, session.role, session_id=session.id)

    with pytest.raises(Denied, match="alice has let carol in"):
        approvals.approve(system, signed_in(ALICE), waiting.id)
    profiles.update(system, ADMIN, "client", {"approval": "one"})
    wanted = requests.submit(system, ALICE, NewCertificate(authority_id=staff.id, csr=csr(new_key(), "carol")))
    issued = certificates.get(system, ADMIN, str(requests.approve(system, BOB, wanted.id).certificate_id))
    session, _secret = sessions.by_certificate(system, der(issued), "192.0.2.9", "req-9")
    with pytest.raises(Denied, match="alice has let carol in"):
        approvals.approve(system, Caller(session.name, session.role, session_id=session.id), waiting.id)
    profiles.update(system, ADMIN, "client", {"approval": "automatic"})
    assert approvals.approve(system, signed_in(BOB), waiting.id).decided_by == "carol"


def test_who_takes_over_a_user_does_not_decide_as_them(system: System) -> None:
    carol = users.create(system, ADMIN, User(name="carol", role="admin", certificate=Holders(subject_cn=("carol",))))
    listener = a_door(system)
    turn_on(system, "LOWER_PROTECTION")
    waiting = asked(system, lambda: listeners.delete(system, ALICE, listener.id))
    users.update(system, ALICE, carol.id, {"certificate": Holders(subject_cn=("alice",))})
    with pytest.raises(Denied, match="has let carol in"):
        approvals.approve(system, Caller("carol", "admin"), waiting.id)
    tokens.create(system, ALICE, NewToken(name="dave", role="admin"))
    with pytest.raises(Denied, match="has let dave in"):
        approvals.approve(system, Caller("dave", "admin"), waiting.id)
    tokens.create(system, BOB, NewToken(name="eve", role="admin"))
    with pytest.raises(Denied, match="was let in, or changed, after that"):
        approvals.approve(system, Caller("eve", "admin"), waiting.id)
    with pytest.raises(Denied, match="may not approval:approve"):
        approvals.approve(system, Caller("olga", "auditor"), waiting.id)


def test_a_token_that_was_deleted_since_is_still_somebodys_making(system: System) -> None:
    middle, _secret = tokens.create(system, ALICE, NewToken(name="middle", role="admin"))
    tokens.create(system, Caller("middle", "admin"), NewToken(name="last", role="admin"))
    tokens.delete(system, ALICE, middle.id)
    listener = a_door(system)
    turn_on(system)
    waiting = asked(system, lambda: listeners.delete(system, ALICE, listener.id))
    with pytest.raises(Denied, match="alice has let last in"):
        approvals.approve(system, Caller("last", "admin"), waiting.id)


def test_who_is_nobody_any_more_has_nothing_done(system: System) -> None:
    listener = a_door(system)
    dave, _secret = tokens.create(system, ADMIN, NewToken(name="dave", role="admin"))
    turn_on(system)
    waiting = asked(system, lambda: listeners.delete(system, Caller("dave", "admin"), listener.id))
    tokens.delete(system, ADMIN, dave.id)
    with pytest.raises(Conflict, match="is nobody here any more"):
        approvals.approve(system, BOB, waiting.id)
    assert approvals.refuse(system, BOB, waiting.id, "gone").status == "REFUSED"


def test_of_two_who_agree_at_the_same_time_one_has_it_done(system: System) -> None:
    listener = a_door(system)
    tokens.create(system, ADMIN, NewToken(name="carol", role="admin"))
    turn_on(system)
    waiting = asked(system, lambda: listeners.delete(system, ALICE, listener.id))

    def agree(caller: Caller) -> str:
        try:
            return approvals.approve(system, caller, waiting.id).status
        except (Conflict, NotFound):
            return "late"

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(agree, [BOB, Caller("carol", "admin")])) == ["DONE", "late"]
    assert approvals.get(system, ADMIN, waiting.id).status == "DONE"


def test_it_is_refused_taken_back_justified_or_lapses(system: System, clock: FakeClock) -> None:
    listener = a_door(system)
    turn_on(system)

    def ask(mode: str) -> str:
        return asked(system, lambda: listeners.update(system, ALICE, listener.id, {"client_authentication": mode})).id

    first, second = ask("NONE"), ask("OPTIONAL")
    assert ask("NONE") == first
    with pytest.raises(Invalid, match="say why"):
        approvals.refuse(system, BOB, first, " ")
    with pytest.raises(Denied, match="withdraw it instead"):
        approvals.refuse(system, ALICE, first, "no")
    assert approvals.refuse(system, BOB, first, "not today").reason == "not today"
    with pytest.raises(Denied, match="alone may withdraw"):
        approvals.withdraw(system, BOB, second)
    with pytest.raises(Denied, match="alone can say why"):
        approvals.justify(system, BOB, second, "because")
    assert approvals.justify(system, ALICE, second, "CHG-4711").justification == "CHG-4711"
    assert approvals.withdraw(system, ALICE, second).status == "WITHDRAWN"
    for approval_id in (first, second):
        with pytest.raises(Conflict, match="was decided"):
            approvals.approve(system, BOB, approval_id)
    third = ask("NONE")
    assert third not in {first, second}
    clock.advance(days=8)
    with pytest.raises(Conflict, match="lapsed"):
        approvals.approve(system, BOB, third)
    assert approvals.lapse_due(system) == 1
    assert listeners.get(system, ADMIN, listener.id).client_authentication == "MANDATORY"


def test_what_waits_of_one_person_is_bounded(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostiary.ops.asking.PENDING_EACH", 2)
    listener = a_door(system)
    turn_on(system)
    for mode in ("NONE", "OPTIONAL"):
        asked(system, lambda mode=mode: listeners.update(system, ALICE, listener.id, {"client_authentication": mode}))
    with pytest.raises(Conflict, match="wait already"):
        listeners.delete(system, ALICE, listener.id)


# Emergencies.


def test_an_emergency_does_not_end_the_rule_itself(system: System) -> None:
    turn_on(system)
    break_glass.begin(system, ALICE, NewBreakGlass(reason="fire"))
    waiting = asked(system, lambda: house_settings.update(system, ALICE, {"approval_needed_for": ()}))
    assert waiting.kinds == ("APPROVALS",)
    approvals.approve(system, BOB, waiting.id)
    assert house_settings.get(system, ADMIN).approval_needed_for == ()


def test_who_is_let_in_in_an_emergency_decides_on_nothing_before_it_was_signed_off(system: System) -> None:
    turn_on(system)
    glass = break_glass.begin(system, ALICE, NewBreakGlass(reason="fire"))
    for name in ("one", "two"):
        tokens.create(system, ALICE, NewToken(name=name, role="admin"))
    break_glass.end(system, ALICE, glass.id)
    one, two = Caller("one", "admin"), Caller("two", "admin")
    waiting = asked(system, lambda: house_settings.update(system, one, {"approval_needed_for": ()}))
    with pytest.raises(Denied, match="let in without approval"):
        approvals.approve(system, two, waiting.id)
    for nobody in (ALICE, one, two):
        with pytest.raises(Denied):
            break_glass.review(system, nobody, glass.id, "fine")
    break_glass.review(system, BOB, glass.id, "fine")
    assert approvals.approve(system, two, waiting.id).status == "DONE"


def test_an_emergency_is_one_administrators_and_ends_across_restarts(system: System, tmp_path: Path, clock: FakeClock) -> None:
    listener = a_door(system)
    turn_on(system)
    with pytest.raises(Denied):
        break_glass.begin(system, Caller("olaf", "operator"), NewBreakGlass(reason="fire"))
    glass = break_glass.begin(system, ALICE, NewBreakGlass(reason="fire", minutes=10))
    with pytest.raises(Conflict, match="already"):
        break_glass.begin(system, ALICE, NewBreakGlass(reason="more fire"))
    with pytest.raises(Conflict, match="goes on"):
        break_glass.review(system, BOB, glass.id, "too soon")
    again = System(a_store(sqlite_url(tmp_path), clock), system.sealer, clock)
    assert break_glass.open_now(again) == ()
    assert break_glass.lapse_due(again) == 0
    assert [one.id for one in break_glass.open_now(again)] == [glass.id]
    listeners.update(again, ALICE, listener.id, {"client_authentication": "OPTIONAL"})
    clock.advance(minutes=10)
    assert break_glass.open_now(again) == ()
    asked(again, lambda: listeners.update(again, ALICE, listener.id, {"client_authentication": "NONE"}))
    clock.advance(minutes=-30)  # put back: that gives nobody more time
    asked(again, lambda: listeners.update(again, ALICE, listener.id, {"client_authentication": "NONE"}))
    clock.advance(minutes=31)
    assert break_glass.lapse_due(again) == 1
    entries = audit.find(again, ADMIN, newest_first=True, limit=20)
    actions = [one["action"] for one in entries if one["kind"] == "break_glass"]
    assert actions == ["break-glass:end", "listener:update", "break-glass:begin"]
    (done,) = [one for one in entries if (one["kind"], one["action"]) == ("listener", "listener:update")]
    assert (done["actor"], done["break_glass"]) == ("alice", glass.id)
    with pytest.raises(Conflict, match="It ended"):
        break_glass.end(again, ALICE, glass.id)
    again.store.close()


def test_it_is_said_aloud(system: System) -> None:
    listener = a_door(system)
    turn_on(system)
    with structlog.testing.capture_logs() as said:
        glass = break_glass.begin(system, ALICE, NewBreakGlass(reason="fire"))
        listeners.update(system, ALICE, listener.id, {"client_authentication": "OPTIONAL"})
        break_glass.end(system, BOB, glass.id)
    assert [(one["log_level"], one["event"]) for one in said if one["event"].startswith("break-glass")] == [
        ("warning", "break-glass begun"),
        ("warning", "break-glass used"),
        ("warning", "break-glass ended"),
    ]


# The design.


def _source(*, saying: str) -> Iterator[tuple[Path, ast.Module]]:
    for file in Path(ostiary.__file__).parent.rglob("*.py"):
        if saying in (text := file.read_text()):
            yield file, ast.parse(text)


def _calls(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == name


def test_only_who_agreed_clears_and_only_the_write_path_writes() -> None:
    clearing = ((file.name, node) for file, tree in _source(saying="Clearance(") for node in ast.walk(tree))
    assert {name for name, node in clearing if _calls(node, "Clearance")} == {"approvals.py"}
    writing = ((file.name, node) for file, tree in _source(saying="store.write(") for node in ast.walk(tree))
    writes = {name for name, node in writing if _calls(node, "write") and "store" in ast.unparse(node)}
    recording = {file.parent.name for file, _tree in _source(saying="store.record(")}
    assert recording == {"ops"}
    assert writes <= {"change.py", "heads.py", "rekey.py"}  # the last two write signatures, and keys anew when nothing runs


def test_whatever_asks_can_be_carried_out_or_is_sent_once_more() -> None:
    known = {name_of(one) for one in approvals.CARRIED}
    asking: dict[str, bool] = {}
    for file, tree in _source(saying="@asks("):
        if file.parent.name == "ops":
            for node in (one for one in tree.body if isinstance(one, ast.FunctionDef)):
                for mark in node.decorator_list:
                    if _calls(mark, "asks"):
                        asking[f"{file.stem}.{node.name}"] = "repeats" in ast.unparse(mark)
    assert {name for name, repeats in asking.items() if not repeats} == known
    assert {name for name, repeats in asking.items() if repeats} == {
        "imported.upload",
        "key_transfer.export_key",
        "key_transfer.import_with_key",
        "secrets.payload",
        "tokens.create",
    }
