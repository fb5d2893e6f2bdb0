"""Who was refused and why: what gateways tell, what to do about it, and who may ask."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from ostiary.access.words import FIXES
from ostiary.errors import NotFound
from ostiary.model.denial import LONGEST_KEPT, MOST, Denial, DenialQuery, Total
from ostiary.model.fields import Data
from ostiary.model.query import Page
from ostiary.ops import batches, counting
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.store import denials as stored
from ostiary.store import marks, traffic
from ostiary.store.store import Facts

# Nobody was refused anything; listed only when asked for.
TLS_FAILED: Final = "tls_failed"
_FIXES: Final[Mapping[str, str]] = {
    **FIXES,
    TLS_FAILED: "No certificate is to blame: the client hung up, spoke another protocol or another version of TLS, or does not "
    "trust the listener's own certificate. If it is a client of yours, look at what it says itself.",
}


class Count(Data):
    """How many refusals of one code there were; `unnamed` of them are on record without who it was."""

    stage: str
    code: str
    count: int
    unnamed: int
    last: datetime
    fix: str


class Summary(Data):
    """Refusals by code, the most frequent first. `forgotten` were pruned since ever, of all there were: `total`."""

    counts: tuple[Count, ...]
    total: int
    forgotten: int


def denied(system: System, gateway_id: str, told: Mapping[str, Any]) -> int:
    """Put a batch of a gateway on record; one that is told again changes nothing. Returns how many entries made no sense.

    A batch is `sequence`, a number that grows, and is the same when the batch is told again, and `denials` (`Refusals`).
    Raises `Invalid` for what is no batch. No person did anything, so the record of changes (audit) says nothing of it.
    """
    sequence, entries = batches.number(told), batches.listed(told, "denials", list)
    refusals = batches.refusals(entries, system.clock())
    minutes = counting.refused(refusals)

    def work(facts: Facts) -> None:
        stored.merge(facts, refusals)
        traffic.refused(facts, minutes)

    batches.once(system, gateway_id, marks.DENIED, sequence, work)
    return len(entries) - len(refusals)


def find(system: System, caller: Caller, query: DenialQuery) -> Page[Denial]:
    """What was refused, the last first. By a client's `reference`: exactly that request, or else what it may have been."""
    caller.must("denial:read")
    with system.store.read() as reader:
        found, more = stored.find(reader, query, apart=(TLS_FAILED,))
    exact = tuple(one for one in found if query.reference in one.references)
    return Page(exact, more=False) if exact else Page(found, more)


def get(system: System, caller: Caller, denial_id: str) -> Denial:
    """One of them. Raises `NotFound`."""
    caller.must("denial:read")
    with system.store.read() as reader:
        found = stored.one_denial(reader, denial_id)
    if found is None:
        raise NotFound("Denial", denial_id)
    return found


def summary(system: System, caller: Caller, query: DenialQuery) -> Summary:
    """How many refusals there were of each code."""
    caller.must("denial:read")
    with system.store.read() as reader:
        rows = stored.by_code(reader, query)
        total, kept = sum(one.count for one in stored.totals(reader)), stored.kept(reader)
    counts = (
        Count(stage=stage, code=code, count=int(count), unnamed=int(unnamed), last=last, fix=fix(code))
        for stage, code, count, unnamed, last in rows
    )
    return Summary(counts=tuple(counts), total=total, forgotten=total - kept)


def totals(system: System, caller: Caller) -> tuple[Total, ...]:
    """All refusals there ever were, by listener, stage and code."""
    caller.must("denial:read")
    with system.store.read() as reader:
        return stored.totals(reader)


def fix(code: str) -> str:
    """What to do about it, in words for the operator."""
    return _FIXES.get(code, "This control plane does not know the reason; a newer gateway told it. Update it.")


def forget_old(system: System) -> int:
    """Remove what is too old or too much; the counts stay. How many rows that were."""
    before = system.clock() - LONGEST_KEPT
    return system.store.record(lambda facts: stored.prune(facts, before, MOST))
