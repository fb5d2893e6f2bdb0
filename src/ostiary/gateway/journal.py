"""The access record: one JSON object a line (`gateway.terms`), in the files that `gateway.shelf` keeps.

What comes faster than so many lines a second is summed up, line by line of what is alike, and never left out without a word.
"""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

import structlog

from ostiary.clock import now
from ostiary.gateway import terms
from ostiary.gateway.place import Place
from ostiary.gateway.shelf import Shelf
from ostiary.gateway.terms import Entry
from ostiary.gateway.written import Written

_log = structlog.get_logger(source="keeper")

# What is alike: entries that agree in these are one line when there are too many.
_ALIKE: Final = ("kind", "listener", "refused", "rule", "status", "details", "failure", "fingerprint", "subject", "client")
# When there is too much of what is not alike, too: who it was goes, what happened stays.
_ROUGHLY: Final = ("kind", "listener", "refused", "rule", "status", "details", "failure")


class Journal:
    """Not safe to use from several threads; `add` keeps in memory, `write` writes."""

    def __init__(
        self,
        shelf: Shelf,
        gateway_id: str,
        written: Written,
        *,
        a_second: int = 500,
        groups: int = 1000,
        room: int = 1024 * 1024,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """`a_second` lines of what was refused, as many of the rest; and of each no more than `room` octets.

        More becomes at most `groups` sums, and coarser ones. Clients choose how long their names are, not how far back this goes.
        """
        self.place = written.place(shelf)  # what Envoy told before it (`gateway.feed`) was added
        self._noted = self.place
        self._written = written
        self._shelf = shelf
        self._gateway_id = gateway_id
        self._a_second = a_second
        self._most_groups = groups
        self._clock = clock
        self._room = room
        self._begin_second()
        self._lines: list[str] = []
        self._groups: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._unwritten = 0
        self._cannot_turn = False

    def add(self, entry: Entry) -> None:
        """Take an entry, with its time as `at`; `refused` says why when the client was turned away."""
        is_refusal = "refused" in entry
        if self._left[is_refusal] and self._octets[is_refusal] > 0:
            line = self._line(entry)
            self._left[is_refusal] -= 1
            self._octets[is_refusal] -= len(line)
            self._lines.append(line)
        else:
            self._sum_up(entry)

    def reached(self, place: Place) -> None:
        """All that Envoy told before this place was added, or need not be."""
        self.place = place

    @property
    def settled(self) -> Place:
        """What Envoy told before this place is written."""
        return self._noted if self._lines or self._groups else self.place

    def second(self) -> None:
        """A second has passed: write what was summed up, and take lines one by one again; begin another file when it is time."""
        self._lines += map(self._line, self._groups.values())
        self._groups.clear()
        self._begin_second()
        self._write()
        try:
            self._shelf.turn_if_due()
        except OSError as err:
            if not self._cannot_turn:
                _log.error("the next file of the access record cannot be begun; will try again", reason=str(err))
            self._cannot_turn = True
        else:
            self._cannot_turn = False

    def write(self) -> None:
        """Write what there is; if some of it is summed up, then at the end of the second, together."""
        if not self._groups:
            self._write()

    def _write(self) -> None:
        """What the disk does not take is counted, and said once it does."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        if self._unwritten:
            at = self._clock().isoformat(timespec="milliseconds")
            lost = {"at": at, "kind": "lost", "why": "the disk did not take it", "lost": self._unwritten}
            lines.insert(0, self._line(lost))
        data = "".join(lines).encode()
        try:
            where = self._shelf.ready(len(data))
            self._written.note(self._noted, self.place, where, len(data))
            self._shelf.append(data)
        except OSError as err:
            if not self._unwritten:
                _log.error("the access record cannot be written", file=str(self._shelf.link), reason=str(err))
            self._unwritten += len(lines) - bool(self._unwritten)
            self.close()
        else:
            self._unwritten = 0
        self._noted = self.place

    def close(self) -> None:
        """Let go of the file."""
        self._shelf.close()
        self._written.close()

    def _begin_second(self) -> None:
        self._left = {True: self._a_second, False: self._a_second}
        self._octets = {True: self._room, False: self._room}

    def _sum_up(self, entry: Entry) -> None:
        key = _agreeing(entry, _ALIKE)
        names: Iterable[str] = _ALIKE
        if key not in self._groups and len(self._groups) >= self._most_groups:
            key, names = _agreeing(entry, _ROUGHLY), _ROUGHLY
        group = self._groups.get(key)
        if group is None:
            told = zip(names, key, strict=True)
            self._groups[key] = {
                "at": entry["at"],
                "until": entry["at"],
                "count": 1,
                **{name: value for name, value in told if value is not None},
            }
        else:
            group["until"] = entry["at"]
            group["count"] += 1

    def _line(self, entry: Entry) -> str:
        # ASCII only: what clients write into their names must not steer a terminal.
        return json.dumps(terms.told(entry, self._gateway_id), separators=(",", ":")) + "\n"


def _agreeing(entry: Entry, names: Iterable[str]) -> tuple[Any, ...]:
    # Cut, as what is written is: there are many sums, and names may be long.
    return tuple(value[: terms.LONGEST] if isinstance(value := entry.get(name), str) else value for name in names)
