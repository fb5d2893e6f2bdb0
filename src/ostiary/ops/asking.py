"""A use case that may need another person's approval: stopped, what was asked for waits, exactly as it was asked.

Its arguments are kept as JSON, by their own types, so that it can be done later as it was meant (`ops.approvals`). Where they
hold what must not be kept, or where only whoever asked may have the answer, `repeats` says that they send it once more.
"""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, wraps
from types import GenericAlias
from typing import Annotated, Any, Final, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, Field, TypeAdapter

from ostiary.errors import Awaits, Conflict
from ostiary.ids import new_id
from ostiary.model.approval import WAITS, Approval
from ostiary.ops import apart, gate
from ostiary.ops.caller import Caller
from ostiary.ops.facts import record
from ostiary.ops.gate import Asked, Stopped
from ostiary.ops.system import System
from ostiary.store.kinds import APPROVAL
from ostiary.store.store import Facts

P = ParamSpec("P")
T = TypeVar("T")

PENDING_EACH: Final = 100  # that may wait of one person: what waits has to be looked at
_NOT_KEPT: Final = frozenset({"system", "caller", "once"})
_REASON_MAX: Final = 255


def asks(*, changes: type[BaseModel] | None = None, repeats: bool = False) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """For a use case `(system, caller, …)`: where it is stopped, raise `Awaits`, and keep what was asked for.

    `changes` is the model whose fields a parameter of that name holds.
    """

    def around(use_case: Callable[P, T]) -> Callable[P, T]:
        @wraps(use_case)
        def asked(*args: P.args, **kwargs: P.kwargs) -> T:
            # Read once: what is gone through here must be there still for whoever keeps it.
            given = tuple(tuple(one) if isinstance(one, Iterator | list) else one for one in args)
            named = {name: tuple(one) if isinstance(one, Iterator | list) else one for name, one in kwargs.items()}
            try:
                return use_case(*given, **named)  # type: ignore[arg-type]  # the same, but for iterators
            except Stopped as stopped:
                caller = _caller(given, named)
                if caller.clearance is not None:
                    raise
                kept = {} if repeats else written(asked, given, named)
                raise _waiting(_system(given, named), caller, name_of(asked), kept, stopped.asked, repeats) from None

        asked.changes_of = changes  # type: ignore[attr-defined]  # for `written` and `read`
        asked.repeats = repeats  # type: ignore[attr-defined]  # for whoever looks which do
        return asked

    return around


def name_of(use_case: Callable[..., Any]) -> str:
    """`listeners.update`: the module's own name, and the function's."""
    return f"{use_case.__module__.rpartition('.')[2]}.{use_case.__name__}"


def written(use_case: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call as JSON."""
    bound = inspect.signature(use_case).bind(*args, **kwargs).arguments
    kept = {}
    for name, value in bound.items():
        if name in _NOT_KEPT:
            continue
        if name == "changes":
            kept[name] = {field: _field(use_case, field).dump_python(each, mode="json") for field, each in value.items()}
        else:
            kept[name] = _type(use_case, name).dump_python(value, mode="json")
    return kept


def read(use_case: Callable[..., Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as the use case takes them."""
    found: dict[str, Any] = {}
    for name, value in kept.items():
        if name == "changes":
            found[name] = {
                field: None if each is None else _field(use_case, field).validate_json(json.dumps(each))
                for field, each in value.items()
            }
        else:
            found[name] = _type(use_case, name).validate_json(json.dumps(value))
    return found


@cache
def _type(use_case: Callable[..., Any], parameter: str) -> TypeAdapter[Any]:
    hint: Any = get_type_hints(use_case, include_extras=True)[parameter]
    if get_origin(hint) in {Iterable, Sequence}:
        hint = GenericAlias(tuple, (get_args(hint)[0], ...))
    return TypeAdapter(hint)


@cache
def _field(use_case: Callable[..., Any], name: str) -> TypeAdapter[Any]:
    """Values were checked where they came in; here they only change their form."""
    model: type[BaseModel] = use_case.changes_of  # type: ignore[attr-defined]  # `asks` put it there
    info = model.model_fields.get(name)
    if info is None:
        return TypeAdapter(Any)
    hint: Any = Annotated[info.annotation, Field(), *info.metadata]
    return TypeAdapter(hint | None)


def _waiting(system: System, caller: Caller, deed: str, kept: dict[str, Any], asked: Asked, repeats: bool) -> Awaits:  # noqa: FBT001
    """What waits now, or waited already when the same was asked before."""
    digest = hashlib.sha256(json.dumps([deed, kept, asked.fingerprint], sort_keys=True).encode()).hexdigest()

    def work(facts: Facts) -> Approval:
        known = gate.pending_of(facts, caller, asked, digest, facts.at)
        if known is not None:
            return known
        if len(facts.all(APPROVAL, requested_by=caller.name, status="PENDING")) >= PENDING_EACH:
            raise Conflict(f"{PENDING_EACH} things that {caller.name} asked for wait already; withdraw some.")
        made = Approval(
            id=new_id(),
            kinds=gate.kinds_of(asked),
            action=asked.action,
            deed=deed,
            arguments=kept,
            digest=digest,
            fingerprint=asked.fingerprint,
            base_revision=facts.next_revision - 1,
            repeats=repeats,
            reasons=asked.reasons,
            changes=asked.changes,
            more_changes=asked.more,
            requested_by=caller.name,
            requested_role=caller.role,
            source=caller.source[:_REASON_MAX],
            hands=tuple(sorted(apart.entrance(facts, caller, facts.at).by)),
            justification=caller.justification[:_REASON_MAX],
            expires_at=facts.at + WAITS,
        )
        return facts.insert(APPROVAL, made)

    approval = record(system, caller, "approval:ask", work)
    with system.store.read() as reader:
        is_alone = not apart.deciders(reader, approval, system.clock())
    return Awaits(approval.id, approval.model_dump(mode="json"), is_alone=is_alone)


def _system(args: Sequence[Any], kwargs: Mapping[str, Any]) -> System:
    found: System = kwargs["system"] if "system" in kwargs else args[0]
    return found


def _caller(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Caller:
    found: Caller = kwargs["caller"] if "caller" in kwargs else args[1]
    return found
