"""Two people are two people: who may agree to what somebody else asked for.

One name is one person (`ops.people`). But who makes a token knows it, and who says which certificate is a user's may choose one
of their own: so nobody decides on what was asked by somebody whom they let in, or who let them in, through however many others.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ostiary.errors import Conflict, Denied
from ostiary.model.approval import Approval, BreakGlass
from ostiary.model.user import User
from ostiary.ops.caller import Caller
from ostiary.ops.people import ADMIN
from ostiary.store import doings
from ostiary.store.kinds import BREAK_GLASS, CERTIFICATE, CERTIFICATE_REQUEST, SESSION, TOKEN, USER
from ostiary.store.store import Reader, Transaction

SETTLES: Final = timedelta(days=7)  # after which who was let in in an emergency is one of us
_MOST_RENEWALS: Final = 1000
# Who agrees has to be one who may do it themselves: what a use case asks for beside the name of its action.
_ALSO: Final = {"token:create": ("token:access",)}


@dataclass(frozen=True)
class Entrance:
    """How somebody comes in: who had a hand in that, since when it is as it is, and whether an emergency let them in.

    `unsigned` is the id of a break-glass under which they were let in and that nobody has signed off.
    """

    by: frozenset[str] = frozenset()
    since: datetime | None = None
    unsigned: str | None = None


def entrance(reader: Reader, caller: Caller, at: datetime, *, of_many: bool = False) -> Entrance:
    """That of whoever calls. Raises `Denied` where the record does not say. `of_many`: all people are read at once."""
    own = _of_name(reader, caller.name, at, of_many=of_many)
    by = set(own.by)
    if caller.session_id is not None:
        by |= _of_session(reader, caller.session_id)
    seen = {caller.name}
    while further := by - seen:
        for name in further:
            seen.add(name)
            by |= _of_name(reader, name, at, of_many=of_many).by
    return Entrance(frozenset(by - {caller.name}), own.since, own.unsigned)


def let_in(transaction: Transaction, caller: Caller, before: User | None = None) -> dict[str, Any]:
    """What a token or a user keeps of who lets them in, and of the emergency in which that is done."""
    by = {caller.name}
    with suppress(Denied):  # whoever decides later is asked about these again, and refused then
        by |= _of_user(transaction, before) if before is not None else set()
        by |= entrance(transaction, caller, transaction.at).by
    glass = transaction.remarks.get("break_glass") or (before.break_glass_id if before is not None else None)
    return {"let_in_by": tuple(sorted(by)), "break_glass_id": glass}


def refuse_same(reader: Reader, asked: Approval, caller: Caller, at: datetime, here: Entrance | None = None) -> None:
    """Raises `Denied` for whoever asked, and for whom one cannot tell from them. `here` is their entrance, where it is known."""
    here, other = here or entrance(reader, caller, at), asked.requested_by
    _refuse_own(caller, other)
    if other in here.by:
        raise Denied(f"{other} has let {caller.name} in, so somebody has to decide whom {other} did not let in.")
    if caller.name in asked.hands:
        raise Denied(f"{caller.name} has let {other} in, so somebody else has to decide.")
    if here.since is not None and asked.created_at is not None and here.since > asked.created_at:
        raise Denied(f"{caller.name} was let in, or changed, after that; ask anew, or have somebody decide who was here before.")
    _refuse_unsigned(caller, here)


def must_decide(caller: Caller, asked: Approval) -> None:
    """Raises `Denied` unless this caller may agree to what others ask for, and might do that themselves."""
    for action in ("approval:approve", asked.action, *_ALSO.get(asked.action, ())):
        caller.must(action)


def deciders(reader: Reader, asked: Approval, at: datetime) -> tuple[str, ...]:
    """The names of those who might decide on it, as far as their names tell."""
    return tuple(sorted(name for name, role in _people(reader, at) if _might(reader, asked, Caller(name, role), at)))


def refuse_alone(reader: Reader, at: datetime) -> None:
    """Raises `Conflict` unless two administrators are here who did not let one another in: else nobody could ever decide."""
    admins = [name for name, role in _people(reader, at) if role == "admin"]
    by: dict[str, frozenset[str]] = {}
    for name in admins:
        with suppress(Denied):  # who is let in by nobody knows whom counts for nobody
            by[name] = entrance(reader, Caller(name, "admin"), at, of_many=True).by
    if not any(one != other and one not in by[other] and other not in by[one] for one in by for other in by):
        raise Conflict(
            "two administrators have to be here first who did not let one another in, or nobody could decide. Make a token for "
            "each of two people (ostiary token create --role admin --name NAME), or users, and keep the admin token in a safe.",
            "approval_needed_for",
        )


def _people(reader: Reader, at: datetime) -> set[tuple[str, str]]:
    """Names and roles of all who may come in."""
    tokens = {(one.name, str(one.role)) for one in reader.all(TOKEN) if one.role is not None and at < one.expires_at}
    return tokens | {(one.name, one.role) for one in reader.all(USER)} | {(ADMIN, "admin")}


def _might(reader: Reader, asked: Approval, caller: Caller, at: datetime) -> bool:
    try:
        must_decide(caller, asked)
        refuse_same(reader, asked, caller, at, entrance(reader, caller, at, of_many=True))
    except Denied:
        return False
    return True


def refuse_same_of_emergency(reader: Reader, glass: BreakGlass, caller: Caller, at: datetime) -> None:
    """Raises `Denied` for whoever began it, and for who came in since, for a while: everybody else may sign it off.

    Also who was let in by whoever began it. In most houses that is everybody, and somebody has to be able to.
    """
    _refuse_own(caller, glass.begun_by)
    here = entrance(reader, caller, at)
    if here.since is not None and here.since > glass.begun_at and at < here.since + SETTLES:
        raise Denied(f"{caller.name} was let in, or changed, after that; somebody signs it off who was here before.")
    _refuse_unsigned(caller, here)


def _refuse_own(caller: Caller, other: str) -> None:
    if caller.name.casefold() == other.casefold():
        raise Denied(f"It is {other}'s own, so another person has to decide.")


def _refuse_unsigned(caller: Caller, here: Entrance) -> None:
    if here.unsigned is not None:
        raise Denied(
            f"{caller.name} was let in without approval (break-glass {here.unsigned}); have that signed off, or wait a week."
        )


def _of_name(reader: Reader, name: str, at: datetime, *, of_many: bool) -> Entrance:
    if name == ADMIN:
        return Entrance()
    by: set[str] = set()
    since: list[datetime] = []
    emergencies: set[str] = set()
    tokens = reader.all(TOKEN) if of_many else reader.all(TOKEN, name=name)
    for token in tokens:
        if token.role is not None and token.name == name:
            by |= {token.created_by, *token.let_in_by}
            since.append(token.created_at) if token.created_at is not None else None
            emergencies |= {token.break_glass_id} if token.break_glass_id else set()
    users = reader.all(USER) if of_many else reader.all(USER, name=name)
    for user in (one for one in users if one.name == name):
        by |= _of_user(reader, user)
        changed = user.updated_at or user.created_at
        since.append(changed) if changed is not None else None
        emergencies |= {user.break_glass_id} if user.break_glass_id else set()
    unsigned = sorted(one for one in emergencies if _is_unsigned(reader, one, at))
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
        # Whoever asked for it has its key, whoever approved that.
        asked = reader.all(CERTIFICATE_REQUEST, status="ISSUED", authority_id=known.authority_id)
        found |= {one.requested_by for one in asked if one.certificate_id == known.id}
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


def _is_unsigned(reader: Reader, glass_id: str, at: datetime) -> bool:
    """Whether nobody has signed it off yet. After a week of that everybody could have seen it, and somebody has to decide."""
    glass = reader.get(BREAK_GLASS, glass_id)
    return glass is None or (glass.state != "REVIEWED" and at < glass.begun_at + SETTLES)
