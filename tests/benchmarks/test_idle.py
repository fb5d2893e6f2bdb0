"""How memory is told."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from benchmarks.idle import memory

TAKES = "import sys; took = bytearray(int(sys.argv[1]) << 20); print(); sys.stdin.read()"


@pytest.fixture
def takers() -> Iterator[list[int]]:
    """Processes that took 10 and 30 MiB."""
    pipe = subprocess.PIPE
    started = [subprocess.Popen([sys.executable, "-c", TAKES, str(some)], stdin=pipe, stdout=pipe) for some in (10, 30)]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.communicate()


def test_what_each_process_took_is_counted_and_the_program_once(takers: list[int]) -> None:
    small, large = takers
    assert memory([large]) - memory([small]) == pytest.approx(20, abs=2)
    both, apart = memory(takers), memory([small]) + memory([large])
    assert 40 < both < apart
