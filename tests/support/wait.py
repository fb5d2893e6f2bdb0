"""Wait for something to become true, without a sleep that is too short on a slow machine and too long on a fast one."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

PATIENCE: Final = 120.0  # Seconds. Generous, because it only costs time when the test is about to fail.
PAUSE: Final = 0.01  # At first; then longer and longer, for whoever is asked has to work for each answer.
LONGEST_PAUSE: Final = 0.1


def eventually(check: Callable[[], T], within: float = PATIENCE) -> T:
    """Ask `check` until its answer is truthy, and return that answer.

    "Not yet" is a falsy answer, a failed assertion, or an OSError such as a refused connection.
    """
    deadline = time.monotonic() + within
    pause = PAUSE
    while True:
        seen: object
        try:
            answer = check()
        except (AssertionError, OSError) as not_yet:
            seen = not_yet
        else:
            if answer:
                return answer
            seen = answer
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {within:g} s; last seen: {seen!r}")
        time.sleep(pause)
        pause = min(pause * 1.3, LONGEST_PAUSE)


def eventually_passes(check: Callable[[], object], within: float = PATIENCE) -> None:
    """Run `check`, which asserts, until nothing in it fails."""

    def passed() -> bool:
        check()
        return True

    eventually(passed, within)
