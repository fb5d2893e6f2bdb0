"""What is dear to make and asked for often, kept in memory while it is."""

import operator
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Kept:
    """The things that were used last, by name. Safe from any thread."""

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._lock = threading.Lock()
        self._things: OrderedDict[str, Any] = OrderedDict()

    def __len__(self) -> int:
        return len(self._things)

    def __repr__(self) -> str:
        return f"<Kept {len(self)}>"  # among them are keys

    def get(self, name: str) -> Any:
        """The thing of this name, or None."""
        with self._lock:
            if name in self._things:
                self._things.move_to_end(name)
            return self._things.get(name)

    def keep(self, name: str, thing: Any) -> None:
        """Keep this one, and let go of the one that was not used for the longest time."""
        with self._lock:
            self._things[name] = thing
            self._things.move_to_end(name)
            while len(self._things) > self._at_most:
                self._things.popitem(last=False)

    def clear(self) -> None:
        """Let go of all."""
        with self._lock:
            self._things.clear()


class Remembered:
    """What was made of the very same things the last time. It holds what one look after the next asks for, and nothing else.

    To be told from what something is made, completely: time, where time decides. Not for several threads at once.
    """

    def __init__(self) -> None:
        self._before: dict[Hashable, tuple[tuple[Any, ...], Any]] = {}
        self._now: dict[Hashable, tuple[tuple[Any, ...], Any]] = {}

    def __repr__(self) -> str:
        return f"<Remembered {len(self._now) or len(self._before)}>"  # among them are keys

    def made(self, name: Hashable, of: tuple[Any, ...], make: Callable[[], T]) -> T:
        """What `make` makes `of` these: the same object as last time, while each of these is, or where what is made is equal."""
        known = self._now.get(name) or self._before.get(name)
        if known is None or not same(known[0], of):
            fresh = make()
            known = (of, known[1] if known is not None and known[1] == fresh else fresh)
        self._now[name] = known
        value: T = known[1]
        return value

    def steady(self, name: Hashable, value: T) -> T:
        """This value; the same object as last time where it is equal."""
        known = self._now.get(name) or self._before.get(name)
        if known is None or known[1] != value:
            known = ((), value)
        self._now[name] = known
        same: T = known[1]
        return same

    def last(self, name: Hashable) -> tuple[tuple[Any, ...], Any] | None:
        """Of what it was made, and what that was."""
        return self._now.get(name) or self._before.get(name)

    def done(self) -> None:
        """The look is over: what it did not ask for is forgotten. A look that failed is never over, so nothing is lost by it."""
        self._before, self._now = self._now, {}


class Row:
    """What was made of each in a row of things. As long as all `beside` them is the same, only others than before are looked at.

    What each is made of has to be told completely: itself, what is beside, what `made` is told. Not for several threads at once.
    """

    def __init__(self) -> None:
        self._made = Remembered()
        self._of: Sequence[Any] = ()
        self._found: list[Any] = []
        self._beside: tuple[Any, ...] | None = None
        self.was_whole = True  # whether the last time all were looked at

    def all(self, of: Sequence[Any], beside: tuple[Any, ...], make: Callable[[Any], Any], *, whole: bool = False) -> list[Any]:
        """What `make` makes of each, in order. `whole`: look at all, whatever is beside."""
        self.was_whole = whole or self._beside is None or not same(beside, self._beside)
        if not self.was_whole:
            before = self._of[: len(of)]
            found = self._found[: len(of)] + [None] * (len(of) - len(before))
            others = [place for place, (was, one) in enumerate(zip(before, of, strict=False)) if was is not one]
            for place in (*others, *range(len(before), len(of))):
                found[place] = make(of[place])
        else:
            found = [make(one) for one in of]
            self._made.done()
        self._of, self._found, self._beside = of, found, beside
        return found

    def made(self, name: Hashable, of: tuple[Any, ...], make: Callable[[], T]) -> T:
        """See `Remembered.made`; for whoever makes one of a row."""
        return self._made.made(name, of, make)

    def last(self, name: Hashable) -> tuple[tuple[Any, ...], Any] | None:
        """See `Remembered.last`."""
        return self._made.last(name)


def same(these: Sequence[Any], those: Sequence[Any]) -> bool:
    """Whether they are the very same objects."""
    return len(these) == len(those) and all(map(operator.is_, these, those))
