"""The access log on disk: one line each as long as that can be, sums of what is alike when not, and never more than its room."""

import json
from pathlib import Path
from typing import Any

import pytest

from ostiary.gateway.journal import Journal


def entry(number: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "at": f"2026-11-23T10:00:{number % 60:02}.000+00:00",
        "kind": "request",
        "listener": "l1",
        "path": f"/{number}",
        **fields,
    }


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "access.jsonl"


def test_each_entry_is_a_line_that_only_its_owner_can_read(file: Path) -> None:
    journal = Journal(file)
    for number in range(3):
        journal.add(entry(number))
    journal.write()
    assert lines(file) == [entry(number) for number in range(3)]
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_comes_too_fast_is_summed_up_by_what_is_alike_and_nothing_is_missing(file: Path) -> None:
    journal = Journal(file, a_second=10)
    for number in range(1000):
        journal.add(entry(number, refused="revoked", fingerprint="ab" if number % 2 else "cd"))
    journal.second()
    written = lines(file)
    assert sum(line.get("count", 1) for line in written) == 1000
    sums = {line["fingerprint"]: line["count"] for line in written if "count" in line}
    assert sums == {"ab": 495, "cd": 495}
    assert len(written) == 12


def test_a_flood_of_what_is_served_does_not_hide_a_refusal_and_the_other_way_round(file: Path) -> None:
    journal = Journal(file, a_second=10)
    for number in range(100):
        journal.add(entry(number))
    journal.add(entry(7, refused="revoked"))
    for number in range(100):
        journal.add(entry(number, refused="handshake"))
    journal.second()
    assert entry(7, refused="revoked") in lines(file)
    assert sum(line.get("count", 1) for line in lines(file)) == 201


def test_the_next_second_is_written_line_by_line_again(file: Path) -> None:
    journal = Journal(file, a_second=1)
    journal.add(entry(1))
    journal.add(entry(2))
    journal.second()
    journal.add(entry(3))
    journal.second()
    assert lines(file)[-1] == entry(3)


def test_a_flood_from_ever_new_clients_takes_no_more_memory_than_so_many_groups(file: Path) -> None:
    journal = Journal(file, a_second=1, groups=20)
    for number in range(5000):
        journal.add(entry(number, client=f"192.0.2.{number}", refused="handshake", failure="no certificate"))
    journal.second()
    written = lines(file)
    assert len(written) <= 1 + 20 + 1
    assert sum(line.get("count", 1) for line in written) == 5000
    assert written[-1]["failure"] == "no certificate"


def test_files_turn_over_and_the_oldest_goes(file: Path) -> None:
    journal = Journal(file, largest=1000, older=2, a_second=1000)
    for number in range(200):
        journal.add(entry(number))
        journal.write()
    files = sorted(path.name for path in file.parent.iterdir())
    assert files == ["access.jsonl", "access.jsonl.1", "access.jsonl.2"]
    assert all((file.parent / name).stat().st_size <= 1000 for name in files)
    assert lines(file)[-1] == entry(199)


def test_a_line_that_a_crash_cut_off_does_not_spoil_the_next(file: Path) -> None:
    file.write_text('{"at":"2026')
    journal = Journal(file)
    journal.add(entry(1))
    journal.write()
    assert json.loads(file.read_text().splitlines()[1]) == entry(1)


def test_what_the_disk_does_not_take_is_counted_and_said_once_it_does(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    journal = Journal(folder / "access.jsonl")
    journal.add(entry(1))
    journal.write()  # no such folder
    journal.add(entry(2))
    journal.write()
    folder.mkdir()
    journal.add(entry(3))
    journal.write()
    lost, last = lines(folder / "access.jsonl")
    assert lost == {"kind": "lost", "why": "the disk did not take it", "lines": 2}
    assert last == entry(3)


def test_names_cannot_steer_a_terminal_or_begin_a_line_of_their_own(file: Path) -> None:
    name = "\x1b[2J\n{}\x9b\u2028"
    journal = Journal(file)
    journal.add(entry(1, subject=name))
    journal.write()
    assert file.read_bytes().isascii()
    assert lines(file) == [entry(1, subject=name)]


def test_a_file_can_be_synced_and_closed_more_than_once(file: Path) -> None:
    journal = Journal(file)
    journal.sync()
    journal.add(entry(1))
    journal.write()
    journal.sync()
    journal.close()
    journal.close()
    journal.sync()
    assert file.stat().st_size
