"""One whole ostiary and one backend for all tests of a module: starting takes longer than most of them."""

from collections.abc import Iterator

import pytest

from support.backend import Backend
from support.stack import Ostiary


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ostiary]:
    """A running ostiary, shared by the module: each test makes doors of its own, or leaves those it finds as they were."""
    with Ostiary(tmp_path_factory.mktemp("house")) as running:
        yield running


@pytest.fixture(scope="module")
def inside() -> Iterator[Backend]:
    """The backend behind the module's doors."""
    with Backend("inside") as running:
        yield running
