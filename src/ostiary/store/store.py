"""Read and write resources. Every write happens in a transaction that holds the head row."""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from time import perf_counter
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import IntegrityError, OperationalError

from ostiary import tracing
from ostiary.clock import now
from ostiary.errors import Conflict, NotFound, Unavailable
from ostiary.measuring import Spread, Tally
from ostiary.model.query import Page, Query
from ostiary.model.reference import parse, references
from ostiary.model.resource import Resource
from ostiary.store import newer, tables, words
from ostiary.store.group_commit import GroupCommit
from ostiary.store.kinds import BY_NAME, CERTIFICATE, REVISED, Kind, R
from ostiary.store.queries import paged
from ostiary.store.rows import from_row, public, to_row

GENESIS: Final = "0" * 64

T = TypeVar("T")

_REVISION: Final = select(tables.head.c.revision)


@dataclass(frozen=True)
class Revision:
    """One committed change of the configuration."""

    number: int
    at: datetime
    actor: str
    action: str


@dataclass(frozen=True)
class Change:
    """One resource before and after, as stored JSON; None where it did not exist."""

    kind: str
    resource_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True)
class AuditRow:
    """One link of the audit chain. `entry` is the exact text that was hashed."""

    sequence: int
    entry: str
    previous_hash: str
    hash: str


def link(previous_hash: str, entry: str) -> str:
    """The hash of an audit entry: it covers the entry and, through the one before, all that went before."""
    return hashlib.sha256(f"{previous_hash}\n{entry}".encode()).hexdigest()


class Reader:
    """What can be read within one transaction, all as of one moment. `connection` is for the modules of this package."""

    _stands_still = True  # what was read whole stays as it was read

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._whole: dict[str, tuple[Any, ...]] = {}
        self._by_id: dict[str, Mapping[str, Any]] = {}

    def lend(self, kind: Kind[R], whole: tuple[R, ...], by_id: Mapping[str, R] | None = None) -> None:
        """Have all of a kind be these, without asking the database. Whoever lends answers for it that they are all there are."""
        self._whole[kind.name] = whole
        if by_id is not None:
            self._by_id[kind.name] = by_id

    def revision(self) -> int:
        """The current configuration revision."""
        return self._revision

    @cached_property
    def _revision(self) -> int:
        return int(self.connection.execute(_REVISION).scalar_one())

    @cached_property
    def keeps_words(self) -> bool:
        """Whether what is derived from the certificates is kept beside them (`store.words`)."""
        return words.is_kept(self.connection)

    def status_sequence(self) -> int:
        """How often what gateways must hear of besides revisions has changed: revocations, lists, denials."""
        return int(self.connection.execute(select(tables.head.c.status_sequence)).scalar_one())

    def get(self, kind: Kind[R], resource_id: str) -> R | None:
        """One resource by id."""
        row = self.connection.execute(select(kind.table).where(kind.table.c.id == resource_id)).mappings().first()
        return None if row is None else from_row(kind, row)

    def require(self, kind: Kind[R], resource_id: str) -> R:
        """One resource by id. Raises `NotFound`."""
        found = self.get(kind, resource_id)
        if found is None:
            raise NotFound(kind.title, resource_id)
        return found

    def all(self, kind: Kind[R], **where: Any) -> tuple[R, ...]:
        """All resources whose columns have these values, oldest first."""
        if where or not self._stands_still:
            return self._read_all(kind, where)
        if kind.name not in self._whole:
            self._whole[kind.name] = self._read_all(kind, where)
        return self._whole[kind.name]

    def by_id(self, kind: Kind[R], whole: Sequence[R]) -> Mapping[str, R]:
        """These, which are all of a kind, by their ids."""
        return self._by_id[kind.name] if kind.name in self._by_id else {thing.id: thing for thing in whole}

    def _read_all(self, kind: Kind[R], where: Mapping[str, Any]) -> tuple[R, ...]:
        statement = select(kind.table).order_by(kind.table.c.created_at, kind.table.c.id)
        for name, value in where.items():
            statement = statement.where(kind.table.c[name] == value)
        return tuple(from_row(kind, row) for row in self.connection.execute(statement).mappings())

    def find(self, kind: Kind[R], query: Query, **where: Any) -> Page[R]:
        """One page of resources."""
        rows, more = paged(self.connection, kind, query, where)
        return Page(tuple(from_row(kind, row) for row in rows), more)

    def first_of_each(self, kind: Kind[R], group: str, values: Sequence[str], order: str, most: int) -> tuple[R, ...]:
        """Of the resources with each of these values in the column `group`, the first few by `order`; in one statement."""
        columns = kind.table.c
        place = func.row_number().over(partition_by=columns[group], order_by=(columns[order], columns.id)).label("place")
        ranked = select(columns.id, place).where(columns[group].in_(tuple(values))).subquery()
        statement = (
            select(kind.table)
            .join(ranked, ranked.c.id == columns.id)
            .where(ranked.c.place <= most)
            .order_by(columns[group], columns[order], columns.id)
        )
        return tuple(from_row(kind, row) for row in self.connection.execute(statement).mappings())

    def count(self, kind: Kind[Any], **where: Any) -> int:
        """How many there are."""
        statement = select(func.count()).select_from(kind.table)
        for name, value in where.items():
            statement = statement.where(kind.table.c[name] == value)
        return int(self.connection.execute(statement).scalar_one())

    def ids(self, kind: Kind[Any], **where: Any) -> tuple[str, ...]:
        """The ids of all resources whose columns have these values, oldest first."""
        statement = select(kind.table.c.id).order_by(kind.table.c.created_at, kind.table.c.id)
        for name, value in where.items():
            statement = statement.where(kind.table.c[name] == value)
        return tuple(self.connection.execute(statement).scalars())

    def holders(self, target_id: str) -> tuple[tuple[str, str, str], ...]:
        """Who refers to this secret, container or authority: (kind, id, field)."""
        uses = tables.material_uses
        statement = (
            select(uses.c.holder_kind, uses.c.holder_id, uses.c.field)
            .where(uses.c.target_id == target_id)
            .order_by(uses.c.holder_kind, uses.c.holder_id, uses.c.field)
        )
        return tuple((row[0], row[1], row[2]) for row in self.connection.execute(statement))

    def revisions(self, limit: int, before: int | None = None) -> tuple[Revision, ...]:
        """The latest revisions, newest first; with `before`, those older than it."""
        table = tables.revisions
        statement = select(table).order_by(table.c.number.desc()).limit(limit)
        if before is not None:
            statement = statement.where(table.c.number < before)
        return tuple(Revision(*row) for row in self.connection.execute(statement))

    def one_revision(self, number: int) -> Revision:
        """One revision. Raises `NotFound`."""
        row = self.connection.execute(select(tables.revisions).where(tables.revisions.c.number == number)).first()
        if row is None:
            raise NotFound("Revision", str(number))
        return Revision(*row)

    def changes(self, *, of: int | None = None, after: int | None = None) -> tuple[Change, ...]:
        """What one revision changed, or all revisions after one, in order."""
        table = tables.changes
        statement = select(table.c.kind, table.c.resource_id, table.c.before, table.c.after).order_by(
            table.c.revision, table.c.position
        )
        if of is not None:
            statement = statement.where(table.c.revision == of)
        if after is not None:
            statement = statement.where(table.c.revision > after)
        return tuple(Change(*row) for row in self.connection.execute(statement))

    def audit_head(self) -> tuple[int, str]:
        """The last sequence number and hash of the audit chain."""
        row = self.connection.execute(select(tables.head.c.audit_sequence, tables.head.c.audit_hash)).one()
        return int(row[0]), str(row[1])

    def audit_entries(self, after: int = 0, limit: int | None = None, *, newest_first: bool = False) -> Iterator[AuditRow]:
        """Links of the chain with a sequence above `after`, streamed."""
        table = tables.audit
        order = table.c.sequence.desc() if newest_first else table.c.sequence
        statement = (
            select(table.c.sequence, table.c.entry, table.c.previous_hash, table.c.hash)
            .where(table.c.sequence > after)
            .order_by(order)
        )
        if limit is not None:
            statement = statement.limit(limit)
        for row in self.connection.execute(statement.execution_options(yield_per=1000)):
            yield AuditRow(*row)


class Transaction(Reader):
    """A writer. Holds the head row from its first moment, so writers stand in line and readers see whole changes."""

    _stands_still = False

    def __init__(self, connection: Connection, at: datetime) -> None:
        super().__init__(connection)
        self.at = at
        locked = connection.execute(select(tables.head).with_for_update()).mappings().one()
        self.next_revision = int(locked["revision"]) + 1
        self._stamp = self.next_revision  # what is written belongs to the revision that this becomes
        self._status_sequence = int(locked["status_sequence"])
        self._audit_sequence = int(locked["audit_sequence"])
        self._audit_hash = str(locked["audit_hash"])
        self.changed: list[Change] = []
        self.remarks: dict[str, Any] = {}  # what each entry of the record is to say beside: who agreed, or that nobody did
        self._touched: dict[tuple[str, str], Kind[Any]] = {}

    def insert(self, kind: Kind[R], thing: R, **columns: Any) -> R:
        """Add a resource. `columns` are those the model does not have. Raises `Conflict`."""
        # A microsecond apart, so that what was made together is listed in the order it was made.
        created_at = self.at + timedelta(microseconds=len(self.changed))
        stored = thing.model_copy(update={"revision": self._stamp, "created_at": created_at})
        with _conflicts(kind):
            self.connection.execute(kind.table.insert(), {**to_row(kind, stored), **columns})
        self._keep_references(kind, stored)
        self.changed.append(Change(kind.name, stored.id, None, public(stored)))
        return stored

    def replace(self, kind: Kind[R], before: R, after: R) -> R:
        """Change a resource; when nothing about it differs, it stays as it is. Raises `Conflict`."""
        if after == before:
            return before
        stored = after.model_copy(update={"revision": self._stamp, "updated_at": self.at})
        with _conflicts(kind):
            self.connection.execute(kind.table.update().where(kind.table.c.id == before.id).values(**to_row(kind, stored)))
        self._keep_references(kind, stored)
        self.changed.append(Change(kind.name, stored.id, public(before), public(stored)))
        return stored

    def delete(self, kind: Kind[R], thing: R) -> None:
        """Remove a resource. Raises `Conflict` when something still hangs on it."""
        with _conflicts(kind):
            self.connection.execute(kind.table.delete().where(kind.table.c.id == thing.id))
        self._drop_references(kind, thing.id)
        self.changed.append(Change(kind.name, thing.id, public(thing), None))

    def status_sequence(self) -> int:
        """As it will be after this transaction."""
        return self._status_sequence

    def move_status(self) -> int:
        """Count a change that gateways must hear of though the configuration stays as it is."""
        self._status_sequence += 1
        self.connection.execute(tables.head.update().values(status_sequence=self._status_sequence))
        return self._status_sequence

    def touch(self, kind: Kind[Any], resource_id: str) -> None:
        """Mark a resource as affected by this change: its status will be that of the revision this becomes."""
        self._touched[kind.name, resource_id] = kind

    def bump(self, actor: str, action: str) -> int:
        """Record what changed as the next revision."""
        self.connection.execute(
            tables.revisions.insert().values(number=self.next_revision, at=self.at, actor=actor, action=action)
        )
        for position, change in enumerate(self.changed):
            self.connection.execute(
                tables.changes.insert().values(
                    revision=self.next_revision,
                    position=position,
                    kind=change.kind,
                    resource_id=change.resource_id,
                    before=change.before,
                    after=change.after,
                )
            )
        written = {(change.kind, change.resource_id) for change in self.changed}
        for (kind_name, resource_id), kind in self._touched.items():
            if (kind_name, resource_id) not in written:
                row = kind.table.c.id == resource_id
                news = {"revision": self.next_revision, "updated_at": self.at}
                self.connection.execute(kind.table.update().where(row).values(**news))
        self.connection.execute(tables.head.update().values(revision=self.next_revision))
        return self.next_revision

    def append_audit(self, entry: Mapping[str, Any]) -> None:
        """Add a link to the chain. `entry` holds at least actor, action and resource_id."""
        self.connection.execute(tables.audit.insert(), self._linked(entry))
        self._move_audit_head()

    def _linked(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """The row of the next link."""
        self._audit_sequence += 1
        text = json.dumps(
            {"sequence": self._audit_sequence, "at": self.at.isoformat(), **entry},
            ensure_ascii=False,
            sort_keys=True,
            separators=(",", ":"),
        )
        previous, self._audit_hash = self._audit_hash, link(self._audit_hash, text)
        return {
            "sequence": self._audit_sequence,
            "at": self.at,
            "actor": entry["actor"],
            "action": entry["action"],
            "resource_id": entry["resource_id"],
            "entry": text,
            "previous_hash": previous,
            "hash": self._audit_hash,
        }

    def _move_audit_head(self) -> None:
        self.connection.execute(tables.head.update().values(audit_sequence=self._audit_sequence, audit_hash=self._audit_hash))

    def _keep_references(self, kind: Kind[Any], thing: Resource) -> None:
        self._drop_references(kind, thing.id)
        rows = {(name, parse(text, name).id) for name, text in references(thing)}
        for name, target in sorted(rows):
            self.connection.execute(
                tables.material_uses.insert().values(holder_kind=kind.name, holder_id=thing.id, field=name, target_id=target)
            )

    def _drop_references(self, kind: Kind[Any], resource_id: str) -> None:
        table = tables.material_uses
        self.connection.execute(table.delete().where(table.c.holder_kind == kind.name, table.c.holder_id == resource_id))


class Facts(Transaction):
    """A writer of facts: certificates, revocations, what was seen. The configuration, and so its revision, stays as it is.

    What many of a batch do alike is done for all of them together when it closes.
    """

    def __init__(self, connection: Connection, at: datetime) -> None:
        super().__init__(connection, at)
        self._stamp = self.next_revision - 1
        self._links: list[dict[str, Any]] = []
        self._later: dict[str, Later[Any]] = {}

    def append_audit(self, entry: Mapping[str, Any]) -> None:
        """Add a link to the chain; written with the others of this batch."""
        self._links.append(self._linked(entry))

    def insert_later(self, kind: Kind[R], thing: R, column: str, may_share: Callable[[R], None]) -> R:
        """Add a resource when the batch closes, with all others of its kind.

        Before that, `may_share` is called with each one on record that has the same value in `column`; what it raises undoes the
        batch, and then whoever asked for this one gets to hear it.
        """
        later = self._later.setdefault(kind.name, Later(kind, column))
        value = getattr(thing, column)
        if value in later.checks:
            self._do(later)  # it may be one of this very batch
        # A microsecond apart, as in `insert`; so each is a document of its own in the index of words, too (`store.words`).
        created_at = self.at + timedelta(microseconds=len(self.changed))
        stored = thing.model_copy(update={"revision": self._stamp, "created_at": created_at})
        later.checks[value] = may_share
        later.rows.append(to_row(kind, stored))
        self.changed.append(Change(kind.name, stored.id, None, public(stored)))
        return stored

    def close(self) -> None:
        """Write what was kept back."""
        for later in self._later.values():
            self._do(later)
        if self._links:
            self.connection.execute(tables.audit.insert(), self._links)
            self._move_audit_head()

    def _do(self, later: "Later[Any]") -> None:
        if not later.rows:
            return
        column = later.kind.table.c[later.column]
        for row in self.connection.execute(select(later.kind.table).where(column.in_(list(later.checks)))).mappings():
            known = from_row(later.kind, row)
            later.checks[getattr(known, later.column)](known)
        with _conflicts(later.kind):
            self.connection.execute(later.kind.table.insert(), later.rows)
        later.rows.clear()
        later.checks.clear()

    def _keep_references(self, kind: Kind[Any], thing: Resource) -> None:  # noqa: ARG002 (see below)
        """Facts refer to no material that could be deleted."""
        _refuse_revised(kind)

    def _drop_references(self, kind: Kind[Any], resource_id: str) -> None:  # noqa: ARG002 (likewise)
        """Likewise."""
        _refuse_revised(kind)


@dataclass
class Later(Generic[R]):
    """What is to be inserted when a batch closes, and what is to be asked before, by the value in `column`."""

    kind: Kind[R]
    column: str
    checks: dict[str, Callable[[R], None]] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Timings:
    """How the database does: seconds of a writing transaction, from waiting for its turn to its end, and of its commit alone.

    `batches`: how many shared a transaction of facts. `unavailable`: how often there was no answer.
    """

    transactions: Spread = field(default_factory=lambda: Spread("kind"))
    commits: Spread = field(default_factory=lambda: Spread("kind"))
    batches: Spread = field(default_factory=lambda: Spread(bounds=(1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)))
    unavailable: Tally = field(default_factory=Tally)


class Store:
    """The database. Safe to use from many threads."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        # SQLite reads as of one moment by itself; PostgreSQL when asked to.
        is_server = engine.dialect.name == "postgresql"
        self._reader = engine.execution_options(isolation_level="REPEATABLE READ") if is_server else engine
        self._clock = clock
        self.timings = Timings()
        self._batches: GroupCommit[Facts] = GroupCommit(self._facts, self.timings.batches.add)
        self._noted = 0  # certificates that were made or changed since the index of words was brought up to date
        self._counter = itertools.count(1)
        self.commits = 0  # differs after each commit of this process: whoever keeps what they read compares it

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """Read, as of one moment."""
        with self._reachable(), self._reader.connect() as connection, connection.begin():
            yield Reader(connection)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Write; committed when the block ends, undone whole when it raises."""
        with tracing.span("database transaction"), self._writing("change") as connection:
            yield Transaction(connection, self._clock())

    def record(self, work: Callable[[Facts], T]) -> T:
        """Do `work` in one transaction together with what others ask for at the same time; returns once it is committed.

        `work` may be called more than once, each time in a transaction of its own: when what it shares one with fails.
        """
        with tracing.span("database transaction"):
            return self._batches.submit(work)

    @contextmanager
    def _facts(self) -> Iterator[Facts]:
        with self._writing("facts") as connection:
            facts = Facts(connection, self._clock())
            yield facts
            facts.close()
            self._noted += sum(change.kind == CERTIFICATE.name for change in facts.changed)
            if self._noted >= newer.TOGETHER:
                words.settle(connection)
                self._noted = 0

    @contextmanager
    def _writing(self, kind: str) -> Iterator[Connection]:
        began = perf_counter()
        with self._reachable(), self._writer.begin() as connection:
            yield connection
            done, at = perf_counter(), now()
        end = perf_counter()
        tracing.was("database commit", at)
        self.commits = next(self._counter)
        self.timings.commits.add(end - done, kind)
        self.timings.transactions.add(end - began, kind)

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            self.timings.unavailable.add()
            raise Unavailable("The database does not answer; try again.") from error

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()


def _refuse_revised(kind: Kind[Any]) -> None:
    """Whoever holds the configuration (`store.held`) would not hear of it: these have to come with a new revision."""
    if kind in REVISED:
        raise TypeError(f"a {kind.name} is no fact: it is changed by ops.change alone")


def kind_named(name: str) -> Kind[Resource]:
    """The kind with this name."""
    return BY_NAME[name]


@contextmanager
def _conflicts(kind: Kind[Any]) -> Iterator[None]:
    """The rules check first and say more; this is the database's own word, for what races past them."""
    try:
        yield
    except IntegrityError as error:
        raise Conflict(f"This {kind.title} clashes with one that exists, or is still in use.") from error
