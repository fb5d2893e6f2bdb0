"""Access exceptions: requests that are served without a certificate. Each has an owner and a day on which it ends.

One that ended is kept until somebody deletes it: it tells who was let in until when, and who answered for it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from ostiary.errors import Conflict, Invalid
from ostiary.ids import new_id
from ostiary.model.access import LONGEST_EXCEPTION, AccessException
from ostiary.model.query import Page, Query
from ostiary.ops.access import listener_of, touch
from ostiary.ops.asking import asks
from ostiary.ops.caller import Caller
from ostiary.ops.change import change
from ostiary.ops.edit import edited
from ostiary.ops.meanwhile import refuse_if_overtaken
from ostiary.ops.system import System
from ostiary.store.kinds import ACCESS_EXCEPTION, LISTENER

EXCEPTIONS_PER_LISTENER: Final = 100
ENDS_SOON: Final = timedelta(days=7)
State = Literal["ACTIVE", "ENDED"]
_MEANING: Final = ("kind", "paths", "sources")
_EVERYTHING: Final = "/*"


@asks()
def create(system: System, caller: Caller, exception: AccessException) -> AccessException:
    """Add an exception to a listener. Raises `Invalid`, and `Conflict` for one that is there already."""
    with change(system, caller, "access-exception:create") as transaction:
        listener = listener_of(transaction, exception.listener_id)
        _check(exception)
        _check_end(exception.not_after, transaction.at)
        others = transaction.all(ACCESS_EXCEPTION, listener_id=listener.id)
        if len(others) >= EXCEPTIONS_PER_LISTENER:
            raise Conflict(
                f"the listener has {EXCEPTIONS_PER_LISTENER} exceptions, which is the most; delete some.", "listener_id"
            )
        _refuse_twice(exception, others, transaction.at)
        its = {"id": new_id(), "project_id": exception.project_id or listener.project_id}
        made = transaction.insert(ACCESS_EXCEPTION, exception.model_copy(update=its))
        touch(transaction, listener)
        return made


def get(system: System, caller: Caller, exception_id: str) -> AccessException:
    """One exception. Raises `NotFound`."""
    caller.must("access-exception:read")
    with system.store.read() as reader:
        return reader.require(ACCESS_EXCEPTION, exception_id)


def find(system: System, caller: Caller, query: Query) -> Page[AccessException]:
    """Exceptions that match, those that ended too."""
    caller.must("access-exception:read")
    with system.store.read() as reader:
        return reader.find(ACCESS_EXCEPTION, query)


@asks(changes=AccessException)
def update(
    system: System, caller: Caller, exception_id: str, changes: Mapping[str, Any], *, since: int | None = None
) -> AccessException:
    """Change an exception; another `not_after` renews it. With `since`, raises `Overtaken` if others changed it after that."""
    with change(system, caller, "access-exception:update") as transaction:
        before = transaction.require(ACCESS_EXCEPTION, exception_id)
        refuse_if_overtaken(transaction, ACCESS_EXCEPTION, before, since)
        listener = listener_of(transaction, before.listener_id)
        after = edited(before, changes)
        _check(after)
        if after.not_after != before.not_after:
            _check_end(after.not_after, transaction.at)
        others = transaction.all(ACCESS_EXCEPTION, listener_id=listener.id)
        _refuse_twice(after, [one for one in others if one.id != exception_id], transaction.at)
        stored = transaction.replace(ACCESS_EXCEPTION, before, after)
        if transaction.changed:
            touch(transaction, listener)
        return stored


def end(system: System, caller: Caller, exception_id: str) -> AccessException:
    """End an exception now: a certificate is needed again, at once, and it stays on record as what was."""
    with change(system, caller, "access-exception:update") as transaction:
        before = transaction.require(ACCESS_EXCEPTION, exception_id)
        if before.not_after <= transaction.at:
            return before
        listener = listener_of(transaction, before.listener_id)
        after = before.model_copy(update={"not_after": transaction.at})
        stored = transaction.replace(ACCESS_EXCEPTION, before, after)
        touch(transaction, listener)
        return stored


@asks()
def delete(system: System, caller: Caller, exception_id: str) -> None:
    """Remove an exception: a certificate is needed again, at once."""
    with change(system, caller, "access-exception:delete") as transaction:
        exception = transaction.require(ACCESS_EXCEPTION, exception_id)
        transaction.delete(ACCESS_EXCEPTION, exception)
        touch(transaction, listener_of(transaction, exception.listener_id))


def state(exception: AccessException, at: datetime) -> State:
    """Whether it is in force."""
    return "ACTIVE" if exception.not_after > at else "ENDED"


def days_left(exception: AccessException, at: datetime) -> int:
    """Whole days until it ends; 0 on the last, and afterwards."""
    return max(0, (exception.not_after - at).days)


def listener_name(system: System, exception: AccessException) -> str:
    """What its listener is called, for an exception the caller has already been shown."""
    with system.store.read() as reader:
        listener = reader.get(LISTENER, exception.listener_id)
    return listener.name if listener is not None else ""


def _check(exception: AccessException) -> None:
    if exception.kind == "PATHS" and not exception.paths:
        raise Invalid("paths", "say which paths are to be served without a certificate")
    if exception.kind != "CORS_PREFLIGHT" and _EVERYTHING in exception.paths:
        raise Invalid(
            "paths", "that is everything: where no certificate is needed at all, set client_authentication to OPTIONAL instead"
        )


def _check_end(not_after: datetime, at: datetime) -> None:
    if not_after <= at:
        raise Invalid("not_after", "it is over already")
    if not_after > at + LONGEST_EXCEPTION:
        raise Invalid("not_after", f"an exception ends within {LONGEST_EXCEPTION.days} days; it can be renewed then")


def _refuse_twice(exception: AccessException, others: Sequence[AccessException], at: datetime) -> None:
    for other in others:
        if other.not_after > at and _meaning(other) == _meaning(exception):
            raise Conflict(f"Exception '{other.name}' ({other.id}) lets the same requests in already; renew that one.")


def _meaning(exception: AccessException) -> tuple[Any, ...]:
    return tuple(frozenset(value) if isinstance(value := getattr(exception, name), tuple) else value for name in _MEANING)
