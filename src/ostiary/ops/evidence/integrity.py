"""That the record is whole: its chain, read through to the end of the period; how long it is kept, and by which clock."""

import hmac
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from ostiary.model.house import HouseSettings
from ostiary.ops import house_settings
from ostiary.ops.evidence.section import Column, Row, Rows, Scope, Section, paged
from ostiary.store import evidence
from ostiary.store.evidence import Link
from ostiary.store.kinds import HOUSE_SETTINGS
from ostiary.store.store import AuditRow, link
from ostiary.store.then import Then

_YEAR: Final = 365


class Chain:
    """One walk over the record, from where it begins to the end of the period, in which each link is checked.

    Streams, so the memory it needs does not grow with the record.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.problem: str | None = None
        self.entries = 0
        self.first_at: datetime | None = None
        self.last_at: datetime | None = None
        self.backwards = 0  # entries that are older, by the clock, than the one before
        self.largest = timedelta(0)

    def walk(self) -> None:
        """Do it. What is wrong first is the `problem`."""
        scope = self._scope
        with scope.system.store.read() as reader:
            reached, previous = evidence.begins(reader)
        while reached < scope.end.sequence:
            with scope.system.store.read() as reader:
                page = evidence.entries(reader, reached, scope.end.sequence)
            if not page:
                self.problem = (
                    self.problem or f"the record ends at entry {reached}; {scope.end.sequence} was the last of the period"
                )
                return
            for row in page:
                self._check(row, reached, previous)
                reached, previous = row.sequence, row.hash

    def _check(self, row: AuditRow, reached: int, previous: str) -> None:
        self.entries += 1
        if self.problem is None and row.sequence != reached + 1:
            self.problem = f"entry {reached + 1} is missing: the next one there is {row.sequence}"
        if self.problem is None and (
            row.previous_hash != previous or not hmac.compare_digest(row.hash, link(previous, row.entry))
        ):
            self.problem = f"entry {row.sequence} does not follow from the one before it"
        try:
            at = datetime.fromisoformat(json.loads(row.entry)["at"])
        except (ValueError, KeyError, TypeError):
            self.problem = self.problem or f"entry {row.sequence} cannot be read"
            return
        if self.last_at is not None and at < self.last_at:
            self.backwards += 1
            self.largest = max(self.largest, self.last_at - at)
        self.first_at = self.first_at or at
        self.last_at = at


def section(chain: Chain) -> Section:
    """The list of it, once it was walked."""

    def rows(scope: Scope) -> Rows:
        yield from paged(Row({"what": what, "value": value}, links) for what, value, links in _facts(scope, chain))

    return Section(
        "record",
        "The record: retention, integrity, clock",
        "How long the record is kept, what of it is there, that its chain holds, and what its times say of the clock. Each "
        "entry's hash covers it and the one before, so whoever changes, removes, inserts or reorders one has to change all that "
        "follow; heads of the chain that were shipped elsewhere, or signed, show that. Times are those of the machine's clock: "
        "that it is synchronised with a trusted source is the machine's affair, and shown by its own configuration (chrony, "
        "systemd-timesyncd).",
        "The chain itself, read from its beginning to the end of the period while this pack was made.",
        (Column("what", "What"), Column("value", "Found")),
        rows,
    )


def _facts(scope: Scope, chain: Chain) -> Iterator[tuple[str, Any, tuple[Link, ...]]]:
    with scope.system.store.read() as reader:
        then = Then(reader, scope.end).get(HOUSE_SETTINGS, house_settings.ID) or HouseSettings(id=house_settings.ID)
        now = house_settings.read(reader)
        its = evidence.links(reader, [house_settings.ID], scope.head.sequence).get(house_settings.ID, ())
    days = then.audit_retention_days
    yield "Entries are kept for", f"{days} days at the end of the period" + ("" if days >= _YEAR else ": less than a year"), its
    if now.audit_retention_days != days:
        yield "Entries are kept for, now", f"{now.audit_retention_days} days", its
    yield "Removed for their age", f"entries up to {scope.pruned}" if scope.pruned else "nothing", ()
    if chain.first_at is not None and chain.last_at is not None:
        yield "The oldest entry that is there", chain.first_at, ()
        at_hand = (scope.until - chain.first_at).days
        yield "At hand at the end of the period", f"{at_hand} days" + ("" if at_hand >= _YEAR else "; less than a year"), ()
    missing = scope.start.sequence + 1 <= scope.pruned
    covered = f"no: entries up to {scope.pruned} had been removed; what they said is missing here" if missing else "yes"
    yield "The period is covered whole", covered, ()
    yield "Entries read", chain.entries, ()
    yield "The chain holds", "yes, up to the end of the period" if chain.problem is None else f"NO: {chain.problem}", ()
    for name, place in (("beginning", scope.start), ("end", scope.end)):
        yield (
            f"The record at the {name} of the period",
            f"entry {place.sequence}, hash {place.hash}",
            (Link(place.sequence, place.hash),),
        )
    yield (
        "The record when this was made",
        f"entry {scope.head.sequence}, hash {scope.head.hash}",
        (Link(scope.head.sequence, scope.head.hash),),
    )
    told = f"{chain.backwards} times, by {chain.largest} at most" if chain.backwards else "never"
    yield "The clock went back between two entries", told, ()
