"""What Envoy tells is read in order and whole, whatever is cut off, removed, or too long; and given back once it was taken in."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ostiary.gateway import feed as module
from ostiary.gateway.feed import Feed
from ostiary.gateway.place import Place


class House:
    """A folder, and who writes to it as Envoy does: to what the link showed when it was opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.feed = Feed(folder, Place())
        self.writers: list[int] = []
        self.begin()
        self.feed.read()  # goes to the first file

    def begin(self) -> None:
        self.feed.begin()
        self.open()

    def open(self) -> None:
        self.writers.append(os.open(self.folder / "records", os.O_WRONLY | os.O_APPEND))

    def write(self, data: bytes, writer: int = -1) -> None:
        """By the last who opened it, or by an earlier one."""
        assert os.write(self.writers[writer], data) == len(data)

    def close(self) -> None:
        self.feed.close()
        for writer in self.writers:
            os.close(writer)

    def read(self) -> list[bytes]:
        """All that there is."""
        found, before = [], None
        while before != self.feed.place:
            before = self.feed.place
            found += [line for _, line in self.feed.read().lines]
        return found

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.name != "records")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def test_lines_are_read_once_they_are_whole_and_told_with_their_places(house: House) -> None:
    house.write(b"one\ntw")
    chunk = house.feed.read()
    assert (chunk.number, chunk.lines, chunk.end, chunk.lost) == (1, [(0, b"one")], Place(1, 4), 0)
    assert house.read() == []
    house.write(b"o\n\nthree\n")  # a record that brings an end of its own leaves an empty line
    assert house.feed.read().lines == [(4, b"two"), (9, b"three")]


def test_what_is_there_is_read_from_a_place(house: House) -> None:
    house.write(b"one\ntwo\n")
    house.feed.close()
    house.feed = Feed(house.folder, Place(1, 4))
    assert house.read() == [b"two"]


def test_only_its_owner_can_read_it(house: House) -> None:
    assert (house.folder / "records-000001").stat().st_mode & 0o777 == 0o600


def test_the_next_file_is_read_once_something_is_in_it_and_the_one_before_to_its_end(house: House) -> None:
    house.write(b"one\n")
    assert house.read() == [b"one"]
    house.feed.begin()
    assert house.read() == []
    house.write(b"two\n")  # it was not told yet
    assert house.read() == [b"two"]
    house.open()
    house.write(b"three\n", writer=0)
    house.write(b"four\n")
    assert house.read() == [b"three", b"four"]


def test_what_an_engine_that_was_killed_left_half_written_is_lost_alone(house: House) -> None:
    house.write(b"one\nhal")
    house.begin()
    house.write(b"two\n")
    assert [line for _, line in house.feed.read().lines] == [b"one"]
    assert house.feed.read().lost == 1
    assert house.read() == [b"two"]


def test_engines_that_told_of_nothing_hold_up_nothing(house: House) -> None:
    for _ in range(3):
        house.begin()
    house.write(b"one\n")
    assert house.read() == [b"one"]
    assert house.feed.place == Place(4, 4)


def test_a_line_that_none_of_ours_can_be_is_skipped_whole(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 8)
    monkeypatch.setattr(module, "_LONGEST", 32)
    house.write(b"a line of 17 char\n" + b"x" * 50)
    assert house.read() == [b"a line of 17 char"]
    assert house.feed.place == Place(1, 18)
    house.write(b'x{"forged":1}\nnext\n')
    chunk = house.feed.read()
    assert (chunk.lines, chunk.lost) == ([], 1)
    assert house.read() == [b"next"]


def test_numbers_go_on_when_all_was_removed(house: House) -> None:
    house.write(b"one\n")
    house.read()
    for file in house.folder.iterdir():
        file.unlink()
    house.feed.close()
    house.feed = Feed(house.folder, Place(1, 4), newest=7)
    house.begin()
    assert house.files == ["records-000008"]
    house.write(b"two\n")
    assert house.read() == [b"two"]


@pytest.mark.parametrize("gone", ["records", "records-000001"])
def test_a_file_that_somebody_removed_is_read_to_its_end_and_another_begun(house: House, gone: str) -> None:
    house.write(b"one\n")
    assert house.read() == [b"one"]
    assert not house.feed.turn_if_due()
    (house.folder / gone).unlink()
    house.write(b"two\n")
    assert house.feed.turn_if_due()
    house.open()
    house.write(b"three\n")
    assert house.read() == [b"two", b"three"]
    assert not house.feed.turn_if_due()


def test_a_file_that_has_grown_long_is_followed_by_another_until_the_engine_writes_to_that(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LARGEST", 8)
    house.write(b"0123456789\n")
    assert not house.feed.turn_if_due()  # it was not read yet, so another file would save nothing
    house.read()
    assert house.feed.turn_if_due()
    assert house.feed.turn_if_due()  # once more, should it not have heard
    assert house.files == ["records-000001", "records-000002"]
    house.open()
    house.write(b"a\n")
    assert house.read() == [b"a"]
    assert not house.feed.turn_if_due()


def test_what_was_taken_in_is_given_back(house: House) -> None:
    line = b"x" * 1023 + b"\n"
    house.write(line * 4096)
    assert len(house.read()) == 4096
    file = house.folder / "records-000001"
    before = file.stat()
    house.feed.give_back(Place(1, 3 * 1024 * 1024))
    after = file.stat()
    if house.feed.can_give_back:  # else the file system of this machine cannot, which is said
        assert before.st_blocks - after.st_blocks >= 3 * 1024 * 2
    assert after.st_size == before.st_size
    house.write(b"more\n")
    assert house.read() == [b"more"]
    house.begin()
    house.write(b"next\n")
    assert house.read() == [b"next"]
    house.feed.give_back(Place(1, 4 * 1024 * 1024))
    assert house.files == ["records-000001", "records-000002"]
    house.feed.give_back(house.feed.place)
    assert house.files == ["records-000002"]


def test_where_nothing_can_be_given_back_files_are_shorter_and_it_is_said_once(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_punched", lambda *_: False)
    monkeypatch.setattr(module, "_LARGEST_KEPT", 2 * 1024 * 1024)
    house.write((b"x" * 1023 + b"\n") * 3000)
    house.read()
    for _ in range(2):
        house.feed.give_back(house.feed.place)
    assert house.feed.turn_if_due()
    assert capsys.readouterr().out.count("cannot give back") <= 1


def test_an_engine_may_run_ahead_of_its_keeper_so_far_and_no_further(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AHEAD", 1024)
    monkeypatch.setattr(module, "_STEP", 1024)
    # As Envoy does: it appends, takes note of what cannot be written, and goes on.
    program = (
        "import os, sys\n"
        "file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)\n"
        "for _ in sys.stdin:\n"
        "    try:\n"
        "        print(os.write(file, b'x' * 1500), flush=True)\n"
        "    except OSError as err:\n"
        "        print(err.strerror, flush=True)\n"
    )
    command = [sys.executable, "-c", program, str(house.folder / "records")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, restore_signals=False) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None

        def says() -> str:
            assert writer.stdin is not None
            assert writer.stdout is not None
            writer.stdin.write("\n")
            writer.stdin.flush()
            return writer.stdout.readline().strip()

        house.feed.allow(writer.pid)
        assert resource.prlimit(writer.pid, resource.RLIMIT_FSIZE)[0] == 2048
        assert [says() for _ in range(3)] == ["1500", "548", os.strerror(27)]
        house.write(b"\n")
        house.read()
        house.feed.allow(writer.pid)
        assert says() == "1500"
        writer.stdin.close()
