"""Keep every revocation list fresh: signed anew after each revocation, and long before it ends."""

from collections.abc import Iterable
from datetime import datetime

from ostiary.errors import Refusal
from ostiary.ops.revocation_lists import sign_list
from ostiary.ops.signing import open_issuer
from ostiary.ops.system import System
from ostiary.store import restores, revocations
from ostiary.store.kinds import AUTHORITY
from ostiary.store.store import Facts, Reader


def sign_due(system: System) -> int:
    """Sign anew each list that is behind its revocations or past half of its life. Returns how many.

    One that cannot be signed now (its token is gone) keeps none of the others waiting; the first of them is raised at the end.
    """
    with system.store.read() as reader:
        due = [authority_id for authority_id, _ in _due(reader, system.clock())]
    signed, refusals = 0, []
    for authority_id in due:
        try:
            signed += _sign(system, authority_id)
        except Refusal as refusal:
            refusals.append(refusal)
    if refusals:
        raise refusals[0]
    return signed


def _sign(system: System, authority_id: str) -> bool:
    """Sign one list, unless that is no longer called for."""

    def work(transaction: Facts) -> bool:
        due = dict(_due(transaction, transaction.at, authority_id))
        authority = transaction.get(AUTHORITY, authority_id)
        if authority is None or authority_id not in due:
            return False
        sign_list(system, transaction, authority, open_issuer(system, authority), new_base=due[authority_id])
        return True

    done = system.store.record(work)
    if done:
        system.committed(0)
    return done


def _due(reader: Reader, at: datetime, only: str | None = None) -> Iterable[tuple[str, bool]]:
    """The authorities whose list is due, and whether time is the reason (then it is the base of deltas to come)."""
    lists = revocations.lists_without_content(reader, None if only is None else [only])
    changes = revocations.last_changes(reader, only)
    least = restores.least_number(reader)
    for authority in reader.all(AUTHORITY, **({"id": only} if only else {})):
        if not authority.has_key or authority.cross_of is not None or at >= authority.not_after:
            continue
        current = lists.get((authority.id, "complete"))
        # A list that ends with its authority cannot be made any longer.
        is_late = current is not None and at >= current.half_life and current.next_update < authority.not_after
        if current is None or is_late or current.number < least:
            yield authority.id, True
        elif changes.get(authority.id, 0) > current.sequence:
            yield authority.id, False
