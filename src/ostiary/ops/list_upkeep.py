"""Keep every revocation list fresh: signed anew after each revocation, and long before it ends."""

from collections.abc import Iterable
from datetime import datetime

from ostiary.model.authority import Authority
from ostiary.model.revocation import RevocationList
from ostiary.ops.revocation_lists import sign_list
from ostiary.ops.signing import open_issuer
from ostiary.ops.system import System
from ostiary.store import revocations
from ostiary.store.kinds import AUTHORITY
from ostiary.store.store import Facts, Reader


def sign_due(system: System) -> int:
    """Sign anew each list that is behind its revocations or past half of its life. Returns how many."""
    with system.store.read() as reader:
        due = [authority_id for authority_id, _ in _due(reader, system.clock())]
    return sum(_sign(system, authority_id) for authority_id in due)


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
    lists, changes = revocations.lists_without_content(reader), revocations.last_changes(reader)
    for authority in reader.all(AUTHORITY, **({"id": only} if only else {})):
        if not authority.has_key or authority.cross_of is not None or at >= authority.not_after:
            continue
        current = lists.get((authority.id, "complete"))
        if current is None or at >= min(current.half_life, _near_the_end(authority, current)):
            yield authority.id, True
        elif changes.get(authority.id, 0) > current.sequence:
            yield authority.id, False


def _near_the_end(authority: Authority, current: RevocationList) -> datetime:
    """A list that ends with its authority cannot be made any longer."""
    return current.next_update if current.next_update >= authority.not_after else current.half_life
