"""What a gateway keeps on disk: encrypted, whole or not there, and never a reason to crash."""

from pathlib import Path
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ostiary.envoy.resources import EXTENSION, LISTENER, SECRET, Resource
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
    open_in(tmp_path).save(KEPT)
    with patch.object(Path, "replace", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        open_in(tmp_path).save(OTHER)
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


def version(name: str, number: int, length: int = 100) -> Resource:
    return Resource(LISTENER, name, str(number), f"{name} {number} ".encode() * length)


def many(*numbers: int) -> Contents:
    return Contents(tuple(version(f"listener/{place}", number) for place, number in enumerate(numbers)), (version("old", 1),))


def test_a_change_is_noted_and_the_whole_not_written_again(tmp_path: Path) -> None:
    kept = open_in(tmp_path)
    kept.save(many(1, 1, 1))
    whole = (tmp_path / "last-good").read_bytes()
    for state in (many(1, 2, 1), many(1, 2), many(3, 2, 5), Contents(many(3, 2, 5).wanted), many(4)):
        kept.save(state)
        assert open_in(tmp_path).load() == state
    assert (tmp_path / "last-good").read_bytes() == whole
    assert (tmp_path / "last-good.since").stat().st_mode & 0o777 == 0o600
    assert b"listener" not in (tmp_path / "last-good.since").read_bytes()


def test_beside_a_long_whole_what_is_longer_is_noted_too(tmp_path: Path) -> None:
    """Who is denied at a thousand listeners: to write all of these anew for each who is revoked would take long."""
    many = tuple(Resource(LISTENER, f"listener/{number}", "1", b"l" * 60_000) for number in range(200))
    kept = open_in(tmp_path)
    for version in "123":
        denied = Resource(EXTENSION, "denied", version, version.encode() * 150_000)
        kept.save(Contents(wanted=(*many, denied)))
        written = (tmp_path / "last-good").read_bytes()
        if version == "1":
            first = written
        assert written == first
        assert open_in(tmp_path).load() == Contents(wanted=(*many, denied))


def test_when_there_is_no_room_for_more_notes_the_whole_is_written(tmp_path: Path) -> None:
    kept = open_in(tmp_path)
    for number in range(60):
        state = Contents((version("a", 1), version("b", number, 6000)))
        kept.save(state)
    assert open_in(tmp_path).load() == state


def test_a_note_that_a_crash_cut_off_is_where_reading_ends(tmp_path: Path) -> None:
    """Whatever part of it came to the disk: what was said to be kept is there, and nothing is there that was not."""
    kept = open_in(tmp_path)
    for state in (many(1), many(2)):
        kept.save(state)
    before = (tmp_path / "last-good.since").read_bytes()
    kept.save(many(3))
    after = (tmp_path / "last-good.since").read_bytes()
    start = next(at for at in range(len(after)) if before[at] != after[at])
    end = next(at for at in range(len(after), 0, -1) if after[at - 1])
    for cut in (*range(start, end, 37), end - 1):
        (tmp_path / "last-good.since").write_bytes(after[:cut] + before[cut:])
        assert open_in(tmp_path).load() == many(2)
    (tmp_path / "last-good.since").write_bytes(after)
    assert open_in(tmp_path).load() == many(3)
    open_in(tmp_path).save(many(4))  # by the keeper that came next
    assert open_in(tmp_path).load() == many(4)


def test_notes_of_another_whole_are_none(tmp_path: Path) -> None:
    """A crash between the two files: the new whole stands, and what was noted of the old one is over."""
    kept = open_in(tmp_path)
    kept.save(many(1))
    kept.save(many(2))
    notes = (tmp_path / "last-good.since").read_bytes()
    open_in(tmp_path).save(many(7))
    (tmp_path / "last-good.since").write_bytes(notes)
    assert open_in(tmp_path).load() == many(7)
    (tmp_path / "last-good.since").unlink()
    assert open_in(tmp_path).load() == many(7)


def test_no_note_can_be_left_out_or_repeated(tmp_path: Path) -> None:
    kept = open_in(tmp_path)
    kept.save(many(1))
    sizes: list[int] = []
    for number in (2, 3):
        kept.save(many(number))
        sizes.append(8 + int.from_bytes((tmp_path / "last-good.since").read_bytes()[sum(sizes) :][:8]))
    notes = (tmp_path / "last-good.since").read_bytes()
    first, second = notes[: sizes[0]], notes[sizes[0] : sum(sizes)]
    for order, state in ((second, 1), (second + first, 1), (first + first, 2), (first + second, 3)):
        (tmp_path / "last-good.since").write_bytes(order + bytes(64))
        assert open_in(tmp_path).load() == many(state)
