"""Sessions under any order of events: what was over once never comes back, and nothing ends that nobody ended."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from ostiary.errors import Conflict, Denied
from ostiary.model.access import Holders
from ostiary.model.authority import Certificate
from ostiary.model.revocation import Revoke
from ostiary.model.session import SESSION_IDLE, SESSION_LIFETIME, Session
from ostiary.model.token import NewToken
from ostiary.model.user import User
from ostiary.ops import people, revocation, sessions, sign_in_links, tokens, users
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from support.made import a_certificate, an_authority
from support.signing_in import der, who
from support.systems import ADMIN, FakeClock, a_store, a_system, sqlite_url

FROM = ("192.0.2.7", "req-7")
# Odd, so that no sum of them is the very end of something: the clock moves by a little with every look at it.
STEPS = (5.0, 20.0, 61.0, 63.0, 301.0, 1867.0, 3541.0, 10807.0, -47.0)


@cache
def _empty() -> bytes:
    """A database with nothing in it."""
    with tempfile.TemporaryDirectory() as folder:
        a_store(sqlite_url(Path(folder))).close()
        return (Path(folder) / "ostiary.db").read_bytes()


@dataclass
class Known:
    """A session as it should be. `stands_on` are the things that it ends with."""

    session: Session
    secret: bytes
    stands_on: frozenset[str]
    certificate: Certificate | None
    seen: datetime
    over: bool = False


@dataclass
class People:
    """Who there is: each thing that a session can stand on, by a name of its own; `gone` are those that are no more."""

    token: tuple[str, bytes] | None = None
    user: User | None = None
    held: Certificate | None = None
    on_hold: bool = False
    generation: int = 0
    admin: int = 0
    links: list[tuple[bytes, frozenset[str], datetime]] = field(default_factory=list)


class Machine(RuleBasedStateMachine):
    """One system and everything that people do with it, beside a model that is simple enough to be believed."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        (Path(self.folder.name) / "ostiary.db").write_bytes(_empty())  # quicker than to migrate each time
        self.system: System = a_system(sqlite_url(Path(self.folder.name)), self.clock)
        self.people = People()
        self.known: list[Known] = []

    @initialize()
    def somebody_is_there(self) -> None:
        self.staff = an_authority(self.system, "Staff")
        self.people.held = a_certificate(self.system, self.staff, "alice", lifetime=timedelta(days=9))
        self.be_admin()
        self.have_a_token()
        self.have_a_user()
        self.the_administrator_signs_in()
        self.bob_signs_in()
        self.alice_signs_in()

    def teardown(self) -> None:
        self.everybody_comes()
        self.system.store.close()
        self.folder.cleanup()

    # Who there is.

    def be_admin(self) -> None:
        self.people.admin += 1
        self.system = replace(self.system, admin_id=people.admin_id(f"token number {self.people.admin}"))

    def _mark(self, what: str) -> str:
        self.people.generation += 1
        return f"{what} {self.people.generation}"

    @precondition(lambda self: self.people.token is None)
    @rule()
    def have_a_token(self) -> None:
        self.token, secret = tokens.create(self.system, ADMIN, NewToken(name="bob", role="operator"))
        self.people.token = (self._mark("token"), bytes(secret))

    @precondition(lambda self: self.people.user is None)
    @rule()
    def have_a_user(self) -> None:
        wanted = User(name="alice", role="admin", certificate=Holders(subject_cn=("alice",)))
        self.people.user = users.create(self.system, ADMIN, wanted)
        self.user_mark, self.card_mark = self._mark("user"), self._mark("certificate")

    def _end(self, *marks: str) -> None:
        for one in self.known:
            one.over = one.over or bool(one.stands_on & set(marks))
        self.people.links = [link for link in self.people.links if not link[1] & set(marks)]

    # What happens.

    @precondition(lambda self: self.people.token is not None)
    @rule()
    def the_token_is_deleted(self) -> None:
        tokens.delete(self.system, ADMIN, self.token.id)
        assert self.people.token is not None
        self._end(self.people.token[0])
        self.people.token = None

    @precondition(lambda self: self.people.user is not None)
    @rule(how=st.sampled_from(["delete", "role there and back", "certificate there and back"]))
    def the_user_is_changed(self, how: str) -> None:
        user = self.people.user
        assert user is not None
        self._end(self.user_mark)
        if how == "delete":
            users.delete(self.system, ADMIN, user.id)
            self.people.user = None
            return
        changes: list[dict[str, Any]] = [{"role": "auditor"}, {"role": "admin"}]
        if how != "role there and back":
            changes = [{"certificate": Holders(subject_cn=("x",))}, {"certificate": Holders(subject_cn=("alice",))}]
        for change in changes:
            users.update(self.system, ADMIN, user.id, change)
        self.user_mark = self._mark("user")

    @rule(times=st.sampled_from([1, 1, 2]))
    def the_certificate_is_put_on_hold_or_released(self, times: int) -> None:
        assert self.people.held is not None
        for _ in range(times):
            self.people.on_hold = not self.people.on_hold
            wanted = Revoke(reason="certificateHold" if self.people.on_hold else "removeFromCRL")
            revocation.revoke(self.system, ADMIN, self.people.held.id, wanted)
        self._end(self.card_mark)
        self.card_mark = self._mark("certificate")

    @rule()
    def the_admin_token_is_replaced(self) -> None:
        self._end(f"admin {self.people.admin}")
        self.be_admin()

    @rule(seconds=st.sampled_from(STEPS))
    def time_goes_by(self, seconds: float) -> None:
        self.clock.advance(seconds=seconds)

    @rule(really=st.sampled_from([False, False, False, True]))
    def the_clock_is_put_back_for_a_while(self, really: bool) -> None:  # noqa: FBT001 (hypothesis names it)
        if not really:  # for it ends all sessions there are
            return
        self.clock.advance(minutes=-20)
        self.everybody_comes()
        self.clock.advance(minutes=20)

    @rule()
    def old_ones_are_forgotten(self) -> None:
        sessions.forget_old(self.system)
        sign_in_links.forget_old(self.system)

    # Signing in.

    def _begun(self, made: tuple[Session, Any], stands_on: frozenset[str], certificate: Certificate | None = None) -> None:
        session, secret = made
        self.known.append(Known(session, bytes(secret), stands_on, certificate, session.seen_at))

    @rule()
    def the_administrator_signs_in(self) -> None:
        made = sessions.by_token(self.system, b"", True, *FROM)
        self._begun(made, frozenset({f"admin {self.people.admin}"}))

    @precondition(lambda self: self.people.token is not None)
    @rule()
    def bob_signs_in(self) -> None:
        assert self.people.token is not None
        mark, secret = self.people.token
        self._begun(sessions.by_token(self.system, secret, False, *FROM), frozenset({mark}))

    @rule()
    def alice_signs_in(self) -> None:
        held = self.people.held
        assert held is not None
        good = self.people.user is not None and not self.people.on_hold and self.clock.at < held.not_after
        try:
            made = sessions.by_certificate(self.system, der(held), *FROM)
        except Denied:
            assert not good
        else:
            assert good
            self._begun(made, frozenset({self.user_mark, self.card_mark}), held)

    @precondition(lambda self: self.people.token is not None)
    @rule(as_admin=st.booleans())
    def a_link_is_made(self, as_admin: bool) -> None:  # noqa: FBT001 (hypothesis names it)
        assert self.people.token is not None
        caller = ADMIN if as_admin else Caller("bob", "operator")
        link = bytes(sign_in_links.make(self.system, caller))
        mark = f"admin {self.people.admin}" if as_admin else self.people.token[0]
        self.people.links.append((link, frozenset({mark}), self.clock.at + timedelta(minutes=15)))

    @precondition(lambda self: self.people.links)
    @rule(which=st.randoms(use_true_random=False))
    def a_link_is_followed_and_once_more(self, which: Any) -> None:
        link, stands_on, until = self.people.links.pop(which.randrange(len(self.people.links)))
        if abs(self.clock.at - until) < timedelta(seconds=1):
            return
        if self.clock.at < until:
            self._begun(sessions.by_link(self.system, link, *FROM), stands_on)
        with pytest.raises(Denied):
            sessions.by_link(self.system, link, *FROM)

    # Being signed in.

    @precondition(lambda self: self.known)
    @rule(which=st.randoms(use_true_random=False))
    def somebody_signs_out(self, which: Any) -> None:
        one = which.choice(self.known)
        if one.over or not self._in_time(one):
            return
        sessions.end(self.system, ADMIN, one.session.id)
        one.over = True

    @precondition(lambda self: self.known)
    @rule(which=st.randoms(use_true_random=False))
    def a_thief_comes_with_the_cookie_alone(self, which: Any) -> None:
        one = which.choice(self.known)
        if one.certificate is not None:
            assert who(self.system, one.secret, None) is None

    @precondition(lambda self: self.known)
    @rule()
    def everybody_comes(self) -> None:
        for one in self.known:
            expected = not one.over and self._in_time(one)
            assert (who(self.system, one.secret, one.certificate) is not None) == expected, one
            if expected and self.clock.at - one.seen >= timedelta(minutes=1):
                one.seen = self.clock.at
            one.over = not expected

    def _in_time(self, one: Known) -> bool:
        now = self.clock.at
        held = one.certificate
        return (
            now < one.session.expires_at
            and now < one.seen + SESSION_IDLE
            and (held is None or now < held.not_after)
            and now >= one.session.expires_at - SESSION_LIFETIME - people.SKEW
            and now >= one.seen - people.SKEW
        )


Machine.TestCase.settings = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),  # to explain takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestAnyOrderOfEvents = Machine.TestCase


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    url = sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    made = a_system(url)
    yield made
    made.store.close()


@pytest.mark.parametrize("how", ["signed out", "token deleted"])
def test_once_it_has_ended_nobody_gets_in_however_many_come_meanwhile(either: System, how: str) -> None:
    """Each look of theirs is one that notes it as used, which must not bring it back."""
    clock = either.clock
    assert isinstance(clock, FakeClock)
    for _ in range(5):
        token, secret = tokens.create(either, ADMIN, NewToken(name="bob", role="operator"))
        session, key = sessions.by_token(either, bytes(secret), False, *FROM)
        clock.advance(minutes=2)
        ends: dict[str, Callable[[], None]] = {
            "signed out": lambda one=session.id: sessions.end(either, ADMIN, one),  # type: ignore[misc]
            "token deleted": lambda one=token.id: tokens.delete(either, ADMIN, one),  # type: ignore[misc]
        }
        ended = threading.Event()
        late: list[object] = []

        def come(key: bytes = bytes(key), ended: threading.Event = ended, late: list[object] = late) -> None:
            for _ in range(6):
                after = ended.is_set()
                found = who(either, key)
                if after:
                    late.append(found)

        threads = [threading.Thread(target=come) for _ in range(6)]
        for thread in threads:
            thread.start()
        ends[how]()
        ended.set()
        for thread in threads:
            thread.join()
        late.append(who(either, bytes(key)))
        assert set(late) == {None}
        if how == "signed out":
            tokens.delete(either, ADMIN, token.id)


def test_a_user_and_a_token_made_at_once_never_part_in_role(either: System) -> None:
    """One name is one person, whoever comes first."""
    together = threading.Barrier(2)
    refused: list[Conflict] = []

    def add(do: Callable[[], object]) -> None:
        together.wait()
        try:
            do()
        except Conflict as conflict:
            refused.append(conflict)

    wanted = User(name="alice", role="admin", certificate=Holders(subject_cn=("alice",)))
    attempts = (
        lambda: users.create(either, ADMIN, wanted),
        lambda: tokens.create(either, ADMIN, NewToken(name="alice", role="operator")),
    )
    threads = [threading.Thread(target=add, args=(attempt,)) for attempt in attempts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
