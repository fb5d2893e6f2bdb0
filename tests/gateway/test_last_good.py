"""What a gateway keeps on disk: encrypted, whole or not there, and never a reason to crash."""

from pathlib import Path
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ostiary.envoy.resources import LISTENER, SECRET, Resource
from ostiary.gateway.last_good import LastGood
from ostiary.gateway.ledger import Contents
from ostiary.xds import wire

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


def long(version: str) -> Contents:
    lists = Resource(SECRET, "trust/a", version, version.encode() * 100_000)
    return Contents(wanted=(KEPT.wanted[0], lists), good=(lists, Resource(SECRET, "trust/b", "1", b"b" * 70_000)))


def test_what_is_long_is_written_once_however_often_the_rest_changes(tmp_path: Path) -> None:
    kept = open_in(tmp_path)
    kept.save(long("1"))
    files = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "last-good.long").iterdir()}
    assert len(files) == 2
    changed = Contents(wanted=(KEPT.wanted[1], *long("1").wanted[1:]), good=long("1").good)
    kept.save(changed)
    again = open_in(tmp_path)
    assert again.load() == changed
    again.save(long("1"))
    assert {file.name: file.stat().st_mtime_ns for file in (tmp_path / "last-good.long").iterdir()} == files
    assert open_in(tmp_path).load() == long("1")
    for name in files:
        assert (tmp_path / "last-good.long" / name).stat().st_mode & 0o777 == 0o600


def test_what_is_long_and_no_longer_kept_is_deleted(tmp_path: Path) -> None:
    kept = open_in(tmp_path)
    kept.save(long("1"))
    (tmp_path / "last-good.long" / "begun.new").write_bytes(b"by a keeper that died")
    kept.save(long("2"))
    assert open_in(tmp_path).load() == long("2")
    assert len(list((tmp_path / "last-good.long").iterdir())) == 2
    kept.save(KEPT)
    assert list((tmp_path / "last-good.long").iterdir()) == []


@pytest.mark.parametrize("damage", ["gone", "another's", "cut off"])
def test_with_a_part_that_is_damaged_the_whole_is_ignored(tmp_path: Path, damage: str) -> None:
    open_in(tmp_path).save(long("1"))
    one, other = sorted((tmp_path / "last-good.long").iterdir())
    if damage == "gone":
        one.unlink()
    else:
        one.write_bytes(other.read_bytes() if damage == "another's" else one.read_bytes()[:-1])
    assert open_in(tmp_path).load() is None


def test_what_an_earlier_ostiary_kept_is_loaded(tmp_path: Path) -> None:
    kept = open_in(tmp_path)
    plain = b"".join(len(part).to_bytes(8) + part for part in (wire.dump(KEPT.wanted), wire.dump(KEPT.good)))
    magic = b"ostiary last-good 1\n"
    nonce = b"n" * 12
    (tmp_path / "last-good").write_bytes(magic + nonce + AESGCM((tmp_path / "key").read_bytes()).encrypt(nonce, plain, magic))
    assert kept.load() == KEPT


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
