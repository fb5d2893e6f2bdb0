"""The access record, line by line: one each as long as that can be, sums of what is alike when not."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ostiary.gateway.journal import Journal
from ostiary.gateway.shelf import Shelf
from ostiary.gateway.written import Written

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def entry(number: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "at": f"2026-11-23T10:00:{number % 60:02}.000+00:00",
        "kind": "request",
        "listener": "l1",
        "path": f"/{number}",
        **fields,
    }


def written(number: int = 0, reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """What becomes of it."""
    return {
        "timestamp": f"2026-11-23T10:00:{number % 60:02}.000+00:00",
        "event_name": "ostiary.request",
        "ostiary.verdict": "admitted" if reason is None else "refused",
        **({} if reason is None else {"ostiary.reason": reason}),
        "ostiary.gateway.id": "g1",
        "ostiary.listener.id": "l1",
        "url.path": f"/{number}",
        **fields,
    }


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "access.jsonl"


def journal(file: Path, **limits: int) -> Journal:
    return Journal(Shelf(file, clock=lambda: AT), "g1", Written(file.with_name("written")), clock=lambda: AT, **limits)


def test_each_entry_is_a_line_that_only_its_owner_can_read(file: Path) -> None:
    log = journal(file)
    for number in range(3):
        log.add(entry(number))
    log.write()
    assert lines(file) == [written(number) for number in range(3)]
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_comes_too_fast_is_summed_up_by_what_is_alike_and_nothing_is_missing(file: Path) -> None:
    log = journal(file, a_second=10)
    for number in range(1000):
        log.add(entry(number, refused="revoked", fingerprint="ab" if number % 2 else "cd"))
    log.second()
    told = lines(file)
    assert sum(line.get("ostiary.count", 1) for line in told) == 1000
    sums = {line["tls.client.hash.sha256"]: line["ostiary.count"] for line in told if "ostiary.count" in line}
    assert sums == {"AB": 495, "CD": 495}
    assert len(told) == 12
    assert {line["ostiary.verdict"] for line in told} == {"refused"}


def test_a_flood_of_what_is_served_does_not_hide_a_refusal_and_the_other_way_round(file: Path) -> None:
    log = journal(file, a_second=10)
    for number in range(100):
        log.add(entry(number))
    log.add(entry(7, refused="revoked"))
    for number in range(100):
        log.add(entry(number, refused="handshake"))
    log.second()
    assert written(7, "revoked") in lines(file)
    assert sum(line.get("ostiary.count", 1) for line in lines(file)) == 201


def test_the_next_second_is_written_line_by_line_again(file: Path) -> None:
    log = journal(file, a_second=1)
    log.add(entry(1))
    log.add(entry(2))
    log.second()
    log.add(entry(3))
    log.second()
    assert lines(file)[-1] == written(3)


def test_a_flood_from_ever_new_clients_takes_no_more_memory_than_so_many_groups(file: Path) -> None:
    log = journal(file, a_second=1, groups=20)
    for number in range(5000):
        log.add(entry(number, client=f"192.0.2.{number}", refused="handshake", failure="no certificate"))
    log.second()
    told = lines(file)
    assert len(told) <= 1 + 20 + 1
    assert sum(line.get("ostiary.count", 1) for line in told) == 5000
    assert told[-1]["ostiary.tls.failure"] == "no certificate"


def test_long_names_of_many_clients_are_kept_no_longer_than_they_are_written(file: Path) -> None:
    log = journal(file, a_second=0)
    for last in ("a", "b"):
        log.add(entry(subject="x" * 5000 + last))
    log.second()
    (told,) = lines(file)
    assert (told["ostiary.count"], told["tls.client.subject"]) == (2, "x" * 1024)


def test_names_that_are_as_long_as_they_may_be_do_not_fill_the_record_any_faster(file: Path) -> None:
    log = journal(file, room=20_000)
    for number in range(300):
        log.add(entry(number, refused="revoked", client=f"192.0.2.{number % 7}", subject="\u1234" * 1024, path="\u1234" * 1024))
    log.add(entry(1))
    log.second()
    told = lines(file)
    assert sum(line.get("ostiary.count", 1) for line in told) == 301
    assert len(told) == 2 + 7 + 1
    assert written(1) in told


def test_a_line_that_a_crash_cut_off_does_not_spoil_the_next(file: Path) -> None:
    log = journal(file)
    log.add(entry(1))
    log.write()
    with file.open("a") as cut:
        cut.write('{"at":"2026')
    log = journal(file)
    log.add(entry(1))
    log.write()
    first, _, last = file.read_text().splitlines()
    assert json.loads(first) == json.loads(last) == written(1)


def test_what_the_disk_does_not_take_is_counted_and_said_once_it_does(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    log = journal(folder / "access.jsonl")
    log.add(entry(1))
    log.write()  # no such folder
    log.add(entry(2))
    log.second()
    folder.mkdir()
    log.add(entry(3))
    log.write()
    lost, last = lines(folder / "access.jsonl")
    assert lost == {
        "timestamp": "2026-11-23T10:00:00.000+00:00",
        "event_name": "ostiary.lost",
        "ostiary.gateway.id": "g1",
        "ostiary.lost.reason": "the disk did not take it",
        "ostiary.lost.count": 2,
    }
    assert last == written(3)


def test_names_cannot_steer_a_terminal_or_begin_a_line_of_their_own(file: Path) -> None:
    name = "\x1b[2J\n{}\x9b\u2028"
    log = journal(file)
    log.add(entry(1, subject=name))
    log.write()
    assert file.read_bytes().isascii()
    assert lines(file) == [written(1, **{"tls.client.subject": name})]
