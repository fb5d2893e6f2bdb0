"""The real console over real use cases on an empty database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from console.visitor import Visitor, a_visitor


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Visitor]:
    """An admin who is signed in."""
    with a_visitor(tmp_path) as signed_in:
        yield signed_in
