"""A crash leaves no keys on disk: neither of the control plane, nor of the keeper, nor of Envoy."""

import json
from pathlib import Path

import psutil
import pytest

from support.stack import Ostiary

pytestmark = pytest.mark.live


def test_pitfall_19_no_process_of_ours_writes_its_memory_to_disk(tmp_path: Path) -> None:
    with Ostiary(tmp_path) as ostiary:
        ours = processes_of(ostiary)
        assert len(ours) >= 3, "control plane, keeper, Envoy"
        for process in ours:
            core = next(line for line in Path(f"/proc/{process}/limits").read_text().splitlines() if "core file" in line)
            assert core.split()[4:6] == ["0", "0"], "soft and hard"
            assert int(Path(f"/proc/{process}/coredump_filter").read_text(), 16) == 0


def processes_of(ostiary: Ostiary) -> set[int]:
    """The control plane, and what says in its files that it is the keeper and Envoy, with all that they started."""
    assert ostiary.process is not None
    run = ostiary.data_dir / "run"
    named = {ostiary.process.pid, *(_pid(run / name) for name in ("keeper.pid", "envoy.pid"))}
    return named | {child.pid for pid in named for child in psutil.Process(pid).children(recursive=True)}


def _pid(file: Path) -> int:
    text = file.read_text()
    return int(json.loads(text)["pid"] if text.startswith("{") else text.split()[0])
