"""What a gateway keeps on disk: encrypted, whole or not there, and never a reason to crash."""

from pathlib import Path
from unittest.mock import patch

import pytest

from ostiary.envoy.resources import LISTENER, SECRET, Resource
from ostiary.gateway.last_good import LastGood
from ostiary.gateway.ledger import Contents

KEPT = Contents(
    wanted=(Resource(LISTENER, "listener/a", "2", b"new"), Resource(SECRET, "identity/a", "1", b"PRIVATE KEY")),
    good=(Resource(LISTENER, "listener/a", "1", b"old"),),
)
OTHER = Contents(wanted=(Resource(LISTENER, "listener/b", "1", b"other"),))


def open_in(folder: Path) -> LastGood:
    return LastGood(folder / "last-good", folder / "key")


def test_what_is_saved_is_loaded_by_the_next_keeper(tmp_path: Path) -> None:
    open_in(tmp_path).save(KEPT)
    assert open_in(tmp_path).load() == KEPT


def test_nothing_kept_is_nothing_loaded(tmp_path: Path) -> None:
    assert open_in(tmp_path).load() is None


def test_only_the_owner_reads_it_and_nobody_finds_a_key_in_it(tmp_path: Path) -> None:
    open_in(tmp_path).save(KEPT)
    for file in ("last-good", "key"):
        assert (tmp_path / file).stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in (tmp_path / "last-good").read_bytes()
    assert b"listener" not in (tmp_path / "last-good").read_bytes()


def test_a_crash_before_the_new_file_is_in_place_leaves_the_old_one(tmp_path: Path) -> None:
    kept = open_in(tmp_path)
    kept.save(KEPT)
    with patch.object(Path, "replace", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        kept.save(OTHER)
    assert (tmp_path / "last-good.new").exists()
    assert open_in(tmp_path).load() == KEPT
    open_in(tmp_path).save(OTHER)
    assert open_in(tmp_path).load() == OTHER
    assert not (tmp_path / "last-good.new").exists()


def test_every_damaged_byte_is_noticed_and_the_file_ignored(tmp_path: Path) -> None:
    kept = open_in(tmp_path)
    kept.save(KEPT)
    whole = (tmp_path / "last-good").read_bytes()
    for at in range(len(whole)):
        (tmp_path / "last-good").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert kept.load() is None
    for length in range(len(whole)):
        (tmp_path / "last-good").write_bytes(whole[:length])
        assert kept.load() is None


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    open_in(tmp_path).save(KEPT)
    (tmp_path / "key").unlink()
    assert open_in(tmp_path).load() is None


def test_a_damaged_key_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    again = open_in(tmp_path)
    again.save(KEPT)
    assert open_in(tmp_path).load() == KEPT
