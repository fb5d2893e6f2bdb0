"""One keeper for one data directory; and no process is taken for it, or for its Envoy, that is not."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ostiary import locks
from ostiary.errors import Conflict
from ostiary.gateway import client, lock, pids
from ostiary.paths import Paths
from support.processes import Running
from support.wait import eventually

HOLD = """
import pathlib, sys, time
from ostiary import locks
from ostiary.gateway import lock
from ostiary.paths import Paths
with lock.held(Paths(pathlib.Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(tmp_path)
    found.prepare()
    return found


def test_a_second_one_is_refused_and_told_who_the_first_is(paths: Paths, start_process: Callable[..., Running]) -> None:
    first = start_process(sys.executable, "-c", HOLD, paths.data_dir)
    first.says("held")
    with pytest.raises(Conflict, match=f"a gateway already runs on .* \\(process {first.pid}\\)"), lock.held(paths):
        pass
    assert client.alive(paths.data_dir)
    holder = lock.holder(paths)
    assert holder is not None
    assert holder.pid == first.pid
    holder.close()


def test_the_lock_ends_with_its_holder_however_that_ends(paths: Paths, start_process: Callable[..., Running]) -> None:
    first = start_process(sys.executable, "-c", HOLD, paths.data_dir)
    first.says("held")
    first.kill()
    assert not client.alive(paths.data_dir)
    assert lock.holder(paths) is None
    with lock.held(paths):
        assert client.alive(paths.data_dir)
    assert not client.alive(paths.data_dir)


def test_a_pid_file_alone_gets_nobody_stopped(paths: Paths, start_process: Callable[..., Running]) -> None:
    bystander = start_process("sleep", 600)
    with lock.held(paths):
        pids.write(paths.keeper_pid, bystander.pid)
        assert lock.holder(paths) is None
        assert not client.stop(paths.data_dir)
    assert bystander.is_alive


def test_a_number_that_is_used_again_is_another_process(tmp_path: Path, start_process: Callable[..., Running]) -> None:
    noted = tmp_path / "pid"
    process = start_process("sleep", 600)
    pids.write(noted, process.pid)
    found = pids.read(noted)
    assert found is not None
    assert found.is_alive
    found.send(signal.SIGKILL)
    assert found.wait(30)
    found.close()
    process.wait()
    assert pids.read(noted) is None
    noted.write_text(json.dumps({"pid": os.getpid(), "started": 1}))
    assert pids.read(noted) is None


@pytest.mark.parametrize("content", ["", "17", "{}", '{"pid": "x", "started": 1}', '{"pid": -5, "started": 1}'])
def test_a_damaged_pid_file_names_nobody(tmp_path: Path, content: str) -> None:
    (tmp_path / "pid").write_text(content)
    assert pids.read(tmp_path / "pid") is None


def test_asking_whether_one_lives_does_not_keep_one_from_starting(paths: Paths) -> None:
    with lock.held(paths):
        pass
    handle = locks.opened(paths.keeper_lock)
    assert locks.taken(handle)
    os.close(handle)
    with lock.held(paths):
        assert eventually(lambda: lock.is_held(paths))
