"""Who asked for what their role does not allow: on record under their name, bounded however often they try."""

import threading
from typing import TYPE_CHECKING, Final

from ostiary.errors import Denied
from ostiary.ops.caller import Caller
from ostiary.ops.record import note
from ostiary.ops.tally import Tally

if TYPE_CHECKING:
    from ostiary.ops.system import System

_CALLERS: Final = 1000
_OTHERS: Final = ("others", "")
_STRANGERS: Final = frozenset({"public", "enrolling", "holder"})  # who they are is not known, or is no role of a person


class RefusedCalls:
    """What is not on record yet, by who asked. Safe from any thread; bounded, whatever comes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by: dict[tuple[str, str], Tally] = {}

    def note(self, caller: Caller, refused: Denied) -> None:
        """This one was refused that."""
        if caller.role in _STRANGERS or refused.action is None:
            return
        with self._lock:
            key = (caller.name, caller.role)
            tally = self._by.setdefault(key if key in self._by or len(self._by) < _CALLERS else _OTHERS, Tally())
        tally.note(refused.action, caller.source)

    def tallies(self) -> tuple[tuple[tuple[str, str], Tally], ...]:
        """All of them: name and role, and what they were refused."""
        with self._lock:
            return tuple(self._by.items())


def tell(system: "System") -> int:
    """Put on record who was refused what, each at most once a minute. Returns how many entries that made."""
    count = 0
    for (name, role), tally in system.refused_calls.tallies():
        if (told := tally.due(system.clock())) is not None:
            note(system.store, Caller(name, role), "caller:refuse", "caller", "", told)
            count += 1
    return count
