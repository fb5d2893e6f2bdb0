"""Signing in, being signed in, signing out: what gets in, how often, and when it ends."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ostiary.errors import Denied
from ostiary.model.session import Session
from ostiary.model.token import NewToken, Role, Token
from ostiary.ops import sessions, sign_in_links, tokens
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from support.systems import ADMIN, a_system, sqlite_url

FROM = ("192.0.2.7", "req-7")


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """The same on both databases."""
    url = sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    made = a_system(url)
    yield made
    made.store.close()


def a_token(system: System, name: str = "bob", role: Role = "operator", **fields: object) -> tuple[Token, bytes]:
    token, secret = tokens.create(system, ADMIN, NewToken(name=name, role=role, **fields))  # type: ignore[arg-type]
    return token, bytes(secret)


def a_link(system: System, caller: Caller = ADMIN) -> bytes:
    return bytes(sign_in_links.make(system, caller))


def signed_in(system: System) -> tuple[Session, bytes]:
    session, secret = sessions.by_token(system, b"", True, *FROM)
    return session, bytes(secret)


def who(system: System, secret: bytes) -> Caller | None:
    found = sessions.current(system, secret, certificate=None, source="192.0.2.8", request_id="req-8")
    return found[1] if found is not None else None


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
    together = threading.Barrier(12)
    inside: list[Session] = []
    refused: list[Denied] = []

    def come() -> None:
        together.wait()
        try:
            inside.append(sessions.by_link(either, link, *FROM)[0])
        except Denied as denied:
            refused.append(denied)

    threads = [threading.Thread(target=come) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(inside), len(refused)) == (1, 11)
    assert [one.id for one in sessions.find(either, ADMIN)] == [inside[0].id]
