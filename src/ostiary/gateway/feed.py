"""The files in which Envoy tells of requests and connections, as the keeper reads them: in order, and whole lines only.

`records` is a link to the one that Envoy appends to: `records-000012`. A new one is begun before an Envoy is started, so nothing
follows what one that was killed left half written. A file is written to no more once a later one is not empty. What was taken in
is given back to the file system while Envoy writes on (docs/decisions/0036-records-through-a-file.md).
"""

import ctypes
import errno
import os
import re
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from ostiary.envoy.records import FEED
from ostiary.gateway.place import Place

_log = structlog.get_logger(source="keeper")

_PRIVATE: Final = 0o600
_LINK: Final = Path(FEED).name
_NAME: Final = re.compile(rf"{_LINK}-(\d{{6,18}})")

# A turn: what the keeper reads of it takes it a few milliseconds, in which it hears nobody else.
_AT_ONCE: Final = 64 * 1024
# No line of Envoy's is as long: little is told of headers, and a certificate has 100 KiB at most, each octet of which is written
# as at most six.
_LONGEST: Final = 2 * 1024 * 1024
_GIVE_BACK: Final = 1024 * 1024  # at least so much at once
_BLOCK: Final = 64 * 1024  # a multiple of what file systems give back; parts of a block would only be zeroed
# A file that is longer is followed by another: ext4 has none beyond 16 TiB. Where nothing can be given back, much earlier.
_LARGEST: Final = 1 << 40
_LARGEST_KEPT: Final = 256 * 1024 * 1024
# So far may Envoy run ahead of its keeper. What it tells beyond is lost and counted: no keeper's absence may cost the disk.
_AHEAD: Final = 4 * 1024 * 1024 * 1024
_STEP: Final = 64 * 1024 * 1024


@dataclass(frozen=True)
class Chunk:
    """What was read: lines of one file, each with where it begins, and the place after them. `lost` is how many were none."""

    number: int
    lines: list[tuple[int, bytes]]
    end: Place
    lost: int = 0


class Feed:
    """One reader of one gateway's files. Not safe to use from several threads."""

    def __init__(self, folder: Path, place: Place, newest: int = 0) -> None:
        """Read from `place`; what was before it is nobody's concern any more. `newest` is the last file ever heard of."""
        self.place = place
        self._newest = newest
        self.can_give_back = True
        self._folder = folder
        self._link = str(folder / _LINK)
        self._name = ""  # of the file that is read
        self._handle: int | None = None
        self._number = -1
        self._given_back = Place()
        self._allowed = (0, 0)

    def begin(self) -> None:
        """Begin the next file: an Envoy that is started, or told to open its files anew, writes to it. Raises `OSError`."""
        number = max(*self._numbers(), self.place.number, self._newest) + 1
        path = self._path(number)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE))
        fresh = self._folder / f".{_LINK}.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(path.name)
        fresh.replace(self._folder / _LINK)

    def read(self) -> Chunk:
        """The next lines, some 64 KiB of them; none when there is nothing new. Raises `OSError`."""
        if self._is_at_its_end():
            return Chunk(self.place.number, [], self.place)
        later = [number for number in self._numbers() if number > self.place.number]
        # Asked before the file is read: once a later one has anything in it, this one grows no more.
        is_final = any(self._size(number) for number in later)
        if self._number != self.place.number and not self._open(self.place.number):
            if later:
                self.place = Place(later[0])
            return Chunk(self.place.number, [], self.place)
        assert self._handle is not None  # noqa: S101 (opened just now, or before)
        data, skipped = self._whole_lines(self._handle, self.place.offset)
        if data or skipped:
            return self._chunk(data, skipped)
        if not is_final:
            return Chunk(self.place.number, [], self.place)
        cut_off = bool(os.pread(self._handle, 1, self.place.offset))
        chunk = Chunk(self.place.number, [], Place(later[0]), lost=cut_off)
        self.place = chunk.end
        return chunk

    def turn_if_due(self) -> bool:
        """Begin the next file if this one is gone or too long; says whether Envoy has to be told to open its files anew.

        What it writes to this one meanwhile is read, too. Raises `OSError`.
        """
        most = _LARGEST if self.can_give_back else _LARGEST_KEPT
        if not self._is_gone() and self.place.offset <= most:
            return False
        if not (self._folder / _LINK).exists() or max(self._numbers()) <= self.place.number:
            self.begin()
        return True

    def give_back(self, before: Place) -> None:
        """Nobody needs what is before this place any more: remove it. Raises `OSError`."""
        for number in self._numbers():
            if number < before.number:
                self._path(number).unlink(missing_ok=True)
        begin = self._given_back.offset if self._given_back.number == before.number else 0
        end = before.offset // _BLOCK * _BLOCK
        if not self.can_give_back or end - begin < _GIVE_BACK or self._number != before.number or self._handle is None:
            return
        if not _punched(self._path(before.number), begin, end):
            self.can_give_back = False
            _log.error(
                "the file system cannot give back what was read of a file; what Envoy tells takes up to 256 MiB there",
                folder=str(self._folder),
            )
            return
        self._given_back = Place(before.number, end)

    def allow(self, pid: int) -> None:
        """Let this Envoy write so far beyond what was read, and no further. Raises `OSError`."""
        most = (self.place.offset // _STEP + 1) * _STEP + _AHEAD
        if (pid, most) != self._allowed:
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
            self._allowed = (pid, most)

    def close(self) -> None:
        """Let go of the file."""
        if self._handle is not None:
            os.close(self._handle)
        self._handle, self._number = None, -1

    def _chunk(self, data: bytes, skipped: int) -> Chunk:
        number, offset = self.place.number, self.place.offset + skipped
        lines = []
        for line in data.split(b"\n")[:-1]:
            if line:  # what is between records that end a line themselves
                lines.append((offset, line))
            offset += len(line) + 1
        self.place = Place(number, offset)
        return Chunk(number, lines, self.place, lost=bool(skipped))

    def _whole_lines(self, handle: int, offset: int) -> tuple[bytes, int]:
        """Whole lines from here, if there are any; or how long a line is that none of ours can be, and so is left out."""
        for most in (_AT_ONCE, _LONGEST):
            data = os.pread(handle, most, offset)
            end = data.rfind(b"\n") + 1
            if end or len(data) < most:
                return data[:end], 0
        position = offset + _LONGEST
        while data := os.pread(handle, _LONGEST, position):
            end = data.find(b"\n") + 1
            if end:
                return b"", position + end - offset
            position += len(data)
        return b"", 0  # not written to its end yet

    def _is_at_its_end(self) -> bool:
        """Whether there is nothing new: asked many times a second, and most often there is not."""
        if self._handle is None or self._number != self.place.number or os.fstat(self._handle).st_size > self.place.offset:
            return False
        try:
            return os.readlink(self._link) == self._name  # noqa: PTH115 (takes a fraction of the time)
        except OSError:
            return False

    def _is_gone(self) -> bool:
        """Whether somebody removed what Envoy writes to."""
        is_open = self._number == self.place.number
        return is_open and not ((self._folder / _LINK).exists() and self._path(self._number).exists())

    def _open(self, number: int) -> bool:
        self.close()
        try:
            self._handle = os.open(self._path(number), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        self._number, self._name = number, self._path(number).name
        return True

    def _numbers(self) -> list[int]:
        names = os.listdir(self._folder)  # noqa: PTH208 (asked for often: names are all that is needed)
        found = map(_NAME.fullmatch, names)
        return sorted(int(match[1]) for match in found if match)

    def _path(self, number: int) -> Path:
        return self._folder / f"{_LINK}-{number:06}"

    def _size(self, number: int) -> int:
        try:
            return self._path(number).stat().st_size
        except FileNotFoundError:
            return 0


# fallocate(2): FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE. Python has no name for it.
_HOLE: Final = 0x01 | 0x02
_LIBRARY: Final[Any] = ctypes.CDLL(None, use_errno=True)


def _punched(file: Path, begin: int, end: int) -> bool:
    """Give back these octets, which read as zeros from now on; False where the file system cannot. Raises `OSError`."""
    handle = os.open(file, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if _LIBRARY.fallocate64(handle, _HOLE, ctypes.c_int64(begin), ctypes.c_int64(end - begin)) == 0:
            return True
        number = ctypes.get_errno()
    finally:
        os.close(handle)
    if number in {errno.EOPNOTSUPP, errno.ENOSYS}:
        return False
    raise OSError(number, os.strerror(number), str(file))
