"""Who is known here by which name: the holder of the admin token, holders of access tokens, users. One name is one person.

What is done under a name that a person came with earlier (a session, a link) goes on for as long as that is still good which they
came with: the admin token of this ostiary, their access token, their user. One of these gone or changed, and it ends.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ostiary.errors import Conflict, Denied
from ostiary.model.session import Session, SignInLink
from ostiary.model.token import Role, Token, TokenRole
from ostiary.model.user import User
from ostiary.ops.caller import SYSTEM, Caller
from ostiary.ops.system import System
from ostiary.store.kinds import SESSION, TOKEN, USER
from ostiary.store.store import Reader

ADMIN: Final = "admin"
_TAKEN: Final = (ADMIN, SYSTEM.name, "anonymous")
_ADMIN_ID: Final = "admin-"
SKEW: Final = timedelta(minutes=5)  # by which clocks, of several that share a database, may differ


@dataclass(frozen=True)
class Standing:
    """Who somebody is, and what that hangs on: a token, a user, or both where there are both."""

    name: str
    role: Role
    token_id: str | None = None
    user_id: str | None = None


def admin_id(token: str) -> str:
    """What stands for an admin token on record. It tells nothing about the token, and is another one once that was replaced."""
    return _ADMIN_ID + hashlib.sha256(b"ostiary admin token " + token.encode()).hexdigest()[:24]


def admin(system: System) -> Standing:
    """Whoever holds the admin token."""
    return Standing(ADMIN, "admin", token_id=system.admin_id)


def holder(token: Token) -> Standing:
    """Whoever holds this access token. Raises `Denied` for one that opens no API."""
    if token.role is None:
        raise Denied("This token enrols a certificate and opens nothing else.")
    if token.role == "monitor":
        raise Denied("This token reads the metrics and opens nothing else.")
    return Standing(token.name, token.role, token_id=token.id)


def standing(reader: Reader, system: System, caller: Caller, at: datetime) -> Standing:
    """What it hangs on that this caller is who they are. Raises `Denied` for who is nobody any more."""
    if caller.session_id is not None:
        return _of_session(reader.get(SESSION, caller.session_id))
    if (caller.name, caller.role) == (ADMIN, "admin"):
        return admin(system)
    token = next((one for one in reader.all(TOKEN, name=caller.name) if _is_good(one, caller, at)), None)
    user = next((one for one in reader.all(USER, name=caller.name) if one.role == caller.role), None)
    role = token.role if token is not None else user.role if user is not None else None
    if role is None or role == "monitor":
        raise Denied(f"There is nobody called {caller.name} ({caller.role}).")
    return Standing(caller.name, role, token.id if token is not None else None, user.id if user is not None else None)


def _of_session(session: Session | None) -> Standing:
    if session is None:
        raise Denied("Your session has ended; sign in again.")
    if session.how == "certificate":
        # What a link opens asks for no certificate: whoever had got hold of one for a moment would stay when it was revoked.
        raise Denied("You signed in with a certificate; where it is not, you do not get in.")
    return Standing(session.name, session.role, session.token_id, session.user_id)


def stands(reader: Reader, thing: Session | SignInLink, at: datetime) -> bool:
    """Whether all that it hangs on is still there, and as it was. What hangs on the admin token, `is_elsewhere` asks."""
    if thing.token_id is None and thing.user_id is None:
        return False
    if thing.token_id is not None and not _is_admin(thing):
        token = reader.get(TOKEN, thing.token_id)
        if token is None or not _is_good(token, thing, at):
            return False
    if thing.user_id is not None:
        user = reader.get(USER, thing.user_id)
        if user is None or (user.name, user.role) != (thing.name, thing.role):
            return False
        # They may have had another role meanwhile, or another certificate.
        return user.updated_at is None or (thing.created_at is not None and user.updated_at <= thing.created_at)
    return True


def is_elsewhere(system: System, thing: Session | SignInLink) -> bool:
    """Whether it hangs on an admin token that is not ours: one replaced since, or another ostiary's on the same database."""
    return _is_admin(thing) and thing.token_id != system.admin_id


def refuse_name(reader: Reader, name: str, role: TokenRole, at: datetime, *, of: type[Token] | type[User]) -> None:
    """Whether a token or a user may have this name: nobody's, or the same person's. Raises `Conflict`.

    Two people under one name could not be told apart by the record, nor by a rule that asks for two people.
    """
    tokens = [one for one in reader.all(TOKEN) if one.role is not None and at < one.expires_at]
    users = reader.all(USER)
    same, other = (tokens, users) if of is Token else (users, tokens)
    called = {one.name.casefold() for one in same}
    if name.casefold() in {*called, *_TAKEN}:
        raise Conflict(f"somebody is called '{name}' already; choose another name.", "name")
    for one in other:
        if one.name.casefold() == name.casefold() and one.name != name:
            raise Conflict(f"somebody is called '{one.name}' already; choose another name, or write it as they do.", "name")
        if one.name == name and one.role != role:
            raise Conflict(f"'{name}' has the role {one.role} already, and one person has one role.", "role")


def refuse_role(reader: Reader, user: User, at: datetime) -> None:
    """Whether a user may have this role: not while a token of theirs has another one. Raises `Conflict`."""
    for token in reader.all(TOKEN, name=user.name):
        if token.role is not None and token.role != user.role and at < token.expires_at:
            raise Conflict(f"a token of {user.name} has the role {token.role}; delete that one first.", "role")


def _is_admin(thing: Session | SignInLink) -> bool:
    return thing.token_id is not None and thing.token_id.startswith(_ADMIN_ID)


def _is_good(token: Token, person: Caller | Session | SignInLink, at: datetime) -> bool:
    return token.role is not None and (token.name, token.role) == (person.name, person.role) and at < token.expires_at
