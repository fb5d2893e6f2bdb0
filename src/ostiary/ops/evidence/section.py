"""What a pack is made of: sections of rows, each with the entries it follows from; and what all sections know."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.store import evidence
from ostiary.store.evidence import PAGE, Link, Position
from ostiary.store.store import AuditRow

NO_LINKS: Final[tuple[Link, ...]] = ()
# Of one thing that is changed all the time, the first entry and the last ones are told; the others are in the exported record.
LINKS_MAX: Final = 50


@dataclass(frozen=True)
class Column:
    """A column. One that is `wide` is in the files only: on the page it would leave no room for the others."""

    name: str
    title: str
    wide: bool = False


@dataclass(frozen=True)
class Row:
    """One fact, by the names of the columns, and the entries that it follows from."""

    values: Mapping[str, Any]
    links: tuple[Link, ...] = NO_LINKS


Rows = Iterator[tuple[Row, ...]]  # a page at a time, so that never more than one is in memory


@dataclass(frozen=True)
class Scope:
    """The period that a pack is about, and where the record stood: at its beginning, at its end, and when the pack was made.

    `pruned` is the last entry that had been removed for its age; what is older than that cannot be told.
    """

    system: System
    caller: Caller
    since: datetime
    until: datetime
    made_at: datetime
    start: Position
    end: Position
    head: Position
    pruned: int

    def entries(self, *, actions: Iterable[str] = (), groups: Iterable[str] = ()) -> Iterator[tuple[AuditRow, ...]]:
        """Entries of the period, a page at a time; of these actions, or of those whose names begin with one of `groups`."""
        these, those = tuple(actions), tuple(groups)
        reached = self.start.sequence
        while True:
            with self.system.store.read() as reader:
                page = evidence.entries(reader, reached, self.end.sequence, actions=these, groups=those)
            if page:
                yield page
            if len(page) < PAGE:
                return
            reached = page[-1].sequence


@dataclass(frozen=True)
class Section:
    """A list of the pack: what it shows, where that comes from, and what it does not show."""

    name: str
    title: str
    about: str
    source: str
    columns: tuple[Column, ...]
    rows: Callable[[Scope], Rows]


def said(row: AuditRow) -> dict[str, Any]:
    """What an entry says; nothing of one that somebody damaged, which the verification tells."""
    try:
        found = json.loads(row.entry)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def link(row: AuditRow) -> Link:
    """An entry that something follows from."""
    return Link(row.sequence, row.hash)


def some(links: Iterable[Link]) -> tuple[Link, ...]:
    """The first and the last of them, where there are very many."""
    every = tuple(links)
    return every if len(every) <= LINKS_MAX else (every[0], *every[-LINKS_MAX + 1 :])


def who(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Who did it, as every list of deeds has it."""
    return {name: entry.get(name, "") for name in ("at", "actor", "role", "source", "request_id")}


WHO: Final = (
    Column("at", "When"),
    Column("actor", "Who"),
    Column("role", "Role"),
    Column("source", "From", wide=True),
    Column("request_id", "Request", wide=True),
)


def earlier(now: Mapping[str, Any], later: Iterable[AuditRow]) -> dict[str, Any]:
    """A thing as it was before these entries about it, oldest first: each tells what differed."""
    found, settled = dict(now), set[str]()
    for row in later:
        before = said(row).get("before") or {}
        for name in before.keys() - settled:
            found[name] = before[name]
            settled.add(name)
    return found


def paged(rows: Iterable[Row]) -> Rows:
    """Rows that are few enough to have been made at once, as pages."""
    waiting: list[Row] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == PAGE:
            yield tuple(waiting)
            waiting.clear()
    if waiting:
        yield tuple(waiting)
