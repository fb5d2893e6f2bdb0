"""Who holds a data directory is believed only when it really does."""

import os
from pathlib import Path

import pytest

from ostiary import holding, locks
from ostiary.errors import Conflict, Unavailable


def test_only_one_holds_it_and_its_end_lets_go(tmp_path: Path) -> None:
    with holding.held(tmp_path), pytest.raises(Conflict, match=f"process {os.getpid()}"), holding.held(tmp_path):
        pytest.fail("two hold it")
    with holding.held(tmp_path):
        assert locks.has_open(os.getpid(), tmp_path / holding.LOCK)


def test_nobody_is_stopped_where_nobody_runs(tmp_path: Path) -> None:
    assert not holding.stop_holder(tmp_path, timeout=1)
    with holding.held(tmp_path):
        pass
    assert not holding.stop_holder(tmp_path, timeout=1)


@pytest.mark.parametrize("left_over", ["", "1", "4194304", "nonsense"])
def test_a_number_left_by_the_one_before_is_never_signalled(tmp_path: Path, left_over: str) -> None:
    file = tmp_path / holding.LOCK
    handle = locks.opened(file)
    try:
        assert locks.taken(handle)
        file.write_text(left_over)
        with pytest.raises(Unavailable, match="just starting"):
            holding.stop_holder(tmp_path, timeout=1)
    finally:
        os.close(handle)
