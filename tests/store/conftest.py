"""The store suite runs on each database we support."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ostiary.store.store import Store
from support.systems import a_store, sqlite_url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return sqlite_url(tmp_path) if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = a_store(url)
    yield opened
    opened.close()
