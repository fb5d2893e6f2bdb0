"""What waits for another person: look at it, agree, refuse, take back. It is done as it was asked for, or not at all."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import structlog

from ostiary.errors import Conflict, Denied, Invalid, NotFound, Refusal, Unavailable
from ostiary.model.approval import GRANT, Approval, ApprovalStatus, ChangedThing
from ostiary.model.query import Page, Query
from ostiary.ops import (
    access,
    apart,
    authorities,
    balancers,
    cross_signing,
    exceptions,
    house_settings,
    imported,
    listeners,
    members,
    people,
    pools,
    revisions,
    revocation,
    rotations,
    series,
    status_fetch,
    users,
)
from ostiary.ops.apart import Entrance
from ostiary.ops.asking import name_of, read
from ostiary.ops.caller import SYSTEM, Caller, Clearance
from ostiary.ops.facts import record
from ostiary.ops.gate import Decided
from ostiary.ops.system import System
from ostiary.store.kinds import APPROVAL, BY_NAME
from ostiary.store.rows import public
from ostiary.store.store import Facts, Reader

# What is done here once somebody agreed, by the name it is kept under (a test looks that none is missing).
CARRIED: Final[tuple[Callable[..., Any], ...]] = (
    access.create,
    access.delete,
    access.update,
    authorities.create,
    authorities.delete,
    balancers.create,
    balancers.delete,
    cross_signing.cross_sign,
    exceptions.create,
    exceptions.delete,
    exceptions.update,
    house_settings.update,
    imported.import_bundle,
    listeners.create,
    listeners.delete,
    listeners.update,
    members.create,
    members.delete,
    members.replace,
    members.update,
    pools.create,
    pools.delete,
    pools.update,
    revisions.revert,
    revocation.revoke,
    revocation.revoke_authority,
    revocation.revoke_matching,
    rotations.finish,
    rotations.start,
    rotations.undo,
    series.roll,
    status_fetch.update,
    users.create,
    users.update,
)
_BY_NAME: Final = {name_of(one): one for one in CARRIED}
_REASON_MAX: Final = 2000
log = structlog.get_logger(source="approvals")


@dataclass(frozen=True)
class Standing:
    """How it stands for whoever looks: `may_decide`, or `why_not`; `meanwhile` is what changed since it was asked.

    `deciders` are the names of those who might.
    """

    may_decide: bool
    deciders: tuple[str, ...] = ()
    why_not: str = ""
    meanwhile: tuple[str, ...] = ()


def get(system: System, caller: Caller, approval_id: str) -> Approval:
    """One approval. Raises `NotFound`."""
    caller.must("approval:read")
    with system.store.read() as reader:
        return reader.require(APPROVAL, approval_id)


def find(system: System, caller: Caller, query: Query) -> Page[Approval]:
    """Approvals that match."""
    caller.must("approval:read")
    with system.store.read() as reader:
        return reader.find(APPROVAL, query)


def standing(system: System, caller: Caller, approval_id: str) -> Standing:
    """Whether the caller may decide on it, and whether it could be done still."""
    caller.must("approval:read")
    with system.store.read() as reader:
        approval = reader.require(APPROVAL, approval_id)
        meanwhile = tuple(_meanwhile(reader, approval))
        pending = approval.status == "PENDING"
        deciders = apart.deciders(reader, approval, system.clock()) if pending else ()
        try:
            _refuse_unless_pending(approval, system)
            _refuse_unless_theirs(reader, approval, caller, system.clock())
        except Refusal as refusal:
            return Standing(may_decide=False, deciders=deciders, why_not=str(refusal), meanwhile=meanwhile)
    return Standing(may_decide=True, deciders=deciders, meanwhile=meanwhile)


def waiting(system: System, caller: Caller) -> tuple[Approval, ...]:
    """What waits for this person: what they may decide on, and what they asked for and may do now."""
    caller.must("approval:read")
    with system.store.read() as reader:
        at = system.clock()
        pending = [one for one in reader.all(APPROVAL, status="PENDING") if at < one.expires_at]
        mine = [one for one in reader.all(APPROVAL, status="GRANTED", requested_by=caller.name) if at < one.expires_at]
        if not pending:
            return tuple(mine)
        try:
            here = apart.entrance(reader, caller, at)
        except Denied:  # nobody knows who let them in
            return tuple(mine)
        return (*mine, *(one for one in pending if _may(reader, one, caller, here, at)))


def approve(system: System, caller: Caller, approval_id: str, reason: str = "") -> Approval:
    """Agree, and have it done now, by the same use case and as its asker; or let them send it once more where only they can.

    Raises `Denied` for whoever asked and for whom one cannot tell from them, and for who may not do it themselves; `Conflict`
    when it cannot be done as it was asked any more, and then nothing is done and it has to be asked anew.
    """
    caller.must("approval:approve")
    with system.store.read() as reader:
        approval = reader.require(APPROVAL, approval_id)
        _refuse_unless_pending(approval, system)
        _refuse_unless_theirs(reader, approval, caller, system.clock())
        asker = _asker(reader, system, approval)
    reason = _checked(reason)
    if approval.repeats:
        return _decided(system, caller, approval_id, "approval:approve", "GRANTED", reason)
    cleared = replace(asker, request_id=caller.request_id, clearance=Clearance(approval.id, caller, reason))
    use_case = _BY_NAME.get(approval.deed)
    if use_case is None:
        raise Conflict(f"This ostiary does not know how to do '{approval.deed}'; refuse it, and have it asked anew.")
    try:
        use_case(system, cleared, **read(use_case, approval.arguments))
    except (Decided, Unavailable):
        raise
    except Refusal as refusal:
        raise _overtaken(system, caller, approval, refusal) from None
    after = get(system, caller, approval_id)
    if after.status == "PENDING":  # by now nobody has to agree to it, so nobody was asked
        after = _decided(system, caller, approval_id, "approval:approve", "DONE", reason)
    log.info("approved", approval=approval.id, action=approval.action, asked_by=approval.requested_by, by=caller.name)
    return after


def refuse(system: System, caller: Caller, approval_id: str, reason: str) -> Approval:
    """Refuse, with a reason that whoever asked gets to read."""
    caller.must("approval:approve")
    if not reason.strip():
        raise Invalid("reason", "say why it is refused; whoever asked will read it")
    with system.store.read() as reader:
        approval = reader.require(APPROVAL, approval_id)
        _refuse_unless_pending(approval, system)
        if caller.name == approval.requested_by:
            raise Denied("You asked for it yourself; withdraw it instead.")
        caller.must(approval.action)
    return _decided(system, caller, approval_id, "approval:refuse", "REFUSED", _checked(reason))


def withdraw(system: System, caller: Caller, approval_id: str, reason: str = "") -> Approval:
    """Take back what one asked for oneself, also once it was granted. Raises `Denied` for everybody else."""
    caller.must("approval:withdraw")
    with system.store.read() as reader:
        approval = reader.require(APPROVAL, approval_id)
    if caller.name != approval.requested_by:
        raise Denied(f"{approval.requested_by} asked for it, and alone may withdraw it; you may refuse it.")
    return _decided(system, caller, approval_id, "approval:withdraw", "WITHDRAWN", _checked(reason), ("PENDING", "GRANTED"))


def justify(system: System, caller: Caller, approval_id: str, justification: str) -> Approval:
    """Say why it is needed, while it waits. Raises `Denied` for everybody but whoever asked."""
    caller.must("approval:ask")

    def work(facts: Facts) -> Approval:
        approval = facts.require(APPROVAL, approval_id)
        if caller.name != approval.requested_by:
            raise Denied(f"{approval.requested_by} asked for it, and alone can say why.")
        _refuse_unless_pending(approval, system)
        return facts.replace(APPROVAL, approval, approval.model_copy(update={"justification": justification}))

    return record(system, caller, "approval:ask", work)


def lapse_due(system: System) -> int:
    """Let lapse what nobody decided, or did, in time. Returns how many."""
    at = system.clock()
    with system.store.read() as reader:
        every = (*reader.all(APPROVAL, status="PENDING"), *reader.all(APPROVAL, status="GRANTED"))
    late = [one for one in every if at >= one.expires_at]
    for one in late:
        with suppress(Conflict):  # somebody was faster
            _decided(system, SYSTEM, one.id, "approval:lapse", "LAPSED", "", (one.status,), late=True)
    return len(late)


def _refuse_unless_pending(approval: Approval, system: System) -> None:
    if approval.status != "PENDING":
        raise Conflict(f"Approval {approval.id} was decided: {approval.status}.")
    if system.clock() >= approval.expires_at:
        raise Conflict(f"Approval {approval.id} lapsed at {approval.expires_at:%Y-%m-%d %H:%M} UTC; ask anew.")


def _refuse_unless_theirs(reader: Reader, approval: Approval, caller: Caller, at: datetime) -> None:
    apart.refuse_same(reader, approval, caller, at)
    apart.must_decide(caller, approval)


def _may(reader: Reader, approval: Approval, caller: Caller, here: Entrance, at: datetime) -> bool:
    try:
        apart.must_decide(caller, approval)
        apart.refuse_same(reader, approval, caller, at, here)
    except Denied:
        return False
    return True


def _asker(reader: Reader, system: System, approval: Approval) -> Caller:
    """Whoever asked, who has to be somebody still."""
    asker = Caller(approval.requested_by, approval.requested_role, approval.source)
    try:
        people.standing(reader, system, asker, system.clock())
    except Denied:
        raise Conflict(
            f"{asker.name} ({asker.role}), who asked for it, is nobody here any more; refuse it, and ask for it yourself."
        ) from None
    return asker


def _checked(reason: str) -> str:
    if len(reason) > _REASON_MAX:
        raise Invalid("reason", f"must not be longer than {_REASON_MAX} characters")
    return reason.strip()


def _overtaken(system: System, caller: Caller, approval: Approval, refusal: Refusal) -> Conflict:
    """What is said where it cannot be done any more as it was asked."""
    with system.store.read() as reader:
        meanwhile = "; ".join(_meanwhile(reader, approval))
    words = f"{refusal}{f' Changed meanwhile: {meanwhile}.' if meanwhile else ''}"[:_REASON_MAX]
    with suppress(Conflict):
        _decided(system, caller, approval.id, "approval:overtaken", "OVERTAKEN", words)
    return Conflict(f"Nothing was done: {words.rstrip('.')}. Have it asked anew.")


def _meanwhile(reader: Reader, approval: Approval) -> Iterator[str]:
    """What is another by now than it was when it was asked for, and by whom."""
    if approval.status not in {"PENDING", "GRANTED"}:
        return
    for one in approval.changes:
        kind = BY_NAME.get(one.kind)
        known = reader.get(kind, one.resource_id) if kind is not None else None
        now = public(known) if known is not None else None
        if one.before is None or kind is None or now is None:
            if one.before is not None:
                yield f"{one.kind} {one.resource_id} is gone"
            continue
        fields = _differing(one, now)
        if fields:
            yield f"{now.get('name') or one.resource_id}: {', '.join(fields)}{_by_whom(reader, int(now['revision']))}"


def _differing(one: ChangedThing, now: dict[str, Any]) -> list[str]:
    before, noted = one.before or {}, {"revision", "created_at", "updated_at", "trust_revision", "last_seen"}
    return sorted(name for name in before.keys() - noted if before[name] != now.get(name))


def _by_whom(reader: Reader, revision: int) -> str:
    try:
        return f" (by {reader.one_revision(revision).actor}, revision {revision})"
    except NotFound:
        return ""


def _decided(
    system: System,
    caller: Caller,
    approval_id: str,
    action: str,
    status: ApprovalStatus,
    reason: str,
    those: tuple[ApprovalStatus, ...] = ("PENDING",),
    *,
    late: bool = False,
) -> Approval:
    def work(facts: Facts) -> Approval:
        now = facts.require(APPROVAL, approval_id)
        if now.status not in those or (facts.at >= now.expires_at) != late:
            raise Decided(f"Approval {approval_id} was decided meanwhile, or has lapsed.")
        if status == "GRANTED":
            apart.refuse_same(facts, now, caller, facts.at)
        news: dict[str, Any] = {"status": status, "decided_by": caller.name, "decided_at": facts.at, "reason": reason}
        if now.decided_by and status == "LAPSED":
            news = {"status": status}
        if status == "GRANTED":
            news["expires_at"] = facts.at + GRANT
        return facts.replace(APPROVAL, now, now.model_copy(update=news))

    return record(system, caller, action, work)
