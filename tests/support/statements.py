"""How many statements the database is asked: pages must not ask more for longer lists.

with counted(system.store) as asked:
    ...
asked.count
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event

from ostiary.store.store import Store


@dataclass
class Asked:
    """The statements, as they were sent."""

    texts: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.texts)


@contextmanager
def counted(store: Store) -> Iterator[Asked]:
    """Those that are sent while the block runs."""
    asked = Asked()

    def note(*told: Any) -> None:
        asked.texts.append(str(told[2]))

    event.listen(store._engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(store._engine, "before_cursor_execute", note)
