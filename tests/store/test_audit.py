"""Looking something up in the record: the same on SQLite and PostgreSQL, and by sequence however many entries fit."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from ostiary.model.audit import AuditSearch
from ostiary.store import audit
from ostiary.store.store import Facts, Store
from support.systems import FakeClock, a_store


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(url: str, clock: FakeClock) -> Any:
    opened = a_store(url, clock)
    yield opened
    opened.close()


def write(store: Store, *entries: tuple[str, str, str]) -> None:
    def work(facts: Facts) -> None:
        for actor, action, resource_id in entries:
            facts.append_audit({"actor": actor, "action": action, "resource_id": resource_id})

    store.record(work)


def found(store: Store, limit: int = 100, before: int | None = None, after: int | None = None, **asked: Any) -> list[int]:
    with store.read() as reader:
        return [row.sequence for row in audit.page(reader, AuditSearch(**asked), limit=limit, before=before, after=after)]


def test_entries_are_found_by_who_what_and_on_what(store: Store) -> None:
    write(store, ("ann", "token:create", "t1"), ("bob", "token:create", "t2"), ("ann", "token:delete", "t1"))
    assert found(store) == [3, 2, 1]
    assert found(store, actor="ann") == [3, 1]
    assert found(store, action="token:create") == [2, 1]
    assert found(store, resource_id="t1") == [3, 1]
    assert found(store, actor="ann", action="token:create", resource_id="t1") == [1]
    assert found(store, actor="an") == []


def test_pages_follow_each_other_in_both_directions(store: Store) -> None:
    write(store, *[("ann" if number % 2 else "bob", "x:y", "r") for number in range(1, 21)])
    assert found(store, 3, actor="ann") == [19, 17, 15]
    assert found(store, 3, before=15, actor="ann") == [13, 11, 9]
    assert found(store, 3, after=9, actor="ann") == [15, 13, 11]
    assert found(store, 3, after=17, actor="ann") == [19]
    assert found(store, 3, before=1, actor="ann") == []


def test_a_time_includes_its_beginning_and_not_its_end(store: Store, clock: FakeClock) -> None:
    times: list[datetime] = []
    for hour in range(6):
        clock.at += timedelta(hours=1)
        write(store, ("ann", f"x:{hour}", "r"))
        times.append(clock.at)
    assert found(store, since=times[2]) == [6, 5, 4, 3]
    assert found(store, until=times[2]) == [2, 1]
    assert found(store, since=times[1], until=times[3]) == [3, 2]
    assert found(store, since=times[5] + timedelta(hours=9)) == []
    assert found(store, until=times[0] - timedelta(days=1)) == []
    assert found(store, since=times[3], until=times[3]) == []


def test_a_clock_that_was_put_back_hides_nothing(store: Store, clock: FakeClock) -> None:
    start = clock.at
    for minutes in (0, 30, 50, 10, 40):  # the fourth was written after the clock was put back by 40 minutes
        clock.at = start + timedelta(minutes=minutes)
        write(store, ("ann", "x:y", "r"))
    assert found(store, since=start + timedelta(minutes=20)) == [5, 3, 2]
    assert found(store, until=start + timedelta(minutes=20)) == [4, 1]


def test_the_actions_on_record_are_each_told_once(store: Store) -> None:
    with store.read() as reader:
        assert audit.actions(reader) == ()
    write(store, ("ann", "b:c", "1"), ("ann", "a:b", "1"), ("ann", "b:c", "1"), ("bob", "z:z", "1"))
    with store.read() as reader:
        assert audit.actions(reader) == ("a:b", "b:c", "z:z")


def test_one_entry_is_found_by_its_number(store: Store) -> None:
    write(store, ("ann", "x:y", "1"), ("ann", "x:z", "2"))
    with store.read() as reader:
        one = audit.one(reader, 2)
        assert one is not None
        assert '"x:z"' in one.entry
        assert audit.one(reader, 3) is None


def test_nothing_is_sorted_to_find_the_newest_of_many(store: Store, clock: FakeClock) -> None:
    """Each look-up goes through an index in the order of the entries, so it stops when the page is full."""
    write(store, *[("ann" if number % 3 else "bob", f"x:{number % 7}", f"r{number % 11}") for number in range(500)])
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, given: Any, *_more: Any) -> None:
        asked.append((statement, given))

    with store.read() as reader:
        if reader.connection.dialect.name != "sqlite":
            pytest.skip("how PostgreSQL finds them depends on what it knows of the table")
        event.listen(reader.connection, "before_cursor_execute", note)
        day = AuditSearch(actor="bob", since=clock.at - timedelta(days=1), until=clock.at + timedelta(days=1))
        for search in (
            AuditSearch(),
            AuditSearch(actor="bob"),
            AuditSearch(action="x:3"),
            AuditSearch(resource_id="r4"),
            day,
        ):
            assert len(audit.page(reader, search, limit=10)) == 10
        event.remove(reader.connection, "before_cursor_execute", note)
        assert len(asked) == 7
        for statement, given in asked:
            plan = " ".join(str(row[3]) for row in reader.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given))
            assert "TEMP B-TREE" not in plan
            assert "INDEX" in plan
