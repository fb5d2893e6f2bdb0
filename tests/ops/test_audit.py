"""The chain shows every kind of tampering, wherever it happens."""

import json

import pytest
from sqlalchemy import Engine, text

from ostiary.ops import audit
from ostiary.ops.system import System
from support.made import a_balancer
from support.systems import ADMIN


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
