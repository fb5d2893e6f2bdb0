"""Access rules: create, read, change, delete. A listener's are numbered from 1 without gaps, in the order they are tried."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from ostiary.errors import Conflict, Invalid
from ostiary.ids import new_id
from ostiary.model.access import RULES_PER_LISTENER, AccessRule, Holders
from ostiary.model.listener import Listener
from ostiary.model.query import Page, Query
from ostiary.ops import profiles
from ostiary.ops.asking import asks
from ostiary.ops.caller import Caller
from ostiary.ops.change import change, touch_balancer
from ostiary.ops.edit import edited
from ostiary.ops.meanwhile import refuse_if_overtaken
from ostiary.ops.narrowing import takes_all_of
from ostiary.ops.system import System
from ostiary.store import access as stored
from ostiary.store import groups
from ostiary.store.kinds import ACCESS_RULE, AUTHORITY, LISTENER
from ostiary.store.store import Reader, Transaction

_IN_ORDER: Final = (("listener_id", False), ("position", False))
# What a rule is and does, apart from what it is called and where it stands.
_MEANING: Final = ("action", "certificate", "hosts", "paths", "methods", "sources", "not_before", "not_after", "shadow")


@asks()
def create(system: System, caller: Caller, rule: AccessRule) -> AccessRule:
    """Add a rule to a listener, at its position or at the end. Raises `Invalid`, and `Conflict` for one that is there already."""
    with change(system, caller, "access-rule:create") as transaction:
        listener = listener_of(transaction, rule.listener_id)
        check(transaction, rule, transaction.at)
        others = of_listener(transaction, listener.id)
        refuse_too_many(others)
        _refuse_twice(rule, others)
        wanted = rule.model_copy(update={"id": new_id(), "project_id": rule.project_id or listener.project_id})
        position = len(others) + 1 if rule.position is None else min(rule.position, len(others) + 1)
        _number(transaction, (*others[: position - 1], None, *others[position - 1 :]))
        made = transaction.insert(ACCESS_RULE, wanted.model_copy(update={"position": position}))
        touch(transaction, listener)
        return made


def get(system: System, caller: Caller, rule_id: str) -> AccessRule:
    """One rule. Raises `NotFound`."""
    caller.must("access-rule:read")
    with system.store.read() as reader:
        return reader.require(ACCESS_RULE, rule_id)


def find(system: System, caller: Caller, query: Query) -> Page[AccessRule]:
    """Rules that match, listener by listener, in the order in which they are tried."""
    caller.must("access-rule:read")
    with system.store.read() as reader:
        return reader.find(ACCESS_RULE, in_order(query))


@asks(changes=AccessRule)
def update(system: System, caller: Caller, rule_id: str, changes: Mapping[str, Any], *, since: int | None = None) -> AccessRule:
    """Change a rule; another `position` moves it, and None moves it to the end.

    With `since`, the revision that the caller had seen, raises `Overtaken` if others changed what it says after that; that others
    were put before it is no such change.
    """
    with change(system, caller, "access-rule:update") as transaction:
        before = transaction.require(ACCESS_RULE, rule_id)
        refuse_if_overtaken(transaction, ACCESS_RULE, before, since, but=("position",))
        listener = listener_of(transaction, before.listener_id)
        after = edited(before, changes)
        check(transaction, after, transaction.at, before)
        others = tuple(one for one in of_listener(transaction, listener.id) if one.id != rule_id)
        _refuse_twice(after, others)
        last = len(others) + 1
        position = last if after.position is None else min(after.position, last)
        _number(transaction, (*others[: position - 1], None, *others[position - 1 :]))
        stored = transaction.replace(ACCESS_RULE, before, after.model_copy(update={"position": position}))
        if transaction.changed:
            touch(transaction, listener)
        return stored


@asks()
def delete(system: System, caller: Caller, rule_id: str) -> None:
    """Remove a rule; those after it move up."""
    with change(system, caller, "access-rule:delete") as transaction:
        rule = transaction.require(ACCESS_RULE, rule_id)
        transaction.delete(ACCESS_RULE, rule)
        _number(transaction, of_listener(transaction, rule.listener_id))
        touch(transaction, transaction.require(LISTENER, rule.listener_id))


def of_listener(reader: Reader, listener_id: str) -> tuple[AccessRule, ...]:
    """A listener's rules, in order."""
    return tuple(sorted(reader.all(ACCESS_RULE, listener_id=listener_id), key=lambda rule: rule.position or 0))


def in_order(query: Query) -> Query:
    """The same query; where it asks for no order, for that in which rules are tried."""
    return query if query.sort else replace(query, sort=_IN_ORDER)


def listener_of(reader: Reader, listener_id: str) -> Listener:
    """The listener that rules or exceptions are about. Raises `Invalid`."""
    listener = reader.get(LISTENER, listener_id)
    if listener is None:
        raise Invalid("listener_id", f"there is no listener {listener_id}")
    if not listener.is_tls:
        raise Invalid(
            "listener_id",
            f"listener {listener_id} speaks {listener.protocol} and sees no client certificate; TERMINATED_HTTPS does",
        )
    return listener


def touch(transaction: Transaction, listener: Listener) -> None:
    """What a listener's clients may reach changed, so its status is that of this revision."""
    transaction.touch(LISTENER, listener.id)
    touch_balancer(transaction, listener.loadbalancer_id)


def check(reader: Reader, rule: AccessRule, at: datetime, before: AccessRule | None = None) -> None:
    """Whether all that a rule newly speaks of is there, and its time is one. Raises `Invalid` naming the field."""
    _check_window(rule, before, at)
    check_holders(reader, rule.certificate, before.certificate if before else None)


def check_holders(reader: Reader, new: Holders, old: Holders | None = None) -> None:
    """Whether all that conditions newly speak of is there. Raises `Invalid` naming the field."""
    for authority_id in new.authority_ids:
        if reader.get(AUTHORITY, authority_id) is None:
            raise Invalid("certificate.authority_ids", f"there is no authority {authority_id}")
    for profile in set(new.profiles) - set(old.profiles if old else ()):
        profiles.effective(reader, profile, "certificate.profiles")
    for group in groups.unknown(reader, (one for one in new.groups if old is None or one not in old.groups)):
        raise Invalid(
            "certificate.groups",
            f"nobody is in group '{group}'. Put a certificate into it first (ostiary cert set ID --group '{group}'), or make a "
            f"grant that does (ostiary token create --group '{group}')",
        )


def warnings(rule: AccessRule, listener: Listener, others: Sequence[AccessRule], at: datetime) -> Iterator[str]:
    """What about a rule is probably not what was meant. `others` are those of its listener, in order."""
    if listener.client_authentication == "NONE":
        yield "The listener asks for no client certificate, so none of its rules is in force."
    if rule.not_after is not None and rule.not_after <= at:
        yield "Its time is over: it fits no request any more."
    for earlier in others:
        if earlier.id == rule.id or (earlier.position or 0) > (rule.position or 0):
            continue
        if not earlier.shadow and takes_all_of(earlier, rule):
            yield f"It never decides: '{earlier.name}' at position {earlier.position} fits all that it fits, and comes before it."
            return


def _check_window(rule: AccessRule, before: AccessRule | None, at: datetime) -> None:
    if before is not None and (before.not_before, before.not_after) == (rule.not_before, rule.not_after):
        return
    if rule.not_after is None:
        return
    if rule.not_before is not None and rule.not_after <= rule.not_before:
        raise Invalid("not_after", "it ends before it starts")
    if rule.not_after <= at:
        raise Invalid("not_after", "it is over already")


def refuse_too_many(others: Sequence[AccessRule]) -> None:
    """Raises `Conflict` where there is no room for another."""
    if len(others) >= RULES_PER_LISTENER:
        raise Conflict(
            f"the listener has {RULES_PER_LISTENER} rules, which is the most; one rule can be about many clients by their group.",
            "listener_id",
        )


def _refuse_twice(rule: AccessRule, others: Sequence[AccessRule]) -> None:
    for other in others:
        if _meaning(other) == _meaning(rule):
            raise Conflict(f"Rule '{other.name}' ({other.id}, position {other.position}) says the same already.")


def _meaning(rule: AccessRule) -> dict[str, Any]:
    """What a rule says, whatever the order in which it says it."""
    said = {name: getattr(rule, name) for name in _MEANING}
    said["certificate"] = {name: frozenset(values) for name, values in rule.certificate}
    return {name: frozenset(value) if isinstance(value, tuple) else value for name, value in said.items()}


def _number(transaction: Transaction, rules: Sequence[AccessRule | None]) -> None:
    """Give each rule the number of its place; None keeps a place free."""
    for position, rule in enumerate(rules, start=1):
        if rule is not None:
            transaction.replace(ACCESS_RULE, rule, rule.model_copy(update={"position": position}))


def counts(system: System, caller: Caller, listener_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """By listener, how many rules it has and how many exceptions in force; those are left out that have neither."""
    caller.must("access-rule:read")
    with system.store.read() as reader:
        return stored.counts(reader, listener_ids, system.clock())


@dataclass(frozen=True)
class Beside:
    """What is shown beside a rule: the listener's name, and what is probably not meant."""

    listener: str
    warnings: tuple[str, ...]


def beside(system: System, rules: Sequence[AccessRule]) -> dict[str, Beside]:
    """By id, for rules the caller has already been shown."""
    at = system.clock()
    with system.store.read() as reader:
        listeners = {one: reader.require(LISTENER, one) for one in {rule.listener_id for rule in rules}}
        others = {one: of_listener(reader, one) for one in listeners}
    return {
        rule.id: Beside(
            listeners[rule.listener_id].name, tuple(warnings(rule, listeners[rule.listener_id], others[rule.listener_id], at))
        )
        for rule in rules
    }
