"""Users: add, change, remove; and whose a client certificate is."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from ostiary.access import members
from ostiary.access.facts import Holder, Request
from ostiary.access.judge import holds
from ostiary.access.policy import fits
from ostiary.errors import Denied, Invalid
from ostiary.ids import new_id
from ostiary.model.authority import Certificate
from ostiary.model.query import Page, Query
from ostiary.model.user import User
from ostiary.ops import apart, certificates, gate, people
from ostiary.ops.access import check_holders
from ostiary.ops.asking import asks
from ostiary.ops.caller import Caller
from ostiary.ops.edit import edited
from ostiary.ops.explained import noted
from ostiary.ops.facts import record
from ostiary.ops.system import System
from ostiary.ops.vouched import refuse_unless_vouched
from ostiary.store.access import retired, signers
from ostiary.store.kinds import AUTHORITY, USER
from ostiary.store.material import Materials
from ostiary.store.rows import public
from ostiary.store.store import Change, Facts, Reader


@asks()
def create(system: System, caller: Caller, wanted: User) -> User:
    """Add a user. Raises `Invalid`, and `Conflict` when the name is another person's."""

    def work(facts: Facts) -> User:
        people.refuse_name(facts, wanted.name, wanted.role, facts.at, of=User)
        check_holders(facts, wanted.certificate)
        made = wanted.model_copy(update={"id": new_id()})
        _ask(facts, caller, "user:create", None, made)
        return facts.insert(USER, made.model_copy(update=apart.let_in(facts, caller)))

    return record(system, caller, "user:create", work)


def _ask(facts: Facts, caller: Caller, action: str, before: User | None, after: User) -> None:
    """Whether another person has to agree that somebody comes in, or otherwise than before."""
    needs = gate.why(facts, "NEW_PERSON", "new_user" if before is None else "user_changed", f"{after.name} ({after.role})")
    told = Change(USER.name, after.id, None if before is None else public(before), public(after))
    gate.ask(facts, caller, action, needs, [told])


def get(system: System, caller: Caller, user_id: str) -> User:
    """One user. Raises `NotFound`."""
    caller.must("user:read")
    with system.store.read() as reader:
        return reader.require(USER, user_id)


def find(system: System, caller: Caller, query: Query) -> Page[User]:
    """Users that match."""
    caller.must("user:read")
    with system.store.read() as reader:
        return reader.find(USER, query)


@asks(changes=User)
def update(system: System, caller: Caller, user_id: str, changes: Mapping[str, Any]) -> User:
    """Change a user's role or certificate. Whoever is signed in by what is no longer so is signed in no longer."""

    def work(facts: Facts) -> User:
        before = facts.require(USER, user_id)
        after = edited(before, changes)
        people.refuse_role(facts, after, facts.at)
        check_holders(facts, after.certificate, before.certificate)
        if after == before:
            return before
        _ask(facts, caller, "user:update", before, after)
        return facts.replace(USER, before, after.model_copy(update=apart.let_in(facts, caller, before)))

    return record(system, caller, "user:update", work)


def delete(system: System, caller: Caller, user_id: str) -> None:
    """Remove a user, and with them their sessions. The admin token opens the console still. Raises `NotFound`."""
    record(system, caller, "user:delete", lambda facts: facts.delete(USER, facts.require(USER, user_id)))


def with_certificate(
    reader: Reader, system: System, der: bytes, at: datetime, *, unchanged_since: datetime | None = None
) -> User:
    """The one user whose certificate this is, now. Raises `Denied`, and says why, for none, for two, and for a bad certificate.

    That it was verified in a handshake is the door's business; what is on record of it is asked here. With `unchanged_since`,
    nothing may have been said of it after that: it may have been on hold meanwhile, or in other groups.
    """
    known = certificates.held_by(reader, der)
    _refuse_unless_good(reader, known, at)
    if unchanged_since is not None and known.updated_at is not None and known.updated_at > unchanged_since:
        raise Denied("This certificate was changed since you signed in; sign in again.")
    refuse_unless_vouched(reader, known)
    signer = reader.require(AUTHORITY, known.authority_id)
    holder = noted(known.certificate, signer.fingerprint_sha256, members.entry(known.groups, known.profile))
    if holder is None or holder.is_unclean:
        raise Denied("The names in this certificate cannot be read in one way only.")
    fitting = _fitting(reader, system, holder, at)
    if not fitting:
        raise Denied("This certificate is no user's here. An administrator adds you: ostiary user add.")
    if len(fitting) > 1:
        raise Denied(f"This certificate fits {len(fitting)} users, so nobody can tell who you are; ask an administrator.")
    return fitting[0]


def _fitting(reader: Reader, system: System, holder: Holder, at: datetime) -> tuple[User, ...]:
    """All users whose conditions this certificate fits. What speaks of an authority that is not there any more fits nobody."""
    materials, request = Materials(reader, system.sealer), Request(host="", at=at, holder=holder)

    @cache  # many users, few authorities
    def those_of(authority_id: str) -> tuple[str, ...]:
        try:
            return signers(materials, authority_id)
        except Invalid:
            return ()

    def is_theirs(user: User) -> bool:
        authorities = {one: those_of(one) for one in user.certificate.authority_ids}
        return all(authorities.values()) and holds(fits(user.certificate, authorities), request)

    return tuple(user for user in reader.all(USER) if is_theirs(user))


def _refuse_unless_good(reader: Reader, known: Certificate, at: datetime) -> None:
    if known.revoked_at is not None:
        raise Denied("This certificate was revoked or is on hold.")
    if not known.not_before <= at <= known.not_after:
        raise Denied("This certificate has expired, or is not valid yet.")
    if reader.require(AUTHORITY, known.authority_id).fingerprint_sha256 in retired(reader, at):
        raise Denied("The authority that issued this certificate was revoked.")
