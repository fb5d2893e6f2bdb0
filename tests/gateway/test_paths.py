"""Where sockets lie: short enough for the kernel, and where nobody else can put or see them."""

import os
import stat
from pathlib import Path
from unittest.mock import patch

import pytest

from ostiary import paths as module
from ostiary.errors import Invalid
from ostiary.paths import LONGEST_SOCKET, Paths


def test_sockets_lie_in_the_data_directory_when_its_name_is_short(tmp_path: Path) -> None:
    assert Paths(Path("/srv/ostiary")).control_socket == Path("/srv/ostiary/run/control.sock")
    found = Paths(tmp_path)
    found.prepare()
    for folder in (found.run, found.gateway, found.logs):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_long_name_gets_a_short_folder_of_its_own(tmp_path: Path) -> None:
    with patch.object(module, "_SHARED", tmp_path):
        one, two = Paths(Path("/srv") / ("x" * 120)), Paths(Path("/srv") / ("y" * 120))
        assert one.run.parent == tmp_path
        assert one.run != two.run
    for found in (one, two):
        assert len(os.fsencode(found.control_socket)) <= LONGEST_SOCKET
        assert found.run.parent == Path("/tmp")  # noqa: S108 (this is what is tested)


def test_two_names_of_one_directory_have_the_same_sockets(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert Paths(tmp_path / "link").run == Paths(tmp_path / "real").run


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "run").symlink_to("elsewhere")
    with pytest.raises(Invalid, match="run is not a folder of our own"):
        Paths(tmp_path).prepare()


def test_a_folder_that_others_could_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o777)
    with pytest.raises(Invalid, match="can be written to by others"):
        Paths(tmp_path).prepare()


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    with patch("os.geteuid", return_value=os.geteuid() + 1), pytest.raises(Invalid, match="belongs to user"):
        Paths(tmp_path).prepare()


def test_a_folder_that_others_can_only_read_is_made_private(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir(mode=0o755)
    Paths(tmp_path).prepare()
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700
