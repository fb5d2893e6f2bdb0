"""What is dear to make and asked for often, kept in memory while it is."""

import threading
from collections import OrderedDict
from typing import Any


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
