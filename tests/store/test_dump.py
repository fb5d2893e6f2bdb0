"""All tables as lines, and back: in any database, from any schema, and nothing that is not as it was written."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect

from ostiary.clock import now
from ostiary.errors import Conflict, Invalid
from ostiary.store import dump, restores
from ostiary.store.engine import bring, newest, open_engine
from ostiary.store.store import Reader, Store
from support.systems import a_store, sqlite_url
from support.town import a_town

Lines = list[bytes]


@pytest.fixture(scope="module")
def town_lines(tmp_path_factory: pytest.TempPathFactory) -> Lines:
    """Something of everything."""
    with a_town(tmp_path_factory.mktemp("town")) as town:
        return lines_of(town.system.store)


def lines_of(store: Store) -> Lines:
    with store.read() as reader:
        return list(dump.lines(reader))


def rows(lines: Lines) -> dict[str, list[Any]]:
    """By table."""
    found: dict[str, list[Any]] = {}
    name = ""
    for line in lines:
        said = json.loads(line)
        if isinstance(said, list):
            found[name].append(said)
        elif "table" in said:
            name = said["table"]
            found[name] = []
    return found


@contextmanager
def filled(url: str, lines: Lines, schema: str = "") -> Iterator[Reader]:
    engine = open_engine(url)
    try:
        with dump.filled(engine, schema or newest(), lines, now()) as facts:
            yield facts
    finally:
        engine.dispose()


def without_what_moved(lines: Lines) -> dict[str, list[Any]]:
    found = rows(lines)
    found.pop("head")
    found.pop("effect_marks")
    found["revisions"] = [row for row in found["revisions"] if row[3] != "backup:restore"]
    return found


def test_everything_comes_back_as_it_was_whichever_database_it_goes_through(
    town_lines: Lines, tmp_path: Path, postgres_url: str
) -> None:
    filled_tables = [name for name, those in rows(town_lines).items() if those]
    assert len(filled_tables) > 20, "the town has something of most"
    given = town_lines
    for url in (sqlite_url(tmp_path), postgres_url, f"sqlite:///{tmp_path / 'again.db'}"):
        with filled(url, given):
            pass
        store = a_store(url)
        again = lines_of(store)
        with store.read() as reader:
            assert dump.counts(reader) == {name: len(those) for name, those in rows(again).items()}
        store.close()
        assert without_what_moved(again) == without_what_moved(town_lines)
        given = again


def test_the_numbers_go_on_beyond_what_was_given_out_since(town_lines: Lines, tmp_path: Path) -> None:
    revision, status = rows(town_lines)["head"][0][1:3]
    with filled(sqlite_url(tmp_path), town_lines) as reader:
        assert reader.revision() >= revision + 1000
        assert reader.one_revision(reader.revision()).action == "backup:restore"
        assert reader.status_sequence() >= status + 1_000_000
        assert dump.counts(reader)["effect_marks"] == 0
        assert restores.least_number(reader) == 0, "that is for who restores to say"


@pytest.mark.parametrize("schema", ["0011", "0016"])
def test_a_backup_of_an_older_schema_is_brought_forward(town_lines: Lines, tmp_path: Path, schema: str) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'then.db'}")
    with engine.execution_options(writes=True).begin() as connection:
        bring(connection, schema)
        inspector = inspect(connection)
        then = {name: [one["name"] for one in inspector.get_columns(name)] for name in inspector.get_table_names()}
    engine.dispose()
    assert len(then) < len(rows(town_lines)) + 1 or schema == newest()
    with filled(sqlite_url(tmp_path), older(town_lines, then), schema):
        pass
    store = a_store(sqlite_url(tmp_path))
    again = without_what_moved(lines_of(store))
    store.close()
    for name, those in without_what_moved(town_lines).items():
        if name in then:
            assert len(again[name]) == len(those), name


def older(lines: Lines, then: dict[str, list[str]]) -> Lines:
    """As they would have been in a database of these tables and columns."""
    found: Lines = []
    name, kept = "", list[int]()
    for line in lines:
        said = json.loads(line)
        if isinstance(said, dict) and "table" in said:
            name = said["table"]
            kept = [at for at, (column, _kind) in enumerate(said["columns"]) if column in then.get(name, ())]
            said["columns"] = [said["columns"][at] for at in kept]
        elif isinstance(said, list):
            said = [said[at] for at in kept]
        if name in then:
            found.append(json.dumps(said).encode())
    return found


def test_a_newer_schema_is_refused(town_lines: Lines, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="a newer ostiary made it"), filled(sqlite_url(tmp_path), town_lines, "0099"):
        pass


def _without_a_row(lines: Lines) -> Lines:
    at = next(number for number, line in enumerate(lines) if line.startswith(b"["))
    return lines[:at] + lines[at + 1 :]


def _replaced(old: bytes, new: bytes) -> Callable[[Lines], Lines]:
    def change(lines: Lines) -> Lines:
        changed = [line.replace(old, new, 1) for line in lines]
        assert changed != lines
        return changed

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without_a_row, "does not have as many rows as it says"),
        (lambda lines: lines[:-1], "ends within the table"),
        (lambda lines: lines[:-2], r"lacks the table|ends within the table"),
        (lambda lines: [*lines, lines[0]], "does not have as it is there"),
        (lambda lines: [b"[" * 100_000, *lines], "cannot be read"),
        (lambda lines: [b'{"table": "sqlite_master", "columns": [["sql", "text"]]}', *lines], "does not have as it is there"),
        (_replaced(b'["tags","text"]', b'["tags; DROP TABLE audit","text"]'), "does not have as it is there"),
        (_replaced(b'["tags","text"]', b'["tags","pickle"]'), "cannot be read"),
        (_replaced(b'["created_at","time"]', b'["created_at","json"]'), "does not have as it is there"),
        (_replaced(b"+00:00", b""), "cannot be read"),
    ],
)
def test_lines_that_we_did_not_write_are_refused_and_leave_nothing(
    town_lines: Lines, tmp_path: Path, change: Callable[[Lines], Lines], words: str
) -> None:
    url = sqlite_url(tmp_path)
    with pytest.raises(Exception, match=words), filled(url, change(town_lines)):
        pass
    engine = open_engine(url)
    dump.refuse_unless_empty(engine)
    engine.dispose()


def test_a_database_with_anything_in_it_is_not_empty(url: str) -> None:
    store = a_store(url)
    engine = open_engine(url)
    with pytest.raises(Conflict, match=r"not empty: it has \d+ tables"):
        dump.refuse_unless_empty(engine)
    engine.dispose()
    store.close()
