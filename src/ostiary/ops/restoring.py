"""What becomes of a database that came out of a backup, before it is accepted: verified, moved on, and nobody signed in.

All of it is in the transaction that filled the database: it is a restored one, or an empty one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ostiary.errors import Invalid, Unavailable
from ostiary.model.backup import Manifest
from ostiary.model.fields import Data
from ostiary.ops import chain, start
from ostiary.ops.anchor import Anchored
from ostiary.ops.caller import SYSTEM, Caller
from ostiary.ops.recall import Recalled, recalled
from ostiary.ops.record import entry
from ostiary.pki import head_signing
from ostiary.pki.sealed_stream import FIELD
from ostiary.pki.sealing import Sealer
from ostiary.store import heads, restores, revocations
from ostiary.store.kinds import APPROVAL, BREAK_GLASS, TOKEN
from ostiary.store.restores import Restored
from ostiary.store.store import Change, Facts, Reader

# A clock that is behind by less than this cannot make a list be numbered below one that was signed after the backup.
SLOWEST_CLOCK: Final = timedelta(days=366)

_SKEW: Final = timedelta(minutes=5)
_AT_ONCE: Final = 5000


@dataclass(frozen=True)
class Wanted:
    """How to restore.

    `ders` are revocation lists that may be newer than the backup; `anchored` is the last signed head that was kept outside of the
    database that this takes the place of; `by` is who does it, by their name on this machine.
    """

    id: str
    at: datetime
    manifest: Manifest
    ders: Sequence[bytes] = ()
    end_tokens: bool = False
    anchored: Anchored | None = None
    by: str = ""


class Outcome(Data):
    """What was restored, what was ended, and what came back. `tokens_kept` are the names of those that open the API still."""

    id: str
    made_at: datetime
    backup_sha256: str
    entries: int
    audit_hash: str
    revision: int
    sessions_ended: int
    grants_ended: int
    tokens_ended: int
    approvals_ended: int
    tokens_kept: tuple[str, ...]
    recalled: tuple[Recalled, ...]


def accept(facts: Facts, wanted: Wanted, sealer: Sealer | None, digest: str, caller: Caller) -> Outcome:
    """Verify what was filled in and make it fit to be used. Raises `Invalid` when it is not what the backup says it is.

    Without a `sealer` the key-encryption key stayed closed, and the record is verified by the public keys that are in it.
    """
    caller.must("backup:restore")
    if wanted.at < wanted.manifest.made_at - _SKEW:
        raise Unavailable(
            f"this machine's clock says {wanted.at:%Y-%m-%d %H:%M} UTC, and the backup was made at "
            f"{wanted.manifest.made_at:%Y-%m-%d %H:%M} UTC; set the clock first: what is signed is numbered by it."
        )
    _refuse_another_key(facts, sealer)
    verification = verified(facts, sealer)
    if verification.problem is not None:
        raise Invalid(FIELD, f"the record in it is broken: {verification.problem}. Use another backup.")
    if facts.audit_head() != (wanted.manifest.audit_sequence, wanted.manifest.audit_hash):
        raise Invalid(FIELD, "the record in it is not the one that it says it holds; use another backup.")
    visits = restores.end_visits(facts)
    grants, tokens, kept = _end_tokens(facts, all_of_them=wanted.end_tokens)
    approvals = _end_approvals(facts)
    restores.put(facts, _moved_on(facts, wanted, digest))
    back = recalled(facts, caller, wanted.ders)
    for changed in facts.changed:
        facts.append_audit(entry(caller, "backup:restore", changed, None))
    outcome = Outcome(
        id=wanted.id,
        made_at=wanted.manifest.made_at,
        backup_sha256=digest,
        entries=verification.entries,
        audit_hash=verification.head_hash,
        revision=facts.next_revision - 1,
        sessions_ended=visits.sessions,
        grants_ended=grants,
        tokens_ended=tokens,
        approvals_ended=approvals,
        tokens_kept=kept,
        recalled=back,
    )
    about = outcome.model_dump(mode="json", exclude={"id"}) | {"by": wanted.by}
    if wanted.anchored is not None:
        about["record_before"] = {"sequence": wanted.anchored.sequence, "hash": wanted.anchored.hash}
    facts.append_audit(entry(caller, "backup:restore", Change("backup", wanted.id, None, about), None))
    return outcome


def verified(reader: Reader, sealer: Sealer | None) -> chain.Verification:
    """The whole chain of the record, within this transaction."""
    keys = dict(_keys(reader, sealer))
    after, hash_ = heads.begins_after(reader)
    result = chain.begun(after, hash_, _signed(reader, after - 1, after, keys))
    while True:
        before = result.reached
        signed = _signed(reader, before, before + _AT_ONCE, keys)
        result = chain.followed(result, reader.audit_entries(before, _AT_ONCE), signed)
        if result.problem is not None or result.reached - before < _AT_ONCE:
            return chain.ended(result, reader.audit_head(), heads.last(reader))


def _keys(reader: Reader, sealer: Sealer | None) -> Iterable[tuple[str, str]]:
    for key in heads.keys(reader):
        if sealer is None:
            yield key.id, key.public_key
            continue
        private = sealer.open(key.sealed_key, heads.key_context(key.id))
        if head_signing.belongs(private, key.public_key):
            yield key.id, key.public_key


def _signed(reader: Reader, after: int, until: int, keys: dict[str, str]) -> chain.Signed:
    return chain.Signed({head.sequence: head for head in heads.between(reader, after, until)}, keys)


def _refuse_another_key(reader: Reader, sealer: Sealer | None) -> None:
    if sealer is not None and not start.opens(reader, sealer):
        raise Invalid(FIELD, "the key-encryption key does not open what is in the database; it is that of another ostiary.")


def _end_tokens(facts: Facts, *, all_of_them: bool) -> tuple[int, int, tuple[str, ...]]:
    """How many grants and how many access tokens end now, and who keeps theirs.

    A grant may have been used up since the backup was made, and would enrol once more: none of them outlives a restore.
    """
    grants, tokens, kept = 0, 0, []
    for token in facts.all(TOKEN):
        if token.expires_at <= facts.at or (token.kind == "enrolment" and not token.uses_left):
            continue
        if token.kind == "access" and not all_of_them:
            kept.append(token.name)
            continue
        facts.replace(TOKEN, token, token.model_copy(update={"expires_at": facts.at}))
        grants, tokens = grants + (token.kind == "enrolment"), tokens + (token.kind == "access")
    return grants, tokens, tuple(kept)


def _end_approvals(facts: Facts) -> int:
    """How many end now. What was agreed to may have been done since, and would be done once more; an emergency may be over."""
    count = 0
    for approval in facts.all(APPROVAL):
        if approval.status in {"PENDING", "GRANTED"}:
            facts.replace(APPROVAL, approval, approval.model_copy(update={"status": "LAPSED"}))
            count += 1
    for glass in facts.all(BREAK_GLASS, state="OPEN"):
        news = {"state": "ENDED", "ended_at": facts.at, "ended_by": SYSTEM.name}
        facts.replace(BREAK_GLASS, glass, glass.model_copy(update=news))
        count += 1
    return count


def _moved_on(facts: Facts, wanted: Wanted, digest: str) -> Restored:
    lists = revocations.lists_without_content(facts)
    numbers = {authority_id: held.number for (authority_id, kind), held in lists.items() if kind == "complete"}
    by_time = int((wanted.at + SLOWEST_CLOCK).timestamp() * 1000)
    return Restored(
        id=wanted.id,
        at=wanted.at,
        made_at=wanted.manifest.made_at,
        backup_sha256=digest,
        status_sequence=facts.status_sequence(),
        least_number=max(by_time, *(number + 1 for number in numbers.values()), 0),
        numbers=numbers,
    )
