"""The real application over real use cases on an empty database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.client import Client, a_client


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with a_client(tmp_path) as connected:
        yield connected
