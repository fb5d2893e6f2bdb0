"""When a change is said to be in force."""

import time
from collections.abc import Iterator

import pytest

from benchmarks import reloads


def answers(text: str) -> Iterator[bool]:
    yield from (letter == "y" for letter in text)


def test_it_is_in_force_with_the_first_of_many_that_agree() -> None:
    probes = answers("nyyn" + "y" * reloads.STEADY)
    asked: list[float] = []

    def probe() -> bool:
        asked.append(time.monotonic())
        return next(probes)

    began = time.monotonic()
    first = reloads.first_steady(probe, began)
    assert asked[3] - began <= first <= asked[4] - began
    assert len(asked) == 4 + reloads.STEADY


def test_what_never_comes_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloads, "PATIENCE", 0.0)
    with pytest.raises(RuntimeError, match="not in force"):
        reloads.first_steady(lambda: False, time.monotonic())
