"""Users: whose a certificate is, who may say so, and which certificates nobody signs in with."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ostiary.errors import Conflict, Denied, Invalid, NotFound
from ostiary.model.access import Holders
from ostiary.model.authority import Authority, Certificate, NewCertificate, RequestedNames
from ostiary.model.query import Query
from ostiary.model.revocation import Revoke
from ostiary.model.token import NewToken, Role
from ostiary.model.user import User
from ostiary.ops import authorities, certificates, enrolling, people, profiles, requests, revocation, sessions, tokens, users
from ostiary.ops.caller import Caller
from ostiary.ops.enrolling import Knocker
from ostiary.ops.idempotency import Once
from ostiary.ops.system import System
from ostiary.pki.holder import new_key_and_request
from support.certs import Authority as Elsewhere
from support.certs import csr, new_key
from support.made import a_certificate, an_authority
from support.signing_in import der
from support.systems import ADMIN, FakeClock, a_system, sqlite_url

BOB, ANN = Caller("bob", "operator"), Caller("ann", "auditor")
DEVICE = Knocker("192.0.2.9", "req-9")


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[System]:
    """The same on both databases."""
    url = sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    made = a_system(url, clock)
    yield made
    made.store.close()


@pytest.fixture
def staff(system: System) -> Authority:
    return an_authority(system, "Staff")


def a_user(system: System, name: str = "alice", role: Role = "admin", **asked: Any) -> User:
    return users.create(system, ADMIN, User(name=name, role=role, certificate=Holders(**asked or {"subject_cn": (name,)})))


def whose(system: System, certificate: Certificate) -> str:
    """Who signs in with it."""
    return sessions.by_certificate(system, der(certificate), "192.0.2.7", "req-7")[0].name


def refused(system: System, certificate: Certificate | str) -> str:
    """Why nobody does."""
    with pytest.raises(Denied) as why:
        sessions.by_certificate(system, der(certificate), "192.0.2.7", "req-7")
    return str(why.value)


# The noun.


def test_users_are_added_changed_and_removed(either: System) -> None:
    made = a_user(either, "alice", "operator")
    assert users.get(either, ADMIN, made.id) == made
    assert [one.name for one in users.find(either, BOB, Query()).items] == ["alice"]
    assert users.update(either, ADMIN, made.id, {"role": "admin"}).role == "admin"
    users.delete(either, ADMIN, made.id)
    with pytest.raises(NotFound):
        users.get(either, ADMIN, made.id)


def test_a_user_without_any_condition_would_be_everybody(system: System) -> None:
    with pytest.raises(ValueError, match="without a condition everybody"):
        User(name="alice", role="admin", certificate=Holders())
    user = a_user(system)
    with pytest.raises(Invalid, match="certificate"):
        users.update(system, ADMIN, user.id, {"certificate": Holders()})
    with pytest.raises(Invalid, match="certificate"):
        users.update(system, ADMIN, user.id, {"certificate": None})


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"authority_ids": ("nobody",)}, "certificate.authority_ids"),
        ({"profiles": ("nothing",)}, "certificate.profiles"),
        ({"groups": ("nobody is in it",)}, "certificate.groups"),
    ],
)
def test_conditions_speak_of_what_there_is(system: System, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as why:
        a_user(system, **asked)
    assert why.value.field == field


@pytest.mark.parametrize("caller", [BOB, ANN], ids=str)
def test_only_administrators_touch_users(system: System, caller: Caller) -> None:
    user = a_user(system)
    assert users.get(system, caller, user.id) == user
    new = User(name="eve", role="admin", certificate=Holders(subject_cn=("eve",)))
    for attempt in (
        lambda: users.create(system, caller, new),
        lambda: users.update(system, caller, user.id, {"role": "auditor"}),
        lambda: users.delete(system, caller, user.id),
    ):
        with pytest.raises(Denied):
            attempt()


def test_a_name_is_not_changed(system: System) -> None:
    with pytest.raises(Invalid, match="name"):
        users.update(system, ADMIN, a_user(system).id, {"name": "eve"})


# One name is one person.


@pytest.mark.parametrize("name", ["alice", "Alice", "admin", "ADMIN", "ostiary", "anonymous"])
def test_no_two_users_have_one_name(either: System, name: str) -> None:
    a_user(either, "alice")
    with pytest.raises(Conflict, match="name"):
        a_user(either, name)


def test_a_token_of_a_users_name_has_their_role(either: System) -> None:
    user = a_user(either, "alice", "operator")
    with pytest.raises(Conflict, match="one person has one role"):
        tokens.create(either, ADMIN, NewToken(name="alice", role="admin"))
    with pytest.raises(Conflict, match="called 'alice'"):
        tokens.create(either, ADMIN, NewToken(name="ALICE", role="operator"))
    tokens.create(either, ADMIN, NewToken(name="alice", role="operator"))
    with pytest.raises(Conflict, match="token of alice"):
        users.update(either, ADMIN, user.id, {"role": "admin"})
    with pytest.raises(Conflict, match="called 'alice'"):
        tokens.create(either, ADMIN, NewToken(name="alice", role="operator"))


def test_a_user_of_a_tokens_name_has_its_role(system: System, clock: FakeClock) -> None:
    tokens.create(system, ADMIN, NewToken(name="alice", role="operator"))
    with pytest.raises(Conflict, match="one person has one role"):
        a_user(system, "alice", "admin")
    with pytest.raises(Conflict, match="called 'alice'"):
        a_user(system, "Alice", "operator")
    assert a_user(system, "alice", "operator").role == "operator"
    clock.advance(days=91)
    a_user(system, "bob")
    tokens.create(system, ADMIN, NewToken(name="bob", role="admin"))


# Whose a certificate is.


def test_one_whose_conditions_fit_is_who_signs_in(system: System, staff: Authority) -> None:
    other = an_authority(system, "Others")
    a_user(system, "alice", authority_ids=(staff.id,), subject_cn=("alice",))
    a_user(system, "spare", fingerprints_sha256=("0" * 64,))
    assert whose(system, a_certificate(system, staff, "alice")) == "alice"
    assert "no user's" in refused(system, a_certificate(system, staff, "bob"))
    assert "no user's" in refused(system, a_certificate(system, other, "alice"))
    assert "no user's" in refused(system, a_certificate(system, staff, "alice2"))


def test_where_two_fit_nobody_signs_in(system: System, staff: Authority) -> None:
    a_user(system, "alice")
    a_user(system, "everybody", subject_cn=("*",))
    assert "fits 2 users" in refused(system, a_certificate(system, staff, "alice"))


def test_an_authority_below_is_of_the_authority_above(system: System) -> None:
    root = an_authority(system, "Root", kind="root")
    below = an_authority(system, "Below", kind="intermediate", parent_id=root.id)
    a_user(system, "alice", authority_ids=(root.id,))
    assert whose(system, a_certificate(system, below, "anything")) == "alice"


def test_conditions_on_an_authority_that_is_gone_fit_nobody(system: System, staff: Authority) -> None:
    gone = an_authority(system, "Gone")
    a_user(system, "alice", authority_ids=(gone.id,))
    authorities.delete(system, ADMIN, gone.id)
    assert "no user's" in refused(system, a_certificate(system, staff, "alice"))


def test_one_that_was_not_issued_here_is_nobodys(system: System, staff: Authority) -> None:
    """Also where somebody else signed the same names, even with the same serial number."""
    a_user(system, "alice", subject_cn=("alice",))
    held = a_certificate(system, staff, "alice")
    assert "not issued here" in refused(system, Elsewhere.root("Staff").client("alice").cert_pem)
    with pytest.raises(Denied, match="not issued here"):
        sessions.by_certificate(system, b"", "", "")
    assert whose(system, held) == "alice"


def test_one_whose_time_is_over_or_not_yet_come_is_refused(system: System, staff: Authority, clock: FakeClock) -> None:
    a_user(system)
    held = a_certificate(system, staff, "alice")
    now = clock.at
    clock.at = held.not_after
    clock.advance(seconds=1)
    assert "expired" in refused(system, held)
    clock.at = held.not_before
    clock.advance(seconds=-2)
    assert "not valid yet" in refused(system, held)
    clock.at = now
    assert whose(system, held) == "alice"


def test_one_of_an_authority_that_was_revoked_is_refused(system: System) -> None:
    root = an_authority(system, "Root", kind="root")
    below = an_authority(system, "Below", kind="intermediate", parent_id=root.id)
    a_user(system)
    held = a_certificate(system, below, "alice")
    assert whose(system, held) == "alice"
    revocation.revoke_authority(system, ADMIN, below.id, Revoke(reason="cACompromise"))
    assert "authority that issued" in refused(system, held)


# Nobody makes themselves an administrator.


def by(system: System, caller: Caller, staff: Authority, cn: str = "alice", **fields: Any) -> Certificate:
    return certificates.issue(system, caller, NewCertificate(authority_id=staff.id, csr=csr(new_key(), cn), **fields))


def test_a_certificate_that_an_operator_issued_signs_in_nobody(either: System) -> None:
    staff = an_authority(either, "Staff")
    a_user(either)
    assert "bob (operator) had a hand" in refused(either, by(either, BOB, staff))
    assert whose(either, by(either, ADMIN, staff)) == "alice"


def test_a_group_that_an_operator_gave_signs_in_nobody(system: System, staff: Authority) -> None:
    held = by(system, ADMIN, staff, groups=("admins",))
    a_user(system, groups=("admins",))
    assert whose(system, held) == "alice"
    others = by(system, ADMIN, staff, "somebody")
    certificates.update(system, BOB, others.id, {"groups": ("admins",)})
    assert "certificate:update" in refused(system, others)
    certificates.update(system, BOB, held.id, {"owner": "somebody else", "name": "another"})
    assert whose(system, held) == "alice"


def test_one_that_an_operator_renewed_signs_in_nobody(system: System, staff: Authority) -> None:
    """They bring their own key to another's names."""
    a_user(system)
    held = by(system, ADMIN, staff)
    renewed = certificates.renew(system, BOB, held.id, csr(new_key(), "alice"))
    assert "certificate:renew" in refused(system, renewed)
    assert whose(system, certificates.renew(system, ADMIN, held.id, csr(new_key(), "alice"))) == "alice"


def test_holders_renew_and_stay_who_they_are(system: System, staff: Authority, clock: FakeClock) -> None:
    a_user(system)
    held, operators = by(system, ADMIN, staff), by(system, BOB, staff)
    clock.at = held.not_after
    clock.advance(days=-1)
    for first, expected in ((held, "alice"), (operators, "")):
        second = enrolling.renew(system, DEVICE, der(first), new_key_and_request("x")[1])
        if expected:
            assert whose(system, second) == expected
        else:
            assert "bob (operator)" in refused(system, second)


def test_what_is_enrolled_with_an_operators_grant_signs_in_nobody(system: System, staff: Authority) -> None:
    a_user(system)
    names = RequestedNames(common_name="alice")
    for caller, expected in ((BOB, ""), (ADMIN, "alice")):
        wanted = NewToken(authority_id=staff.id, profile="client", names=names, owner=caller.name)
        token, secret = tokens.create(system, caller, wanted)
        held = enrolling.enroll(system, DEVICE, bytes(secret), new_key_and_request("x")[1])
        if expected:
            assert whose(system, held) == expected
            tokens.delete(system, ADMIN, token.id)  # who granted it, the record knows still
            assert whose(system, held) == expected
        else:
            assert "bob (operator) had a hand" in refused(system, held)


def test_what_an_operator_approved_signs_in_nobody(system: System, staff: Authority) -> None:
    profiles.update(system, ADMIN, "client", {"approval": "one"})
    a_user(system)
    for approver, expected in ((Caller("carl", "operator"), ""), (ADMIN, "alice")):
        new = NewCertificate(authority_id=staff.id, csr=csr(new_key(), "alice"), profile="client")
        waiting = requests.submit(system, BOB, new, Once(key=approver.name, request_sha256=approver.name))
        approved = requests.approve(system, approver, waiting.id)
        held = certificates.get(system, ADMIN, approved.certificate_id or "")
        if expected:
            assert whose(system, held) == expected
        else:
            assert "carl (operator) had a hand" in refused(system, held)


def test_what_the_admin_token_is_called_on_record_says_nothing_of_it() -> None:
    one, other = people.admin_id("a" * 32), people.admin_id("b" * 32)
    assert one != other
    assert one == people.admin_id("a" * 32)
    assert (one[:6], len(one)) == ("admin-", 30)
