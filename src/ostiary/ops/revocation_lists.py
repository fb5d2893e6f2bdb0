"""Revocation lists: one for every authority with a key, from its birth on, always fresh, and never numbered backwards."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from ostiary.model.authority import Authority
from ostiary.model.revocation import RevocationList
from ostiary.ops.system import System
from ostiary.pki import crl
from ostiary.pki.issue import Issuer
from ostiary.pki.urls import below
from ostiary.store import restores, revocations
from ostiary.store.store import Transaction

# Envoy refuses every client of an authority whose list has ended, so a list outlives by days the longest time in which nobody
# is there to sign the next one. How soon a revocation bites does not depend on it: a new list is signed at once.
LIFETIME: Final = timedelta(days=7)
# Clocks of those who read it may be behind ours.
BACKDATE: Final = timedelta(minutes=5)


def sign_list(
    system: System,
    transaction: Transaction,
    authority: Authority,
    issuer: Issuer,
    lifetime: timedelta = LIFETIME,
    *,
    new_base: bool = True,
) -> RevocationList:
    """Sign and publish the list of an authority as of this transaction, and the delta to the last base beside it.

    Never longer than the authority itself is valid: nobody would believe it (RFC 5280 5.1.2.5).
    """
    held = revocations.lists_without_content(transaction, [authority.id])
    before, delta = held.get((authority.id, "complete")), held.get((authority.id, "delta"))
    freshest = below(system.public_url, authority.id).delta or None
    number = _next_number(before, restores.least_number(transaction), transaction.at)
    this_update = max(transaction.at.replace(microsecond=0) - BACKDATE, authority.not_before)
    next_update = min(transaction.at.replace(microsecond=0) + lifetime, authority.not_after)
    expired_since = before.this_update if before else authority.not_before
    sequence = revocations.last_change(transaction, authority.id)

    def signed(kind: str, entries: Iterable[bytes], base: tuple[int, int] | None = None) -> RevocationList:
        counted = _Counted(entries)
        # RFC 5280 5.2.6: only a complete list says where the deltas to it are.
        news = {"base_number": base[0]} if base else {"freshest": freshest}
        der = crl.sign(issuer, number, this_update, next_update, counted, **news)
        system.meters.lists_signed.add()
        made = RevocationList(
            authority_id=authority.id,
            kind=kind,  # type: ignore[arg-type]  # a literal, below
            number=number,
            this_update=this_update,
            next_update=next_update,
            sequence=sequence,
            entries=counted.count,
            source="signed",
            der=der,
            base_number=base[0] if base else None,
            base_sequence=base[1] if base else None,
        )
        revocations.put_list(transaction, made)
        return made

    complete = signed("complete", revocations.entries(transaction, authority.id, expired_since=expired_since))
    base = _base(before, None if new_base else delta)
    if base is not None:
        # RFC 5280 5.2.3: a delta that is signed together with a complete list bears its number.
        signed("delta", revocations.entries(transaction, authority.id, expired_since=expired_since, after=base[1]), base)
    return complete


def _base(before: RevocationList | None, delta: RevocationList | None) -> tuple[int, int] | None:
    """Number and sequence of the complete list that the next delta adds to: that of the delta before it, or the last one."""
    if delta is not None and delta.base_number is not None and delta.base_sequence is not None:
        return delta.base_number, delta.base_sequence
    return (before.number, before.sequence) if before is not None else None


def _next_number(before: RevocationList | None, least: int, at: datetime) -> int:
    """Above the last, and above all that were signed before a backup was restored, however slow the clock is since."""
    return max(before.number + 1 if before else 0, least, int(at.timestamp() * 1000))


class _Counted:
    """Entries, and how many there were."""

    def __init__(self, entries: Iterable[bytes]) -> None:
        self._entries = entries
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for entry in self._entries:
            self.count += 1
            yield entry
