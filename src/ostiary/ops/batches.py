"""What gateways tell in numbered batches: read with caps, and put on record once, however often it is told."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from ostiary.errors import Invalid
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


def once(system: System, gateway_id: str, of: Any, sequence: int, work: Callable[[Facts], None]) -> None:
    """Do `work` and note the batch in one transaction; nothing where it is on record. `of` is one of `store.marks`."""

    def noted(facts: Facts) -> None:
        if sequence > marks.mark(facts, gateway_id, of):
            work(facts)
            marks.set_mark(facts, gateway_id, of, sequence)

    system.store.record(noted)
