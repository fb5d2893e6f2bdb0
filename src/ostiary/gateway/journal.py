"""The access log on the gateway's disk: JSON objects, one a line, in files that take up so much room and no more.

What comes faster than so many lines a second is summed up, line by line of what is alike, and never left out without a word.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog

_log = structlog.get_logger(source="keeper")

Entry = Mapping[str, Any]

_PRIVATE: Final = 0o600
# What is alike: entries that agree in these are one line when there are too many.
_ALIKE: Final = ("kind", "listener", "refused", "status", "details", "failure", "fingerprint", "subject", "client")
# When there is too much of what is not alike, too: who it was goes, what happened stays.
_ROUGHLY: Final = ("kind", "listener", "refused", "status", "details", "failure")


class Journal:
    """Not safe to use from several threads; `add` keeps in memory, `write` writes."""

    def __init__(
        self, file: Path, *, largest: int = 32 * 1024 * 1024, older: int = 4, a_second: int = 500, groups: int = 1000
    ) -> None:
        """`largest` octets in a file, and `older` files beside it; `a_second` lines of what was refused, as many of the rest.

        What is more becomes at most `groups` sums of what is alike, and coarser ones.
        """
        self._file = file
        self._largest = largest
        self._older = older
        self._a_second = a_second
        self._most_groups = groups
        self._handle: int | None = None
        self._size = 0
        self._left = {True: a_second, False: a_second}
        self._lines: list[str] = []
        self._groups: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._unwritten = 0

    def add(self, entry: Entry) -> None:
        """Take an entry, with its time as `at`; `refused` says why when the client was turned away."""
        is_refusal = "refused" in entry
        if self._left[is_refusal]:
            self._left[is_refusal] -= 1
            self._lines.append(_line(entry))
        else:
            self._sum_up(entry)

    def second(self) -> None:
        """A second has passed: write what was summed up, and take lines one by one again."""
        self._lines += map(_line, self._groups.values())
        self._groups.clear()
        self._left = {True: self._a_second, False: self._a_second}
        self.write()

    def write(self) -> None:
        """Write what there is. What the disk does not take is counted, and said once it does."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        if self._unwritten:
            lines.insert(0, _line({"kind": "lost", "why": "the disk did not take it", "lines": self._unwritten}))
        try:
            self._write("".join(lines).encode())
        except OSError as err:
            if not self._unwritten:
                _log.error("the access log cannot be written", file=str(self._file), reason=str(err))
            self._unwritten += len(lines) - bool(self._unwritten)
            self.close()
        else:
            self._unwritten = 0

    def sync(self) -> None:
        """On the disk when it returns. For another thread than the one that writes."""
        handle = self._handle
        if handle is not None:
            with contextlib.suppress(OSError):  # closed meanwhile; the next one is synced in its time
                os.fdatasync(handle)

    def close(self) -> None:
        """Let go of the file."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def _sum_up(self, entry: Entry) -> None:
        key = tuple(entry.get(name) for name in _ALIKE)
        if key not in self._groups and len(self._groups) >= self._most_groups:
            key = tuple(entry.get(name) for name in _ROUGHLY)
            names: Iterable[str] = _ROUGHLY
        else:
            names = _ALIKE
        group = self._groups.get(key)
        if group is None:
            self._groups[key] = {
                "at": entry["at"],
                "until": entry["at"],
                "count": 1,
                **{name: entry[name] for name in names if name in entry},
            }
        else:
            group["until"] = entry["at"]
            group["count"] += 1

    def _write(self, data: bytes) -> None:
        if self._handle is not None and self._size + len(data) > self._largest:
            self._turn_over()
        handle = self._handle = self._open() if self._handle is None else self._handle
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        self._size += len(data)

    def _open(self) -> int:
        handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _PRIVATE)
        self._size = os.fstat(handle).st_size
        if self._size and not self._ends_with_a_line():
            self._size += os.write(handle, b"\n")  # one was cut off: by a crash, or by a full disk
        return handle

    def _ends_with_a_line(self) -> bool:
        with self._file.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"

    def _turn_over(self) -> None:
        self.close()
        for number in range(self._older, 0, -1):
            younger = self._numbered(number - 1)
            if younger.exists():
                younger.replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return self._file.with_name(f"{self._file.name}.{number}") if number else self._file


def _line(entry: Entry) -> str:
    # ASCII only: what clients write into their names must not steer a terminal.
    return json.dumps(entry, separators=(",", ":")) + "\n"
