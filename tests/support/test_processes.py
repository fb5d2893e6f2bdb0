"""A program that a test starts is heard, stopped, and never waited for when it is dead."""

import sys
from collections.abc import Callable

import pytest

from support.processes import Running

START = Callable[..., Running]


def test_its_output_is_heard_and_it_stops_when_told(start_process: START) -> None:
    running = start_process(sys.executable, "-uc", "import signal; print('ready'); signal.pause()")
    assert running.says("ready\n") == "ready\n"
    assert running.is_alive
    assert running.stop() == -15
    assert not running.is_alive


def test_one_that_ends_early_is_not_waited_for(start_process: START) -> None:
    running = start_process(sys.executable, "-c", "raise SystemExit('no such door')")
    with pytest.raises(RuntimeError, match="no such door"):
        running.says("ready")
