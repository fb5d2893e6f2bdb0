"""What gateways sum up, in SQL: a row for what is alike, with names for so many clients of a kind, without for the rest."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Table, bindparam, select

from ostiary.model.denial import Refusals
from ostiary.store.store import Transaction

_AT_ONCE: Final = 500

Kind = TypeVar("Kind", bound=Hashable)


@dataclass(frozen=True)
class Sums(Generic[Kind]):
    """A table of sums: what is alike, by the `row_id` of a sum for a client (empty: without names), and of which `kind` it is.

    `empty` is a row that holds nothing yet, for a client; `joined` is a row with more added.
    """

    table: Table
    row_id: Callable[[Refusals, str], str]
    kind: Callable[[Refusals], Kind]
    empty: Callable[[Refusals, str], dict[str, Any]]
    joined: Callable[[Mapping[str, Any], Refusals], dict[str, Any]]

    def merge(self, transaction: Transaction, told: Sequence[Refusals], left: Counter[Kind]) -> None:
        """Add these to what is known. For `left` more clients of a kind there is a row of their own; the rest is one sum."""
        known = self._known(transaction, {self.row_id(one, who) for one in told for who in (one.who, "")})
        new: dict[str, dict[str, Any]] = {}
        changed: dict[str, dict[str, Any]] = {}
        for one in told:
            who, row_id = one.who, self.row_id(one, one.who)
            if who and row_id not in known and row_id not in new:
                if left[self.kind(one)] <= 0:
                    who, row_id = "", self.row_id(one, "")
                else:
                    left[self.kind(one)] -= 1
            before = changed.get(row_id) or known.get(row_id) or new.get(row_id)
            (changed if row_id in known else new)[row_id] = self.joined(before or self.empty(one, who), one)
        if new:
            transaction.connection.execute(self.table.insert(), list(new.values()))
        if changed:
            which = self.table.c.id == bindparam("b_id")
            rows = [{**row, "b_id": row["id"]} for row in changed.values()]
            transaction.connection.execute(self.table.update().where(which), rows)

    def prune(self, transaction: Transaction, before: datetime, most: int) -> int:
        """Remove rows that are too old, and the oldest where there are more than `most`. How many were removed."""
        last = self.table.c.last
        old = transaction.connection.execute(self.table.delete().where(last < before)).rowcount
        limit = transaction.connection.execute(select(last).order_by(last.desc()).offset(most).limit(1)).scalar()
        if limit is None:
            return int(old)
        return int(old + transaction.connection.execute(self.table.delete().where(last <= limit)).rowcount)

    def _known(self, transaction: Transaction, ids: set[str]) -> dict[str, dict[str, Any]]:
        return {
            row["id"]: dict(row)
            for some in parts(sorted(ids))
            for row in transaction.connection.execute(select(self.table).where(self.table.c.id.in_(some))).mappings()
        }


def parts(words: Iterable[str]) -> Iterator[list[str]]:
    """As many at once as one statement takes."""
    rest = iter(words)
    while part := list(islice(rest, _AT_ONCE)):
        yield part
