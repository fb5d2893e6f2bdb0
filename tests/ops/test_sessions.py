"""Signing in, being signed in, signing out: what gets in, how often, and when it ends."""

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ostiary.errors import Denied, NotFound
from ostiary.model.access import Holders
from ostiary.model.authority import Certificate
from ostiary.model.query import Query
from ostiary.model.revocation import Reason, Revoke
from ostiary.model.session import Session
from ostiary.model.token import NewToken, Role, Token
from ostiary.model.user import User
from ostiary.ops import audit, certificates, people, revocation, sessions, sign_in_links, tokens, users
from ostiary.ops.caller import SYSTEM, Caller
from ostiary.ops.system import System
from support.made import a_certificate, an_authority
from support.signing_in import der, who
from support.systems import ADMIN, FakeClock, a_system, sqlite_url

FROM = ("192.0.2.7", "req-7")


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[System]:
    """The same on both databases."""
    url = sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    made = a_system(url, clock)
    yield made
    made.store.close()


def a_token(system: System, name: str = "bob", role: Role = "operator") -> tuple[Token, bytes]:
    token, secret = tokens.create(system, ADMIN, NewToken(name=name, role=role))
    return token, bytes(secret)


def a_link(system: System, caller: Caller = ADMIN) -> bytes:
    return bytes(sign_in_links.make(system, caller))


def a_user(system: System, name: str = "alice", role: Role = "admin", **asked: Any) -> User:
    return users.create(system, ADMIN, User(name=name, role=role, certificate=Holders(**asked or {"subject_cn": (name,)})))


def with_token(system: System, secret: bytes) -> tuple[Session, bytes]:
    session, key = sessions.by_token(system, secret, False, *FROM)
    return session, bytes(key)


def as_admin(system: System) -> tuple[Session, bytes]:
    session, key = sessions.by_token(system, b"whatever the edge has looked at", True, *FROM)
    return session, bytes(key)


def with_certificate(system: System, certificate: Certificate) -> tuple[Session, bytes]:
    session, key = sessions.by_certificate(system, der(certificate), *FROM)
    return session, bytes(key)


def at_once(count: int, do: Callable[[], object]) -> None:
    together = threading.Barrier(count)

    def come() -> None:
        together.wait()
        do()

    threads = [threading.Thread(target=come) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def recorded(system: System) -> list[dict[str, Any]]:
    return audit.find(system, ADMIN, limit=1000)


# Links.


def test_a_link_signs_in_whoever_made_it_and_once(either: System) -> None:
    _, secret = a_token(either)
    bob = tokens.holder(either, secret, "192.0.2.1", "req-1")
    assert bob is not None
    link = a_link(either, bob)
    offered = sign_in_links.offered(either, link)
    assert offered is not None
    assert (offered.name, offered.role) == ("bob", "operator")
    session, key = sessions.by_link(either, link, *FROM)
    assert (session.name, session.role, session.how, session.source) == ("bob", "operator", "link", FROM[0])
    assert who(either, bytes(key)) == Caller("bob", "operator", "192.0.2.8", "req-8")
    assert sign_in_links.offered(either, link) is None
    with pytest.raises(Denied, match="was used"):
        sessions.by_link(either, link, *FROM)


def test_of_all_who_come_with_one_link_one_gets_in(either: System) -> None:
    link = a_link(either)
    inside: list[Session] = []
    refused: list[Denied] = []

    def come() -> None:
        try:
            inside.append(sessions.by_link(either, link, *FROM)[0])
        except Denied as denied:
            refused.append(denied)

    at_once(12, come)
    assert (len(inside), len(refused)) == (1, 11)
    assert [one.id for one in sessions.find(either, ADMIN)] == [inside[0].id]


def test_looking_at_a_link_does_not_use_it_up(system: System) -> None:
    link = a_link(system)
    for _ in range(3):
        assert sign_in_links.offered(system, link) is not None
    assert sessions.by_link(system, link, *FROM)[0].name == "admin"


def test_a_link_is_good_for_a_quarter_of_an_hour(system: System, clock: FakeClock) -> None:
    link = a_link(system)
    clock.advance(minutes=14, seconds=59)
    assert sign_in_links.offered(system, link) is not None
    clock.advance(seconds=1)
    assert sign_in_links.offered(system, link) is None
    with pytest.raises(Denied):
        sessions.by_link(system, link, *FROM)
    assert sign_in_links.forget_old(system) == 1
    assert sign_in_links.forget_old(system) == 0


def test_a_clock_that_is_put_back_makes_no_link_last_longer(system: System, clock: FakeClock) -> None:
    link = a_link(system)
    clock.advance(hours=-2)
    assert sign_in_links.offered(system, link) is None


def test_a_link_of_somebody_who_is_gone_opens_nothing(system: System) -> None:
    token, secret = a_token(system)
    bob = tokens.holder(system, secret, "", "")
    assert bob is not None
    link = a_link(system, bob)
    tokens.delete(system, ADMIN, token.id)
    assert sign_in_links.offered(system, link) is None
    with pytest.raises(Denied):
        sessions.by_link(system, link, *FROM)
    with pytest.raises(Denied, match="nobody called bob"):
        a_link(system, bob)


@pytest.mark.parametrize(
    "caller", [SYSTEM, Caller("anonymous", "public"), Caller("token:1", "enrolling"), Caller("x", "admin")], ids=str
)
def test_who_is_no_person_makes_no_link(system: System, caller: Caller) -> None:
    with pytest.raises(Denied):
        a_link(system, caller)


def test_what_is_not_good_is_refused_in_the_same_words(system: System, clock: FakeClock) -> None:
    old = a_link(system)
    clock.advance(hours=1)
    used = a_link(system)
    sessions.by_link(system, used, *FROM)
    said = set()
    for secret in (old, used, b"", b"ol_never-was", "ol_ü".encode(), b"os_" + used[3:]):
        with pytest.raises(Denied) as refused:
            sessions.by_link(system, secret, *FROM)
        said.add(str(refused.value))
    assert len(said) == 1


# Tokens.


def test_a_token_signs_in_its_holder(either: System) -> None:
    token, secret = a_token(either)
    session, key = with_token(either, secret)
    assert (session.name, session.role, session.how, session.token_id) == ("bob", "operator", "token", token.id)
    assert who(either, key) == Caller("bob", "operator", "192.0.2.8", "req-8")


def test_the_admin_token_signs_in_the_administrator(system: System) -> None:
    session, key = as_admin(system)
    assert (session.name, session.role) == ("admin", "admin")
    assert who(system, key) == Caller("admin", "admin", "192.0.2.8", "req-8")


def test_a_wrong_token_signs_in_nobody(system: System, clock: FakeClock) -> None:
    gone, secret = a_token(system, "gone")
    tokens.delete(system, ADMIN, gone.id)
    _, old = a_token(system, "old")
    clock.advance(days=91)
    for bad in (secret, old, b"", b"oa_wrong", b"os_x", "oa_ü".encode()):
        with pytest.raises(Denied, match="not good"):
            with_token(system, bad)


def test_sessions_end_with_their_token(system: System) -> None:
    token, secret = a_token(system)
    _, by_token = with_token(system, secret)
    bob = tokens.holder(system, secret, "", "")
    assert bob is not None
    _, by_link = sessions.by_link(system, a_link(system, bob), *FROM)
    tokens.delete(system, ADMIN, token.id)
    assert who(system, by_token) is None
    assert who(system, bytes(by_link)) is None
    a_token(system)  # another bob, who has nothing to do with it
    assert who(system, by_token) is None
    assert sessions.find(system, ADMIN) == ()


def test_a_session_lasts_no_longer_than_its_token(system: System, clock: FakeClock) -> None:
    _, secret = tokens.create(system, ADMIN, NewToken(name="bob", role="operator", expires_in=timedelta(minutes=30)))
    _, key = with_token(system, bytes(secret))
    clock.advance(minutes=29)
    assert who(system, key) is not None
    clock.advance(minutes=1)
    assert who(system, key) is None


def test_another_admin_token_ends_what_the_one_before_began(system: System) -> None:
    """A token that leaked is replaced, and whoever signed in with it is out."""
    before = replace(system, admin_id=people.admin_id("the token that leaked, 32 characters"))
    after = replace(system, admin_id=people.admin_id("the one in its place, 32 characters!"))
    _, key = as_admin(before)
    link = a_link(before)
    assert who(before, key) is not None
    assert who(after, key) is None
    assert sign_in_links.offered(after, link) is None
    with pytest.raises(Denied):
        sessions.by_link(after, link, *FROM)
    # Another ostiary on the same database has a token of its own; it ends nothing here.
    assert who(before, key) is not None


# Certificates.


def test_a_users_certificate_signs_them_in(either: System) -> None:
    staff = an_authority(either, "Staff")
    user = a_user(either, "alice", authority_ids=(staff.id,), subject_cn=("alice",))
    held = a_certificate(either, staff, "alice")
    session, key = with_certificate(either, held)
    assert (session.name, session.role, session.how, session.user_id) == ("alice", "admin", "certificate", user.id)
    assert session.fingerprint_sha256 == held.fingerprint_sha256
    assert who(either, key, held) == Caller("alice", "admin", "192.0.2.8", "req-8")


def test_the_cookie_is_good_only_together_with_the_certificate(system: System) -> None:
    staff = an_authority(system, "Staff")
    a_user(system, "alice")
    a_user(system, "bob")
    held, others = a_certificate(system, staff, "alice"), a_certificate(system, staff, "bob")
    _, key = with_certificate(system, held)
    assert who(system, key, None) is None
    assert who(system, key, others) is None
    found = sessions.current(system, key, certificate=b"no certificate", source="", request_id="")
    assert found is None
    assert who(system, key, held) is not None  # whoever has only the cookie cannot sign out whose it is


@pytest.mark.parametrize("reason", ["keyCompromise", "certificateHold", "superseded"])
def test_a_session_ends_when_its_certificate_is_revoked_or_put_on_hold(system: System, reason: Reason) -> None:
    staff = an_authority(system, "Staff")
    a_user(system)
    held = a_certificate(system, staff, "alice")
    _, key = with_certificate(system, held)
    revocation.revoke(system, ADMIN, held.id, Revoke(reason=reason))
    assert who(system, key, held) is None
    with pytest.raises(Denied, match="revoked or is on hold"):
        with_certificate(system, held)


def test_a_session_from_before_a_hold_is_over_also_when_nobody_came_meanwhile(system: System, clock: FakeClock) -> None:
    staff = an_authority(system, "Staff")
    a_user(system)
    held = a_certificate(system, staff, "alice")
    _, key = with_certificate(system, held)
    clock.advance(seconds=1)
    revocation.revoke(system, ADMIN, held.id, Revoke(reason="certificateHold"))
    revocation.revoke(system, ADMIN, held.id, Revoke(reason="removeFromCRL"))
    assert who(system, key, held) is None
    assert who(system, with_certificate(system, held)[1], held) is not None


def test_a_session_ends_when_its_certificate_expires(system: System, clock: FakeClock) -> None:
    staff = an_authority(system, "Staff")
    a_user(system)
    held = a_certificate(system, staff, "alice", lifetime=timedelta(hours=2))
    clock.at = held.not_after - timedelta(minutes=10)
    _, key = with_certificate(system, held)
    clock.advance(minutes=9)
    assert who(system, key, held) is not None
    clock.advance(minutes=2)
    assert who(system, key, held) is None


def test_a_session_ends_with_its_user(system: System, clock: FakeClock) -> None:
    staff = an_authority(system, "Staff")
    held = a_certificate(system, staff, "alice")
    changes: list[Callable[[User], object]] = [
        lambda user: users.delete(system, ADMIN, user.id),
        lambda user: users.update(system, ADMIN, user.id, {"role": "auditor"}),
        lambda user: users.update(system, ADMIN, user.id, {"certificate": Holders(subject_cn=("somebody else",))}),
    ]
    for change in changes:
        user = a_user(system)
        _, key = with_certificate(system, held)
        clock.advance(seconds=1)
        change(user)
        assert who(system, key, held) is None
        for left in users_of(system):
            users.delete(system, ADMIN, left.id)


def test_a_role_that_was_given_and_taken_back_meanwhile_ends_a_session(system: System, clock: FakeClock) -> None:
    staff = an_authority(system, "Staff")
    held, user = a_certificate(system, staff, "alice"), a_user(system)
    _, key = with_certificate(system, held)
    clock.advance(seconds=1)
    for role in ("auditor", "admin"):
        users.update(system, ADMIN, user.id, {"role": role})
    assert who(system, key, held) is None


def test_a_session_ends_when_two_users_could_be_meant(system: System) -> None:
    staff = an_authority(system, "Staff")
    a_user(system)
    held = a_certificate(system, staff, "alice")
    _, key = with_certificate(system, held)
    second = a_user(system, "second", authority_ids=(staff.id,))
    assert who(system, key, held) is None
    users.delete(system, ADMIN, second.id)
    assert who(system, key, held) is None


def test_who_leaves_a_group_loses_the_session_that_it_gave(system: System, clock: FakeClock) -> None:
    staff = an_authority(system, "Staff")
    held = a_certificate(system, staff, "alice", groups=("admins",))
    a_user(system, groups=("admins",))
    _, key = with_certificate(system, held)
    clock.advance(seconds=1)
    certificates.update(system, ADMIN, held.id, {"groups": ()})
    assert who(system, key, held) is None


def test_a_session_with_a_certificate_makes_no_link_that_asks_for_none(system: System) -> None:
    staff = an_authority(system, "Staff")
    a_user(system)
    held = a_certificate(system, staff, "alice")
    caller = who(system, with_certificate(system, held)[1], held)
    assert caller is not None
    with pytest.raises(Denied, match="certificate"):
        a_link(system, caller)


def test_a_link_made_in_a_session_hangs_on_what_the_session_hangs_on(system: System) -> None:
    token, secret = a_token(system)
    _, key = with_token(system, secret)
    caller = who(system, key)
    assert caller is not None
    session, second = sessions.by_link(system, a_link(system, caller), *FROM)
    assert session.token_id == token.id
    sessions.end_all(system, caller, "bob")
    with pytest.raises(Denied, match="ended"):
        a_link(system, caller)
    assert who(system, bytes(second)) is None


def users_of(system: System) -> tuple[User, ...]:
    return users.find(system, ADMIN, Query()).items


# Time.


def test_a_session_ends_after_twelve_hours_however_much_it_is_used(system: System, clock: FakeClock) -> None:
    session, key = as_admin(system)
    while clock.at < session.expires_at - timedelta(minutes=30):
        assert who(system, key) is not None
        clock.advance(minutes=30)
    clock.at = session.expires_at - timedelta(seconds=1)
    assert who(system, key) is not None
    clock.advance(seconds=1)
    assert who(system, key) is None


def test_a_session_that_nobody_uses_ends_after_an_hour(system: System, clock: FakeClock) -> None:
    _, key = as_admin(system)
    clock.advance(minutes=59)
    assert who(system, key) is not None
    clock.advance(minutes=59)
    assert who(system, key) is not None
    clock.advance(minutes=60)
    assert who(system, key) is None


@pytest.mark.parametrize("hours", [-13, -2])
def test_a_clock_that_is_put_back_makes_no_session_last_longer(system: System, clock: FakeClock, hours: int) -> None:
    _, key = as_admin(system)
    clock.advance(hours=hours)
    assert who(system, key) is None
    clock.advance(hours=-hours)
    assert who(system, key) is None  # and what was over once stays so


def test_clocks_that_differ_by_a_little_end_nothing(system: System, clock: FakeClock) -> None:
    _, key = as_admin(system)
    clock.advance(minutes=-3)
    assert who(system, key) is not None


def test_that_it_is_used_is_noted_once_a_minute_and_not_on_record(system: System, clock: FakeClock) -> None:
    session, key = as_admin(system)
    before, commits = len(recorded(system)), system.store.commits
    for _ in range(5):
        clock.advance(seconds=10)
        assert who(system, key) is not None
    assert system.store.commits == commits
    clock.advance(seconds=20)
    assert who(system, key) is not None
    assert system.store.commits > commits
    assert len(recorded(system)) == before
    assert sessions.get(system, ADMIN, session.id).seen_at > session.seen_at


def test_old_sessions_are_forgotten_and_good_ones_stay(system: System, clock: FakeClock) -> None:
    _, used = as_admin(system)
    as_admin(system)
    clock.advance(minutes=50)
    assert who(system, used) is not None
    assert sessions.forget_old(system) == 0
    clock.advance(minutes=20)
    assert sessions.forget_old(system) == 1
    assert who(system, used) is not None
    assert len(sessions.find(system, ADMIN)) == 1


def test_what_goes_on_in_a_session_may_go_on_while_it_lasts_and_looking_is_no_use(system: System, clock: FakeClock) -> None:
    session, _ = as_admin(system)
    clock.advance(minutes=59)
    assert sessions.goes_on(system, session, None)
    clock.advance(minutes=1)
    assert not sessions.goes_on(system, session, None)
    session, _ = as_admin(system)
    sessions.end(system, ADMIN, session.id)
    assert not sessions.goes_on(system, session, None)


def test_sessions_survive_a_restart(tmp_path: Path, clock: FakeClock) -> None:
    before = a_system(sqlite_url(tmp_path), clock)
    _, key = as_admin(before)
    before.store.close()
    after = a_system(sqlite_url(tmp_path), clock)
    assert who(after, key) is not None
    after.store.close()


# Ending.


def test_who_signs_out_is_out(system: System) -> None:
    session, key = as_admin(system)
    other, other_key = as_admin(system)
    caller = who(system, key)
    assert caller is not None
    sessions.end(system, caller, session.id)
    assert who(system, key) is None
    assert who(system, other_key) is not None
    assert [one.id for one in sessions.find(system, ADMIN)] == [other.id]
    with pytest.raises(NotFound):
        sessions.end(system, caller, session.id)


def test_people_see_and_end_their_own_sessions_and_administrators_all(system: System) -> None:
    _, secret = a_token(system, "bob", "operator")
    _, anns = a_token(system, "ann", "auditor")
    bobs, key = with_token(system, secret)
    mine, _ = with_token(system, anns)
    admins, _ = as_admin(system)
    bob, ann = Caller("bob", "operator"), Caller("ann", "auditor")
    assert [one.id for one in sessions.find(system, bob)] == [bobs.id]
    assert {one.id for one in sessions.find(system, ADMIN)} == {bobs.id, mine.id, admins.id}
    for caller, others in ((bob, admins), (bob, mine), (ann, bobs)):
        with pytest.raises(NotFound):
            sessions.end(system, caller, others.id)
        with pytest.raises(NotFound):
            sessions.get(system, caller, others.id)
        with pytest.raises(Denied):
            sessions.end_all(system, caller, others.name)
    sessions.end(system, ann, mine.id)
    assert sessions.end_all(system, ADMIN, "bob") == 1
    assert who(system, key) is None


def test_signing_out_everywhere_takes_links_along(system: System) -> None:
    link = a_link(system)
    _, key = as_admin(system)
    assert sessions.end_all(system, ADMIN, "admin") == 1
    assert who(system, key) is None
    assert sign_in_links.offered(system, link) is None


# Secrets.


def test_a_session_has_a_secret_of_its_own_whatever_came_before(system: System) -> None:
    """Nobody can have a session begun under a secret that they know (fixation)."""
    secrets = {as_admin(system)[1] for _ in range(20)}
    assert len(secrets) == 20
    assert all(secret.startswith(b"os_") and len(secret) == 35 for secret in secrets)


def test_of_secrets_only_digests_are_kept(system: System, tmp_path: Path) -> None:
    link = a_link(system)
    session, key = sessions.by_link(system, link, *FROM)
    second = a_link(system)
    with pytest.raises(Denied):
        sessions.by_link(system, b"ol_a-wrong-one", *FROM)
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for secret in (link, bytes(key), second, b"ol_a-wrong-one"):
        assert secret not in stored
    assert tokens.digest(bytes(key)).encode() in stored
    record = json.dumps(recorded(system))
    for secret in (link, bytes(key), second):
        assert secret.decode() not in record
        assert tokens.digest(secret) not in record
    assert bytes(key).decode() not in repr((session, key))


@pytest.mark.parametrize("secret", [b"", b"os_", b"os_wrong", b"oa_wrong", "os_ü".encode(), b"os_" + b"x" * 10_000])
def test_a_secret_that_is_none_is_nobodys(system: System, secret: bytes) -> None:
    as_admin(system)
    assert who(system, secret) is None


def test_a_form_of_one_session_is_good_in_no_other(system: System) -> None:
    (_, mine), (_, yours) = as_admin(system), as_admin(system)
    form = sessions.csrf(mine)
    assert form == sessions.csrf(mine)
    assert mine.decode() not in form
    assert form != hmac.new(mine, b"", hashlib.sha256).hexdigest()
    assert sessions.csrf_matches(mine, form)
    for wrong in ("", form[:-1], form.upper() if form != form.upper() else "x", sessions.csrf(yours), "\udcff", "é"):
        assert not sessions.csrf_matches(mine, wrong)


# The record.


def test_signing_in_and_out_is_on_record(system: System) -> None:
    session, _ = sessions.by_link(system, a_link(system), *FROM)
    sessions.end(system, Caller("admin", "admin", *FROM), session.id)
    told = [(one["action"], one["kind"], one["actor"], one["source"]) for one in recorded(system)]
    assert told == [
        ("sign-in-link:create", "sign_in_link", "admin", ADMIN.source),
        ("session:begin", "sign_in_link", "admin", FROM[0]),
        ("session:begin", "session", "admin", FROM[0]),
        ("session:end", "session", "admin", FROM[0]),
    ]
    assert audit.verify(system, ADMIN).problem is None


def test_who_cannot_sign_in_is_on_record_and_cannot_fill_it(system: System, clock: FakeClock) -> None:
    def fail(source: str) -> None:
        with pytest.raises(Denied):
            sessions.by_token(system, b"oa_wrong", False, source, "req-1")

    fail("192.0.2.1")
    for number in range(500):
        fail(f"198.51.100.{number % 250}")
    assert [one["after"]["refused"] for one in recorded(system)] == [1]
    assert sessions.tell_refused(system) == 0
    clock.advance(minutes=1)
    assert sessions.tell_refused(system) == 1
    assert sessions.tell_refused(system) == 0
    first, rest = recorded(system)
    assert (first["action"], first["after"]) == ("session:refuse", {"refused": 1, "by": {"token": 1}, "sources": ["192.0.2.1"]})
    assert (rest["after"]["refused"], rest["after"]["by"], len(rest["after"]["sources"])) == (500, {"token": 500}, 10)


def test_an_auditor_signs_in_too(system: System) -> None:
    _, secret = a_token(system, "ann", "auditor")
    ann = who(system, with_token(system, secret)[1])
    assert ann == Caller("ann", "auditor", "192.0.2.8", "req-8")
    assert sessions.by_link(system, a_link(system, Caller("ann", "auditor")), *FROM)[0].role == "auditor"
