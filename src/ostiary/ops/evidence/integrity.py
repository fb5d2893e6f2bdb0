"""That the record is whole: its chain and its signed heads, how long it is kept, and by which clock it was written."""

from collections.abc import Iterator
from typing import Any, Final

from ostiary.ops import house
from ostiary.ops.chain import Verification
from ostiary.ops.evidence.section import Column, Row, Rows, Scope, Section, paged
from ostiary.store import evidence, heads
from ostiary.store.evidence import Link
from ostiary.store.then import Then

_YEAR: Final = 365


def section(verified: Verification) -> Section:
    """The list of it, once the chain was verified."""

    def rows(scope: Scope) -> Rows:
        yield from paged(Row({"what": what, "value": value}, links) for what, value, links in _facts(scope, verified))

    return Section(
        "record",
        "The record: retention, integrity, clock",
        "How long the record is kept, what of it is there, that its chain holds, and what its times say of the clock. Each "
        "entry's hash covers it and the one before, so whoever changes, removes, inserts or reorders one has to change all that "
        "follow; heads of the chain are signed every few minutes, and whoever notes one elsewhere can show that too. Times are "
        "those of the machine's clock. Whether it followed a trusted one in all of the period is shown by its own configuration "
        "and log (chrony, systemd-timesyncd); here is what its kernel said when this was made.",
        "The chain itself, verified from its beginning to its end while this pack was made.",
        (Column("what", "What"), Column("value", "Found")),
        rows,
    )


def _facts(scope: Scope, verified: Verification) -> Iterator[tuple[str, Any, tuple[Link, ...]]]:
    yield from _retention(scope)
    covered = f"no: entries up to {scope.pruned} had been removed; what they said is missing here"
    yield "The period is covered whole", covered if scope.pruned > scope.start.sequence else "yes", ()
    yield "Entries read", verified.entries, ()
    yield "The chain holds", "yes, to its end" if verified.problem is None else f"NO: {verified.problem}", ()
    for name, place in (("at the beginning of the period", scope.start), ("at the end of the period", scope.end)):
        yield f"The record {name}", f"entry {place.sequence}, hash {place.hash}", (Link(place.sequence, place.hash),)
    made = scope.head
    yield "The record when this was made", f"entry {made.sequence}, hash {made.hash}", (Link(made.sequence, made.hash),)
    yield from _signed(scope, verified)
    with scope.system.store.read() as reader:
        back = evidence.went_back(reader, scope.end.sequence)
    synchronised = {True: "yes", False: "NO", None: "its kernel does not tell"}[scope.system.synchronised()]
    yield "The machine's clock follows a trusted one, when this was made", synchronised, ()
    yield "The clock went back between two entries", ("once" if back == 1 else f"{back} times") if back else "never", ()


def _retention(scope: Scope) -> Iterator[tuple[str, Any, tuple[Link, ...]]]:
    with scope.system.store.read() as reader:
        then = house.read(Then(reader, scope.end))
        now = house.read(reader)
        its = evidence.links(reader, [house.ID], scope.head.sequence).get(house.ID, ())
        oldest = evidence.oldest(reader)
    days = then.audit_retention_days
    yield "Entries are kept for", f"{days} days at the end of the period{_less(days)}", its
    if now.audit_retention_days != days:
        yield "Entries are kept for, now", f"{now.audit_retention_days} days{_less(now.audit_retention_days)}", its
    yield "Removed for their age", f"entries up to {scope.pruned}" if scope.pruned else "nothing", ()
    if oldest is not None:
        yield "The oldest entry that is there", oldest, ()
        at_hand = max(0, (scope.until - oldest).days)
        yield "At hand at the end of the period", f"{at_hand} days{_less(at_hand)}", ()


def _less(days: int) -> str:
    return "" if days >= _YEAR else ", which is less than a year"


def _signed(scope: Scope, verified: Verification) -> Iterator[tuple[str, Any, tuple[Link, ...]]]:
    with scope.system.store.read() as reader:
        head = heads.first(reader, scope.end.sequence - 1, reader.audit_head()[0])
        keys = [one.id for one in heads.keys(reader)]
    told = f"{verified.heads}, the last of them of entry {verified.signed_until}" if verified.heads else "none"
    yield "Signed heads that were verified", told, ()
    if head is not None:
        at = f"entry {head.sequence}, hash {head.hash}, {head.at:%Y-%m-%d %H:%M} UTC, by key {head.key_id}: {head.signature}"
        yield "The first head signed at the end of the period or later", at, (Link(head.sequence, head.hash),)
    yield "Keys that heads are signed with (SHA-256)", ", ".join(keys) or "none", ()
