"""What gateways tell in numbered batches: read with caps, and put on record once, however often it is told."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from ostiary.errors import Invalid
from ostiary.model.denial import Refusals
from ostiary.ops.system import System
from ostiary.store import marks
from ostiary.store.store import Facts

T = TypeVar("T")

MOST: Final = 1000  # entries of a batch
_NO_SUCH_NUMBER: Final = 2**63


def number(told: Mapping[str, Any]) -> int:
    """A batch's number: it grows, and is the same when the batch is told again. Raises `Invalid`."""
    sequence = told.get("sequence")
    if not isinstance(sequence, int) or not 0 < sequence < _NO_SUCH_NUMBER:
        raise Invalid("sequence", "a number above 0 is needed")
    return sequence


def listed(told: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """The entries under a name, none where there is no such name. Raises `Invalid` for too many, or what is no `kind`."""
    given = told.get(name, kind())
    if not isinstance(given, kind) or len(given) > MOST:  # type: ignore[arg-type]  # a list or a dict
        raise Invalid(name, f"a {kind.__name__} of at most {MOST} entries is needed")
    return given


def refusals(entries: Iterable[Any], at: datetime) -> list[Refusals]:
    """What entries say, without those that make no sense. A gateway's clock may be ahead: nobody came later than now (`at`)."""
    found = []
    for entry in entries:
        with contextlib.suppress(ValidationError):
            one = Refusals.model_validate(entry, strict=False)
            found.append(one.model_copy(update={"first": min(one.first, at), "last": min(one.last, at)}))
    return found


def once(system: System, gateway_id: str, of: Any, sequence: int, work: Callable[[Facts], None]) -> None:
    """Do `work` and note the batch in one transaction; nothing where it is on record. `of` is one of `store.marks`."""

    def noted(facts: Facts) -> None:
        if sequence > marks.mark(facts, gateway_id, of):
            work(facts)
            marks.set_mark(facts, gateway_id, of, sequence)

    system.store.record(noted)
