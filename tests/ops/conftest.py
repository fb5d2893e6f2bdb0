"""A real system for each test: SQLite in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ostiary.ops.system import System
from support.systems import FakeClock, a_system, sqlite_url


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def system(tmp_path: Path, clock: FakeClock) -> Iterator[System]:
    made = a_system(sqlite_url(tmp_path), clock)
    yield made
    made.store.close()
