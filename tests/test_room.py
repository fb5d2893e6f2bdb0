"""How much memory there is for an Envoy: of the machine, or of the control group, whatever is less."""

from pathlib import Path

import pytest

from ostiary import room
from ostiary.errors import Invalid

GIB = 1024**3


def machine(folder: Path, kib: int, groups: str = "", **files: str) -> dict[str, Path]:
    """A /proc and a /sys/fs/cgroup, in which `files` stand under their path, `/` written as `__`."""
    proc, cgroups = folder / "proc", folder / "cgroup"
    (proc / "self").mkdir(parents=True)
    cgroups.mkdir()
    (proc / "meminfo").write_text(f"MemTotal:       {kib} kB\nMemFree:  1 kB\n")
    (proc / "self" / "cgroup").write_text(groups)
    for name, text in files.items():
        file = cgroups / name.replace("__", "/").replace("_DOT_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return {"proc": proc, "cgroups": cgroups}


def test_half_of_what_the_machine_has_unless_the_operator_says_more_or_less(tmp_path: Path) -> None:
    here = machine(tmp_path, 4 * 1024 * 1024)
    assert room.for_envoy(0, **here) == 2 * GIB
    assert room.for_envoy(300, **here) == 300 * room.MIB


def test_half_of_what_a_container_may_have(tmp_path: Path) -> None:
    here = machine(tmp_path, 4 * 1024 * 1024, "0::/\n", memory_DOT_max=f"{GIB}\n")
    assert room.for_envoy(0, **here) == GIB // 2


def test_a_group_above_bounds_too_and_one_without_a_limit_does_not(tmp_path: Path) -> None:
    above = {"a_DOT_slice__memory_DOT_max": f"{GIB}\n", "a_DOT_slice__b_DOT_service__memory_DOT_max": "max\n"}
    here = machine(tmp_path, 4 * 1024 * 1024, "0::/a.slice/b.service\n", **above)
    assert room.there_is(**here) == GIB


def test_the_first_version_of_control_groups(tmp_path: Path) -> None:
    here = machine(tmp_path, 4 * 1024 * 1024, "4:cpu,memory:/here\n1:cpu:/\n", memory__here__memory_DOT_limit_in_bytes=f"{GIB}\n")
    assert room.there_is(**here) == GIB


def test_a_small_machine_gives_what_an_envoy_needs(tmp_path: Path) -> None:
    assert room.for_envoy(0, **machine(tmp_path, 100 * 1024)) == room.LEAST_MIB * room.MIB


@pytest.mark.parametrize("wanted", [1, 127, 4097, 10**9])
def test_a_bound_that_bounds_nothing_is_refused_by_the_name_of_the_option(tmp_path: Path, wanted: int) -> None:
    with pytest.raises(Invalid, match=r"--gateway-memory-mib.* is not from 128 to 4096"):
        room.check(wanted, **machine(tmp_path, 4 * 1024 * 1024))


@pytest.mark.parametrize("wanted", [0, 128, 4096])
def test_and_others_are_taken(tmp_path: Path, wanted: int) -> None:
    room.check(wanted, **machine(tmp_path, 4 * 1024 * 1024))
