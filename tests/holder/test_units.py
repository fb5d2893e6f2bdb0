"""The systemd units: systemd reads them as they are meant, whatever the folder is called."""

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from ostiary.errors import Invalid
from ostiary.holder import units


def test_the_service_looks_and_the_timer_spreads() -> None:
    service = units.service(Path("/etc/ostiary/device"), "/opt/bin/ostiary")
    assert 'ExecStart="/opt/bin/ostiary" "enroll" "renew" "/etc/ostiary/device" "--if-due"\n' in service
    timer = units.timer(Path("/etc/ostiary/device"), timedelta(days=90))
    assert "OnCalendar=hourly\nRandomizedDelaySec=1h\nPersistent=true\n" in timer
    assert "OnCalendar=*:0/5\n" in units.timer(Path("/x"), timedelta(hours=6))


def test_odd_folders_are_quoted() -> None:
    service = units.service(Path('/a b/"c"\\$HOME %h\n'), "/bin/ostiary")
    assert 'ExecStart="/bin/ostiary" "enroll" "renew" "/a b/\\"c\\"\\\\$$HOME %%h\\n" "--if-due"\n' in service


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a@b", "ü", "x" * 101])
def test_a_name_that_systemd_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="--name"):
        units.unit_name(name)


def test_systemd_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    program = shutil.which("true") or "/bin/true"
    name = units.unit_name("device-1")
    (tmp_path / f"{name}.service").write_text(units.service(tmp_path / 'odd "folder" %h $x', program))
    (tmp_path / f"{name}.timer").write_text(units.timer(tmp_path, timedelta(days=90)))
    verify = ["systemd-analyze", "verify", "--recursive-errors=no", "--man=no", str(tmp_path / f"{name}.timer")]
    done = subprocess.run(verify, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
