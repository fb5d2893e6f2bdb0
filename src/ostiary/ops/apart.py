"""Two people are two people: who may agree to what somebody else asked for.

One name is one person (`ops.people`). But who makes a token knows it, and who says which certificate is a user's may choose one
of their own: so nobody decides on what was asked by somebody whom they let in, or who let them in, through however many others.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ostiary.errors import Denied
from ostiary.model.approval import Approval, BreakGlass
from ostiary.model.user import User
from ostiary.ops.caller import Caller
from ostiary.ops.people import ADMIN
from ostiary.store import doings
from ostiary.store.kinds import BREAK_GLASS, CERTIFICATE, SESSION, TOKEN, USER
from ostiary.store.store import Reader, Transaction

_MOST_RENEWALS: Final = 1000


@dataclass(frozen=True)
class Entrance:
    """How somebody comes in: who had a hand in that, since when it is as it is, and whether an emergency let them in.

    `unsigned` is the id of a break-glass under which they were let in and that nobody has signed off.
    """

    by: frozenset[str] = frozenset()
    since: datetime | None = None
    unsigned: str | None = None


def entrance(reader: Reader, caller: Caller) -> Entrance:
    """That of whoever calls. Raises `Denied` where the record does not say."""
    own = _of_name(reader, caller.name)
    by = set(own.by)
    if caller.session_id is not None:
        by |= _of_session(reader, caller.session_id)
    seen = {caller.name}
    while further := by - seen:
        for name in further:
            seen.add(name)
            by |= _of_name(reader, name).by
    return Entrance(frozenset(by - {caller.name}), own.since, own.unsigned)


def let_in(transaction: Transaction, caller: Caller, before: User | None = None) -> dict[str, Any]:
    """What a token or a user keeps of who lets them in, and of the emergency in which that is done."""
    by = {caller.name}
    with suppress(Denied):  # whoever decides later is asked about these again, and refused then
        by |= _of_user(transaction, before) if before is not None else set()
        by |= entrance(transaction, caller).by
    glass = transaction.remarks.get("break_glass") or (before.break_glass_id if before is not None else None)
    return {"let_in_by": tuple(sorted(by)), "break_glass_id": glass}


def refuse_same(reader: Reader, asked: Approval, caller: Caller) -> None:
    """Raises `Denied` for whoever asked, and for whom one cannot tell from them."""
    _refuse(reader, caller, asked.requested_by, asked.hands, asked.created_at)


def refuse_same_of_emergency(reader: Reader, glass: BreakGlass, caller: Caller) -> None:
    """Likewise for whoever would sign off what was done without approval."""
    _refuse(reader, caller, glass.begun_by, glass.hands, glass.begun_at)


def _refuse(reader: Reader, caller: Caller, other: str, hands: tuple[str, ...], at: datetime | None) -> None:
    if caller.name.casefold() == other.casefold():
        raise Denied(f"It is {other}'s own, so another person has to decide.")
    here = entrance(reader, caller)
    if other in here.by:
        raise Denied(f"{other} has let {caller.name} in, so somebody has to decide whom {other} did not let in.")
    if caller.name in hands:
        raise Denied(f"{caller.name} has let {other} in, so somebody else has to decide.")
    if here.since is not None and at is not None and here.since > at:
        raise Denied(f"{caller.name} was let in, or changed, after that; ask anew, or have somebody decide who was here before.")
    if here.unsigned is not None:
        raise Denied(f"{caller.name} was let in without approval (break-glass {here.unsigned}); have that signed off first.")


def _of_name(reader: Reader, name: str) -> Entrance:
    if name == ADMIN:
        return Entrance()
    by: set[str] = set()
    since: list[datetime] = []
    emergencies: set[str] = set()
    for token in reader.all(TOKEN, name=name):
        if token.role is not None:
            by |= {token.created_by, *token.let_in_by}
            since.append(token.created_at) if token.created_at is not None else None
            emergencies |= {token.break_glass_id} if token.break_glass_id else set()
    for user in reader.all(USER, name=name):
        by |= _of_user(reader, user)
        changed = user.updated_at or user.created_at
        since.append(changed) if changed is not None else None
        emergencies |= {user.break_glass_id} if user.break_glass_id else set()
    unsigned = sorted(one for one in emergencies if _is_unsigned(reader, one))
    return Entrance(frozenset(by - {""}), max(since, default=None), unsigned[0] if unsigned else None)


def _of_user(reader: Reader, user: User) -> set[str]:
    return set(user.let_in_by) or _said(doings.of(reader, USER.name, user.id))


def _of_session(reader: Reader, session_id: str) -> set[str]:
    """Who had a hand in the certificate that a session came with, or in those it was renewed from."""
    session = reader.get(SESSION, session_id)
    if session is None or session.fingerprint_sha256 is None:
        return set()
    found: set[str] = set()
    known = next(iter(reader.all(CERTIFICATE, fingerprint_sha256=session.fingerprint_sha256)), None)
    for _ in range(_MOST_RENEWALS):
        if known is None:
            return found
        for entry in doings.of(reader, CERTIFICATE.name, known.id):
            found |= _granted(reader, entry) if entry["role"] in {"enrolling", "holder"} else {entry["actor"]}
        known = reader.get(CERTIFICATE, known.replaces) if known.replaces else None
    raise Denied("Your certificate was renewed too often to tell where it came from; have another one issued.")


def _granted(reader: Reader, entry: dict[str, Any]) -> set[str]:
    """Who made the grant that a certificate was enrolled with."""
    kind, _, token_id = str(entry["actor"]).partition(":")
    return _said(doings.of(reader, TOKEN.name, token_id)) if kind == "token" else set()


def _said(entries: tuple[dict[str, Any], ...]) -> set[str]:
    if not entries:
        raise Denied("The record does not say any more who let you in; have an administrator change your user, or make it anew.")
    return {entry["actor"] for entry in entries if entry["role"] not in {"enrolling", "holder"}}


def _is_unsigned(reader: Reader, glass_id: str) -> bool:
    glass = reader.get(BREAK_GLASS, glass_id)
    return glass is None or glass.state != "REVIEWED"
