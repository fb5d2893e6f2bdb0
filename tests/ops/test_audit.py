"""The chain shows every kind of tampering, wherever it happens."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, text

from ostiary.errors import Denied, NotFound, Unavailable
from ostiary.model.audit import AuditSearch
from ostiary.model.balancer import LoadBalancer
from ostiary.model.token import NewToken
from ostiary.ops import audit, balancers, sessions, tokens
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.ops.verifying import Progress
from ostiary.store.store import Reader, link
from support.made import a_balancer
from support.systems import ADMIN
from support.wait import eventually

ANN = Caller(name="ann", role="operator")
AUDITOR = Caller(name="olga", role="auditor")


@pytest.fixture
def engine(system: System) -> Engine:
    """What somebody with access to the database file has. Ten entries are on record."""
    for number in range(10):
        a_balancer(system, name=f"b{number}")
    assert audit.verify(system, ADMIN).problem is None
    return system.store._engine.execution_options(writes=True)


@pytest.mark.parametrize(
    ("tampering", "problem"),
    [
        ("UPDATE audit SET entry = replace(entry, 'admin', 'nobody') WHERE sequence = 5", "entry 5 does not follow"),
        ("DELETE FROM audit WHERE sequence = 5", "entry 5 is missing"),
        ("DELETE FROM audit WHERE sequence > 8", "ends at entry 8; 10 were written"),
        ("DELETE FROM audit", "ends at entry 0"),
        ("UPDATE audit SET hash = 'g' || substr(hash, 2) WHERE sequence = 10", "entry 10"),
        ("UPDATE audit SET sequence = CASE sequence WHEN 4 THEN 104 ELSE 105 END WHERE sequence IN (4, 5)", "entry 4 is missing"),
        (
            "INSERT INTO audit SELECT 11, at, actor, action, resource_id, entry, hash, hash FROM audit WHERE sequence = 10",
            "entry 11 does not follow",
        ),
        ("UPDATE head SET audit_sequence = 9", "9 were written"),
    ],
)
def test_tampering_shows(system: System, engine: Engine, tampering: str, problem: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(tampering))
    found = audit.verify(system, ADMIN).problem
    assert found is not None
    assert problem in found


def test_entries_swapped_with_their_hashes_show(system: System, engine: Engine) -> None:
    with engine.begin() as connection:
        for swap in ("UPDATE audit SET sequence = -4 WHERE sequence = 4", "UPDATE audit SET sequence = 4 WHERE sequence = 5",
                     "UPDATE audit SET sequence = 5 WHERE sequence = -4"):  # fmt: skip
            connection.execute(text(swap))
    assert "entry 4" in (audit.verify(system, ADMIN).problem or "")


def test_entries_can_be_read_in_pages(system: System, engine: Engine) -> None:
    assert engine is not None
    first = audit.find(system, ADMIN, limit=4)
    rest = audit.find(system, ADMIN, after=first[-1]["sequence"])
    assert [entry["sequence"] for entry in first + rest] == list(range(1, 11))
    assert json.dumps(audit.find(system, ADMIN, limit=1, newest_first=True)).count('"sequence": 10') == 1


def test_entries_are_looked_up_with_their_hashes(system: System, engine: Engine) -> None:
    assert engine is not None
    one = a_balancer(system, name="eleventh")
    balancers.update(system, ANN, one.id, {"description": "x"})
    (found,) = audit.search(system, AUDITOR, AuditSearch(actor="ann"))
    assert (found["sequence"], found["action"], found["resource_id"]) == (12, "loadbalancer:update", one.id)
    assert found == audit.get(system, AUDITOR, 12)
    assert audit.get(system, AUDITOR, 11)["hash"] == found["previous_hash"]
    assert audit.actions(system, AUDITOR) == ("loadbalancer:create", "loadbalancer:update")
    with pytest.raises(NotFound):
        audit.get(system, AUDITOR, 13)


def test_whoever_may_not_read_the_record_is_told_nothing_of_it(system: System, engine: Engine) -> None:
    assert engine is not None
    nobody = Caller(name="eve", role="enrolling")
    with pytest.raises(Denied):
        audit.search(system, nobody, AuditSearch())
    with pytest.raises(Denied):
        audit.export(system, nobody)
    with pytest.raises(Denied):
        system.verifying.progress(nobody)
    with pytest.raises(Denied):
        system.verifying.start(system, nobody)


def test_what_is_handed_out_can_be_verified_by_others(system: System, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line without its two hashes is the text that was hashed, as JSON is written without spaces and in order."""
    assert engine is not None
    monkeypatch.setattr(audit, "_AT_ONCE", 3)  # more than one piece
    lines = b"".join(audit.export(system, AUDITOR)).decode().splitlines()
    entries = [entry for line in lines if "ostiary" not in (entry := json.loads(line))]
    assert [entry["action"] for entry in entries[10:]] == ["audit:export", "audit:new-key"]
    previous = "0" * 64
    for number, entry in enumerate(entries, 1):
        hashes = (entry.pop("previous_hash"), entry.pop("hash"))
        written = json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        assert hashes == (previous, link(previous, written))
        assert entry["sequence"] == number
        previous = hashes[1]


def verified(system: System) -> Progress:
    system.verifying.start(system, AUDITOR)
    return once_ended(system)


def once_ended(system: System) -> Progress:
    def ended() -> list[Progress]:
        progress = system.verifying.progress(AUDITOR)
        return [progress] if progress is not None and not progress.is_going_on else []

    return eventually(ended)[0]


def test_the_whole_record_is_verified_beside_everything_else(
    system: System, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine is not None
    monkeypatch.setattr("ostiary.ops.verifying._AT_ONCE", 4)
    assert system.verifying.progress(AUDITOR) is None
    progress = verified(system)
    assert progress.is_whole
    assert progress.verified == audit.verify(system, ADMIN)
    assert (progress.verified.entries, progress.written, progress.started_by) == (10, 10, "olga")


@pytest.mark.parametrize("entries_at_once", [1, 5, 10, 100])
def test_what_is_wrong_shows_wherever_a_piece_begins(
    system: System, engine: Engine, monkeypatch: pytest.MonkeyPatch, entries_at_once: int
) -> None:
    monkeypatch.setattr("ostiary.ops.verifying._AT_ONCE", entries_at_once)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM audit WHERE sequence = 6"))
    progress = verified(system)
    assert not progress.is_whole
    assert progress.verified.problem == "entry 6 is missing: the next one there is 7"
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM audit WHERE sequence > 6"))
    assert verified(system).verified.problem == "the record ends at entry 5; 10 were written"


def test_it_is_verified_once_at_a_time_and_what_is_written_meanwhile_belongs_to_it(
    system: System, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine is not None
    monkeypatch.setattr("ostiary.ops.verifying._AT_ONCE", 4)
    begun, go_on = threading.Event(), threading.Event()
    heads = Reader.audit_head

    def slow(reader: Reader) -> tuple[int, str]:
        begun.set()
        assert go_on.wait(30)
        return heads(reader)

    monkeypatch.setattr(Reader, "audit_head", slow)
    first = system.verifying.start(system, ADMIN)
    assert begun.wait(30)
    assert system.verifying.start(system, AUDITOR).started_by == first.started_by == "admin"
    a_balancer(system, name="written meanwhile")
    go_on.set()
    progress = once_ended(system)
    assert progress.is_whole
    assert progress.verified.entries == 11


def test_a_database_that_does_not_answer_is_said_and_ends_it(
    system: System, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine is not None

    @contextmanager
    def away() -> Iterator[Reader]:
        raise Unavailable("The database does not answer; try again.")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(system.store, "read", away)
        progress = verified(system)
    assert (progress.failed, progress.is_whole) == ("The database does not answer; try again.", False)
    assert verified(system).is_whole


def test_by_which_credential_is_on_record_and_never_the_secret(system: System) -> None:
    token, secret = tokens.create(system, ADMIN, NewToken(name="ann", role="operator"))
    session, key = sessions.by_token(system, bytes(secret), False, "192.0.2.7", "req-1")
    found = sessions.current(system, bytes(key), certificate=None, source="192.0.2.7", request_id="req-2")
    assert found is not None
    balancers.create(system, found[1], LoadBalancer(name="by session", vip_address="127.0.0.1"))
    by_token = tokens.holder(system, bytes(secret), "192.0.2.7", "req-3")
    assert by_token is not None
    balancers.create(system, by_token, LoadBalancer(name="by token", vip_address="127.0.0.1"))
    begun, by_session, with_token = audit.find(system, ADMIN, after=audit_head(system) - 3)
    assert begun["credential"] == with_token["credential"] == f"token:{token.id}"
    assert by_session["credential"] == f"session:{session.id}"
    text = str(audit.find(system, ADMIN))
    assert bytes(secret).decode() not in text
    assert bytes(key).decode() not in text


def audit_head(system: System) -> int:
    with system.store.read() as reader:
        return reader.audit_head()[0]
