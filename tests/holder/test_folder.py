"""The folder on a device: a key and a certificate that belong together at every moment, whatever happens in between."""

import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ostiary.errors import Conflict, Unavailable
from ostiary.holder.folder import FILES, Enrolment, Folder, Progress

AT = datetime(2026, 11, 23, tzinfo=UTC)


def a_set(mark: str) -> dict[str, bytes]:
    return {file: f"{file} {mark}".encode() for file in FILES}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "device")
    made.prepare("")
    return made


def marks(folder: Folder) -> set[str]:
    """Of which generation the files are that a program would read now."""
    return {folder.file(file).read_text().rpartition(" ")[2] for file in FILES}


class Crash(BaseException):
    """The machine stops."""


def test_after_a_crash_anywhere_the_files_belong_together(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash is tried before each thing that is done to the disk, and the next attempt succeeds."""
    folder.install(a_set("first"), None, AT)
    survived = 0
    for steps in range(1000):
        left = steps

        def perhaps(real: object) -> object:
            def call(*arguments: object, **options: object) -> object:
                nonlocal left
                if left == 0:
                    raise Crash
                left -= 1
                return real(*arguments, **options)  # type: ignore[operator]

            return call

        with monkeypatch.context() as broken:
            for name in ("open", "fsync", "symlink", "rename", "replace", "mkdir", "rmdir", "unlink", "fchmod"):
                broken.setattr(os, name, perhaps(getattr(os, name)))
            try:
                folder.install(a_set(f"try-{steps}"), None, AT)
            except Crash:
                survived += 1
            else:
                break
        assert len(marks(folder)) == 1
    assert survived > 20
    assert marks(folder) == {f"try-{steps}"}
    folder.install(a_set("last"), None, AT)
    assert marks(folder) == {"last"}
    assert len(list((folder.path / "generations").iterdir())) <= 2


def test_only_the_key_is_secret(folder: Folder) -> None:
    old = os.umask(0)
    try:
        folder.install(a_set("one"), None, AT)
    finally:
        os.umask(old)
    assert {file: stat.S_IMODE(folder.file(file).stat().st_mode) for file in FILES} == {
        "key.pem": 0o600,
        **dict.fromkeys(FILES[1:], 0o644),
    }


def test_an_owner_may_read_the_files_and_change_nothing(tmp_path: Path) -> None:
    owner = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())  # only root gives files away
    folder = Folder(tmp_path / "device")
    folder.prepare("nobody")
    folder.install(a_set("one"), owner, AT)
    folder.write_enrolment(Enrolment(door="https://a:1", key_type="EC-P256"))
    assert {folder.file(file).stat().st_uid for file in FILES} == {owner[0]}
    generations = folder.path / "generations"
    for kept in (folder.path, generations, folder.path / "enrolment.json", *generations.iterdir()):
        assert kept.stat().st_uid == os.geteuid()
        assert not kept.stat().st_mode & 0o022
    assert stat.S_IMODE((folder.path / "enrolment.json").stat().st_mode) == 0o600


def test_what_others_could_have_written_is_not_run(folder: Folder) -> None:
    folder.write_enrolment(Enrolment(door="https://a:1", key_type="EC-P256", hook="true"))
    assert folder.enrolment().hook == "true"
    (folder.path / "enrolment.json").chmod(0o620)
    with pytest.raises(Unavailable, match="others can write"):
        folder.enrolment()


def test_a_damaged_file_is_said_to_be(folder: Folder) -> None:
    with pytest.raises(Unavailable, match="was not made by"):
        folder.enrolment()
    for text in ("", "[]", '{"door": "x"}', json.dumps({"door": "x", "key_type": "y", "more": 1})):
        folder.write_enrolment(Enrolment(door="x", key_type="y"))
        (folder.path / "enrolment.json").write_text(text)
        with pytest.raises(Unavailable, match="damaged"):
            folder.enrolment()
    (folder.path / "progress.json").write_text("{")
    assert folder.progress() == Progress()


def test_a_key_that_was_sent_is_sent_again(folder: Folder) -> None:
    folder.write_pending(b"key", b"request")
    assert Folder(folder.path).pending() == {"key.pem": b"key", "request.pem": b"request"}
    assert stat.S_IMODE((folder.path / "pending/key.pem").stat().st_mode) == 0o600
    folder.install(a_set("one"), None, AT)
    assert folder.pending() is None


def test_one_at_a_time(folder: Folder) -> None:
    with folder.held(), pytest.raises(Conflict), folder.held():
        pass
    with folder.held():
        pass
