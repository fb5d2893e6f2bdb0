"""Where another person has to agree: each change is looked at just before it would be committed, and stopped there.

What was asked for by a person waits then (`ops.asking`), is done once another agreed (`ops.approvals`), or is let through in an
emergency that everybody is told of (`ops.break_glass`). What ostiary does by itself in its time is nobody's wish and not stopped.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from ostiary.errors import Conflict, Denied
from ostiary.model.approval import CHANGES_SHOWN, Approval, BreakGlass, ChangedThing, ChosenKind, Why
from ostiary.model.fields import traits
from ostiary.model.house import HouseSettings
from ostiary.model.resource import NOTED
from ostiary.ops import apart, house, protection
from ostiary.ops.caller import SYSTEM, Caller
from ostiary.ops.people import SKEW
from ostiary.ops.system import System
from ostiary.store.kinds import APPROVAL, AUTHORITY, BREAK_GLASS, BY_NAME
from ostiary.store.store import Change, Reader, Transaction

log = structlog.get_logger(source="approvals")

# What these bring is theirs; elsewhere a certificate of an authority is made anew each time.
_BROUGHT: Final = frozenset({"authority:import", "authority:import-key", "authority:update", "authority:upload"})
_OURS: Final = frozenset({APPROVAL.name, BREAK_GLASS.name})
# An emergency does not end the rule itself: it would go on when the emergency is over.
_NEVER_WITHOUT: Final = frozenset({"APPROVALS"})


@dataclass(frozen=True)
class Asked:
    """What somebody is about to do: why another person has to agree, what it would change, and a digest of all of that."""

    action: str
    reasons: tuple[Why, ...]
    changes: tuple[ChangedThing, ...]
    more: int
    fingerprint: str


class Stopped(Denied):
    """Another person has to agree first. `ops.asking` makes an approval of it; what it does not know stays refused."""

    def __init__(self, asked: Asked) -> None:
        kinds = ", ".join(dict.fromkeys(one.kind for one in asked.reasons))
        super().__init__(f"{asked.action} needs another person's approval ({kinds}), and cannot be asked for in this way.")
        self.asked = asked


class Decided(Conflict):
    """It cannot be decided any more, or not by this person."""


def why(reader: Reader, kind: ChosenKind, code: str, about: str = "", count: int | None = None) -> tuple[Why, ...]:
    """A reason, where another person has to agree to this kind of thing."""
    if kind not in house.read(reader).approval_needed_for:
        return ()
    return (Why(kind=kind, code=code, about=about, count=count),)


def look(system: System, transaction: Transaction, caller: Caller, action: str, settings: HouseSettings) -> None:
    """Let a change of the configuration through, or raise `Stopped`. `settings` are those as they were before it."""
    if caller is SYSTEM or not settings.approval_needed_for:
        return
    with system.store.read() as before:
        two = protection.Two(before, transaction, tuple(transaction.changed), system.sealer, transaction.at)
        found = protection.reasons(two, settings)
    ask(transaction, caller, action, found, transaction.changed)


def ask(
    transaction: Transaction,
    caller: Caller,
    action: str,
    reasons: Iterable[Why],
    changes: Sequence[Change] = (),
    about: Any = None,
) -> None:
    """Let it through when nobody has to agree, somebody has, or there is an emergency; else raise `Stopped`.

    `about` is what it is about beside its changes: it has to be the same when it is done.
    """
    why = tuple(reasons)
    if caller is SYSTEM or not (why or caller.clearance):
        return
    listed = [one for one in changes if one.kind not in _OURS]
    asked = Asked(action, why, _told(listed), max(0, len(listed) - CHANGES_SHOWN), fingerprint(action, listed, about))
    if caller.clearance is not None:
        _clear(transaction, caller, asked)
    elif not (_granted(transaction, caller, asked) or _without(transaction, caller, asked)):
        raise Stopped(asked)


def _clear(transaction: Transaction, caller: Caller, asked: Asked) -> None:
    """Whoever approved does it now: it has to be the very thing that they looked at, and nobody else was faster."""
    clearance = caller.clearance
    assert clearance is not None  # noqa: S101 (see above)
    approval = transaction.get(APPROVAL, clearance.approval_id)
    if approval is None or approval.status != "PENDING" or transaction.at >= approval.expires_at:
        raise Decided(f"Approval {clearance.approval_id} was decided meanwhile, or has lapsed.")
    try:
        apart.refuse_same(transaction, approval, clearance.approver, transaction.at)
    except Denied as denied:
        raise Decided(str(denied)) from None
    if asked.fingerprint != approval.fingerprint or not {one.kind for one in asked.reasons} <= set(approval.kinds):
        raise Conflict("what it would change is another by now")
    news = {
        "status": "DONE",
        "decided_by": clearance.approver.name,
        "decided_at": transaction.at,
        "reason": clearance.reason,
    }
    transaction.replace(APPROVAL, approval, approval.model_copy(update=news))
    transaction.remarks = {"approval": approval.id, "approved_by": clearance.approver.name}


def _granted(transaction: Transaction, caller: Caller, asked: Asked) -> bool:
    """Whether somebody agreed that this person does this very thing once; that is used up now."""
    for approval in transaction.all(APPROVAL, fingerprint=asked.fingerprint, status="GRANTED", requested_by=caller.name):
        covers = {one.kind for one in asked.reasons} <= set(approval.kinds)
        if covers and approval.requested_role == caller.role and transaction.at < approval.expires_at:
            transaction.replace(APPROVAL, approval, approval.model_copy(update={"status": "DONE"}))
            transaction.remarks = {"approval": approval.id, "approved_by": approval.decided_by}
            return True
    return False


def _without(transaction: Transaction, caller: Caller, asked: Asked) -> bool:
    """Whether this person does without approval now; that is counted, and told."""
    if not _NEVER_WITHOUT.isdisjoint(one.kind for one in asked.reasons):
        return False
    glass = open_of(transaction, caller, transaction.at)
    if glass is None:
        return False
    transaction.replace(BREAK_GLASS, glass, glass.model_copy(update={"uses": glass.uses + 1}))
    transaction.remarks = {"break_glass": glass.id}
    log.warning("break-glass used", by=caller.name, action=asked.action, break_glass=glass.id, source=caller.source)
    return True


def open_of(reader: Reader, caller: Caller, at: datetime) -> BreakGlass | None:
    """The emergency of this person that is open now."""
    if caller.role != "admin":
        return None
    return next((one for one in reader.all(BREAK_GLASS, begun_by=caller.name, state="OPEN") if is_open(one, at)), None)


def is_open(glass: BreakGlass, at: datetime) -> bool:
    """Whether it is. A clock that was put back gives nobody more time."""
    return glass.state == "OPEN" and glass.begun_at - SKEW <= at < glass.ends_at


def fingerprint(action: str, changes: Iterable[Change], about: Any = None) -> str:
    """A digest of what is asked for: the same when it is done as when it was asked, unless something else would come of it.

    What is made anew each time, ids, keys, times, is left out; what is there already is in it as it is and as it would be.
    """
    listed = list(changes)
    text = json.dumps([action, [_meant(one, action) for one in listed], about], sort_keys=True, ensure_ascii=True, default=str)
    made = (one.resource_id for one in listed if one.before is None)
    for number, new_id in enumerate(dict.fromkeys(made)):
        text = text.replace(new_id, f"new-{number}") if new_id else text
    return hashlib.sha256(text.encode()).hexdigest()


def _meant(one: Change, action: str) -> list[Any]:
    made = {"certificate"} if one.kind == AUTHORITY.name and action not in _BROUGHT else set()
    return [one.kind, one.resource_id, *(_settings(one.kind, document, made) for document in (one.before, one.after))]


def _settings(kind: str, document: dict[str, Any] | None, made: set[str]) -> dict[str, Any] | None:
    """What people decided about a thing."""
    if document is None:
        return None
    known = BY_NAME.get(kind)
    derived = {name for name, info in known.model.model_fields.items() if traits(info).get("derived")} if known else set()
    return {name: value for name, value in document.items() if name not in NOTED | derived | made}


def _told(changes: Sequence[Change]) -> tuple[ChangedThing, ...]:
    some = changes[:CHANGES_SHOWN]
    return tuple(ChangedThing(kind=one.kind, resource_id=one.resource_id, before=one.before, after=one.after) for one in some)


def kinds_of(asked: Asked) -> tuple[Any, ...]:
    """Each kind once."""
    return tuple(dict.fromkeys(one.kind for one in asked.reasons))


def pending_of(reader: Reader, caller: Caller, asked: Asked, digest: str, at: datetime) -> Approval | None:
    """What the same person asked for already, in the same words, and that waits."""
    its = reader.all(APPROVAL, fingerprint=asked.fingerprint, status="PENDING", requested_by=caller.name)
    same = (one for one in its if one.requested_role == caller.role and one.digest == digest)
    return next((one for one in same if at < one.expires_at), None)
