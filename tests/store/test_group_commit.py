"""Group commit: shared transactions, nobody told before the commit, and one failure is nobody else's."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from ostiary.errors import Conflict, Unavailable
from ostiary.store.group_commit import LARGEST_BATCH, GroupCommit
from ostiary.store.store import Facts, Store


class Notebook:
    """Transactions that write words; a batch is seen only when it is committed."""

    def __init__(self) -> None:
        self.committed: list[list[str]] = []
        self.begun = 0
        self.gate = threading.Event()
        self.gate.set()

    @contextmanager
    def begin(self) -> Any:
        self.begun += 1
        page: list[str] = []
        yield page
        self.gate.wait()
        self.committed.append(page)

    def words(self) -> list[str]:
        return [word for page in self.committed for word in page]


def write(word: str) -> Callable[[list[str]], str]:
    def work(page: list[str]) -> str:
        page.append(word)
        return word

    return work


def fail(page: list[str]) -> str:
    page.append("never")
    raise Conflict("no")


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def group(notebook: Notebook) -> GroupCommit[list[str]]:
    return GroupCommit(notebook.begin)


def all_at_once(group: GroupCommit[list[str]], notebook: Notebook, works: list[Callable[[list[str]], str]]) -> list[Any]:
    """Have the first be in its commit while all others come; then what each returned or raised, in order."""
    notebook.gate.clear()
    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(group.submit, works[0])]
        while notebook.begun == 0:
            pass
        futures += [pool.submit(group.submit, work) for work in works[1:]]
        while len(group._waiting) < len(works) - 1:
            pass
        notebook.gate.set()
        return [future.exception() or future.result() for future in futures]


def test_what_comes_while_another_commits_shares_the_next_transaction(group: GroupCommit[list[str]], notebook: Notebook) -> None:
    words = [f"word {number}" for number in range(9)]
    assert all_at_once(group, notebook, [write(word) for word in words]) == words
    assert [len(page) for page in notebook.committed] == [1, 8]
    assert sorted(notebook.words()) == sorted(words)


def test_a_batch_has_a_largest_size(group: GroupCommit[list[str]], notebook: Notebook) -> None:
    words = [f"{number}" for number in range(LARGEST_BATCH + 21)]
    assert all_at_once(group, notebook, [write(word) for word in words]) == words
    assert [len(page) for page in notebook.committed] == [1, LARGEST_BATCH, 20]


def test_nobody_is_told_before_the_commit(group: GroupCommit[list[str]], notebook: Notebook) -> None:
    notebook.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(group.submit, write("soon"))
        while notebook.begun == 0:
            pass
        assert not told.done()
        notebook.gate.set()
        assert told.result() == "soon"


def test_one_that_fails_leaves_nothing_and_the_others_get_theirs(group: GroupCommit[list[str]], notebook: Notebook) -> None:
    results = all_at_once(group, notebook, [write("first"), write("a"), fail, write("b")])
    assert isinstance(results[2], Conflict)
    assert results[:2] + results[3:] == ["first", "a", "b"]
    assert sorted(notebook.words()) == ["a", "b", "first"]


def test_when_the_database_itself_fails_all_are_told_and_nothing_is_tried_one_by_one() -> None:
    begun = []

    def begin() -> AbstractContextManager[list[str]]:
        begun.append(1)
        raise Unavailable("the disk is full")

    group: GroupCommit[list[str]] = GroupCommit(begin)
    with pytest.raises(Unavailable):
        group.submit(write("lost"))
    assert len(begun) == 1


def test_facts_of_many_threads_are_one_unbroken_chain(store: Store) -> None:
    def note(number: int) -> int:
        def work(facts: Facts) -> int:
            facts.append_audit({"actor": "a", "action": "x:y", "resource_id": str(number)})
            return number

        return store.record(work)

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(note, range(100))) == list(range(100))
    with store.read() as reader:
        rows = list(reader.audit_entries())
        assert [row.sequence for row in rows] == list(range(1, 101))
        assert reader.audit_head() == (100, rows[-1].hash)
        assert reader.revision() == 0  # facts are no configuration


def test_what_a_failed_work_wrote_is_undone(store: Store) -> None:
    def note_and_fail(facts: Facts) -> None:
        facts.move_status()
        facts.append_audit({"actor": "a", "action": "x:y", "resource_id": "1"})
        raise Conflict("no")

    with pytest.raises(Conflict):
        store.record(note_and_fail)
    with store.read() as reader:
        assert (reader.status_sequence(), list(reader.audit_entries())) == (0, [])
