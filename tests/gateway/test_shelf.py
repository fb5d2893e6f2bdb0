"""The files of the access record: begun anew by size and age, compressed, removed in time; and a crash anywhere loses nothing."""

import gzip
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from ostiary.gateway.place import Place
from ostiary.gateway.reading import Reader, end, rest
from ostiary.gateway.shelf import Shelf, volumes
from ostiary.recording import MIB, Recording

AT: Final = datetime(2026, 11, 26, 2, 0, tzinfo=UTC)
_DIED: Final = 7


class Clock:
    def __init__(self) -> None:
        self.now = AT

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def made(tmp_path: Path, clock: Clock) -> Callable[..., Shelf]:
    """A shelf in one and the same folder, as a keeper makes one at its start."""

    def make(**rules: Any) -> Shelf:
        return Shelf(tmp_path / "access.jsonl", Recording(**rules), clock)

    return make


def line(number: int) -> bytes:
    return b'{"n":%d}\n' % number


def numbers(folder: Path) -> list[int]:
    """All lines of all files, in their order."""
    reader, found = Reader(folder, Place()), []
    while lines := reader.read(3):
        found += [int(one.text[5:-1]) for one in lines]
    reader.close()
    return found


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_the_link_leads_to_the_file_that_grows(made: Callable[..., Shelf], tmp_path: Path) -> None:
    shelf = made()
    shelf.append(line(1))
    assert names(tmp_path) == ["access-000001-20261126T020000Z.jsonl", "access.jsonl"]
    assert (tmp_path / "access.jsonl").read_bytes() == line(1)
    assert (tmp_path / "access.jsonl").resolve().stat().st_mode & 0o777 == 0o600


def test_a_keeper_that_comes_after_goes_on_with_the_same_file(made: Callable[..., Shelf], tmp_path: Path) -> None:
    for number in range(3):
        shelf = made()
        shelf.append(line(number))
        shelf.close()
    assert len(volumes(tmp_path)) == 1
    assert numbers(tmp_path) == [0, 1, 2]


def test_the_next_file_is_begun_when_one_is_as_large_as_it_may_get(made: Callable[..., Shelf], tmp_path: Path) -> None:
    shelf = made(largest=MIB)
    half = b"x" * (MIB // 2 - 1) + b"\n"
    for _ in range(5):
        shelf.append(half)
    assert [one.path.stat().st_size for one in volumes(tmp_path)] == [MIB, MIB, MIB // 2]


def test_the_next_file_is_begun_when_one_is_as_old_as_it_may_get(
    made: Callable[..., Shelf], tmp_path: Path, clock: Clock
) -> None:
    shelf = made(max_age=timedelta(hours=1))
    shelf.append(line(1))
    clock.advance(minutes=59)
    shelf.turn_if_due()
    assert len(volumes(tmp_path)) == 1
    clock.advance(minutes=1)
    shelf.turn_if_due()
    shelf.append(line(2))
    assert [one.path.name for one in volumes(tmp_path)] == [
        "access-000001-20261126T020000Z.jsonl",
        "access-000002-20261126T030000Z.jsonl",
    ]
    assert (tmp_path / "access.jsonl").read_bytes() == line(2)


def test_how_old_a_file_is_does_not_begin_anew_with_each_keeper_and_an_empty_one_stays(
    made: Callable[..., Shelf], tmp_path: Path, clock: Clock
) -> None:
    first = made(max_age=timedelta(hours=1))
    first.append(line(1))
    first.close()
    clock.advance(hours=2)
    second = made(max_age=timedelta(hours=1))
    second.turn_if_due()  # without anything that is written
    assert len(volumes(tmp_path)) == 2
    clock.advance(hours=2)
    second.turn_if_due()
    assert len(volumes(tmp_path)) == 2


def test_what_is_no_longer_written_to_is_compressed_and_says_the_same(
    made: Callable[..., Shelf], tmp_path: Path, clock: Clock
) -> None:
    shelf = made(max_age=timedelta(hours=1))
    for number in range(3):
        shelf.append(line(number))
        clock.advance(hours=1)
        shelf.turn_if_due()
    shelf.tidy()
    *old, last = volumes(tmp_path)
    assert [one.path.suffix for one in (*old, last)] == [".gz", ".gz", ".gz", ".jsonl"]
    assert gzip.decompress(old[1].path.read_bytes()) == line(1)
    assert old[0].path.stat().st_mode & 0o777 == 0o600
    assert numbers(tmp_path) == [0, 1, 2]


def test_files_are_kept_for_so_long_and_no_more_of_them_than_so_many(
    made: Callable[..., Shelf], tmp_path: Path, clock: Clock
) -> None:
    shelf = made(max_age=timedelta(days=1), keep=timedelta(days=7), files=5)
    gone: list[int] = []
    for number in range(8):
        shelf.append(line(number))
        clock.advance(days=1)
        shelf.turn_if_due()
    shelf.tidy(lambda one: gone.append(one.number))
    assert [one.number for one in volumes(tmp_path)] == [5, 6, 7, 8, 9]
    assert gone == [1, 2, 3, 4]
    shelf.append(line(8))
    clock.advance(days=5, seconds=1)
    shelf.tidy(lambda one: gone.append(one.number))
    assert [one.number for one in volumes(tmp_path)] == [7, 8, 9]  # the seventh ended less than seven days ago
    clock.advance(days=400)
    shelf.tidy(lambda one: gone.append(one.number))
    assert [one.number for one in volumes(tmp_path)] == [9]  # the one that grows is never removed


@pytest.mark.parametrize("after", range(4))
@pytest.mark.parametrize(
    ("holder", "step"),
    [(os, "open"), (os, "fsync"), (Path, "symlink_to"), (Path, "replace"), (Path, "unlink"), (gzip, "GzipFile")],
    ids=lambda one: one if isinstance(one, str) else one.__name__,
)
def test_a_crash_in_the_middle_of_a_rotation_loses_no_line(holder: Any, step: str, after: int, tmp_path: Path) -> None:
    """The process dies, at each of the steps that touch the disk; the next keeper goes on."""
    child = os.fork()
    if not child:
        _turn_and_die(tmp_path, holder, step, after)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in {0, _DIED}
    before = numbers(tmp_path)
    assert before == list(range(len(before)))
    shelf = Shelf(tmp_path / "access.jsonl", Recording(), lambda: AT + timedelta(hours=2))
    shelf.append(line(len(before)))
    assert (tmp_path / "access.jsonl").read_bytes().endswith(line(len(before)))
    shelf.tidy()
    shelf.close()
    assert numbers(tmp_path) == [*before, len(before)]
    assert len(names(tmp_path)) == len(volumes(tmp_path)) + 1


def _turn_and_die(folder: Path, holder: Any, step: str, after: int) -> None:
    """In a process of its own: write and turn over, and at this step, after so many of it, be gone."""
    try:
        clock, left, real = Clock(), [after], getattr(holder, step)
        shelf = Shelf(folder / "access.jsonl", Recording(max_age=timedelta(hours=1)), clock)
        shelf.append(line(0))

        def dying(*words: Any, **more: Any) -> Any:
            if not left[0]:
                os._exit(_DIED)
            left[0] -= 1
            return real(*words, **more)

        setattr(holder, step, dying)
        for number in (1, 2):
            clock.advance(hours=1)
            shelf.turn_if_due()
            shelf.append(line(number))
            shelf.tidy()
        os._exit(0)
    finally:
        os._exit(1)


def test_a_file_that_there_is_in_both_forms_is_one(made: Callable[..., Shelf], tmp_path: Path, clock: Clock) -> None:
    """A crash after the compressed one was whole, and before the other was gone."""
    shelf = made()
    shelf.append(line(1))
    (first,) = volumes(tmp_path)
    with gzip.open(f"{first.path}.gz", "wb") as packed:
        packed.write(line(1))
    clock.advance(days=1)
    shelf.turn_if_due()
    assert numbers(tmp_path) == [1]
    shelf.tidy()
    assert numbers(tmp_path) == [1]
    assert len(names(tmp_path)) == 3


def test_a_record_of_one_file_from_before_is_kept_beside(made: Callable[..., Shelf], tmp_path: Path) -> None:
    (tmp_path / "access.jsonl").write_bytes(line(7))
    shelf = made()
    shelf.append(line(1))
    assert (tmp_path / "access.jsonl.before").read_bytes() == line(7)
    assert numbers(tmp_path) == [1]


def test_other_files_in_the_folder_are_left_alone(made: Callable[..., Shelf], tmp_path: Path, clock: Clock) -> None:
    others = ["access-1-x.jsonl", "access-000001-20261399T000000Z.jsonl", "envoy.log", "access.jsonl.1"]
    for name in others:
        (tmp_path / name).write_text("x")
    shelf = made()
    shelf.append(line(1))
    clock.advance(days=900)
    shelf.turn_if_due()
    shelf.tidy()
    assert set(others) < set(names(tmp_path))


def test_whoever_reads_on_finds_what_comes_over_the_ends_of_files(
    made: Callable[..., Shelf], tmp_path: Path, clock: Clock
) -> None:
    shelf = made(max_age=timedelta(hours=1))
    reader = Reader(tmp_path, Place())
    assert reader.read(10) == []
    found: list[bytes] = []
    for number in range(6):
        shelf.append(line(number))
        if number % 2:
            found += [one.text for one in reader.read(10)]
            clock.advance(hours=1)
            shelf.turn_if_due()
            shelf.tidy()
    found += [one.text for one in reader.read(10)]
    assert found == [line(number)[:-1] for number in range(6)]
    assert reader.read(10) == []
    again = Reader(tmp_path, Place(2, len(line(2))))
    assert [one.text for one in again.read(10)] == [b'{"n":3}']
    assert again.place == Place(2, 2 * len(line(2)))
    again.close()
    reader.close()


def test_half_a_line_is_not_read_before_its_end_is_there(made: Callable[..., Shelf], tmp_path: Path) -> None:
    shelf = made()
    shelf.append(b'{"n":1}\n{"n":')
    reader = Reader(tmp_path, Place())
    assert [one.text for one in reader.read(10)] == [b'{"n":1}']
    assert reader.read(10) == []
    shelf.append(b"2}\n")
    assert [one.text for one in reader.read(10)] == [b'{"n":2}']
    reader.close()


def test_who_reads_a_file_that_is_removed_meanwhile_reads_it_to_its_end(made: Callable[..., Shelf], tmp_path: Path) -> None:
    shelf = made()
    shelf.append(line(1) + line(2))
    reader = Reader(tmp_path, Place())
    assert len(reader.read(1)) == 1
    (first,) = volumes(tmp_path)
    assert rest(first, reader.place) == 1
    assert rest(first, Place(2)) == 0
    assert end(tmp_path) == Place(1, 2 * len(line(1)))
    reader.close()
