"""Read on in the access record from a place, over the ends of its files, while others write, compress and remove them."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

from ostiary.gateway.place import Place
from ostiary.gateway.shelf import Volume, volumes

_LONGEST_LINE: Final = 4 * 1024 * 1024  # octets: what is longer was not written by us
_MOST_OCTETS: Final = 512 * 1024
_MOST_FILES: Final = 1000  # that are gone through at once for a line

DAMAGED: Final = (gzip.BadGzipFile, EOFError, zlib.error)
"""What reading a compressed file raises that is not what was written."""


@dataclass(frozen=True)
class Line:
    """One line, without its end, and where it begins."""

    place: Place
    text: bytes


class Reader:
    """For one thread. Keeps the file open that it reads: one that is removed meanwhile can be read to its end."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.place = place  # after what was read last
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._number = -1

    def read(self, most: int) -> list[Line]:
        """The next lines, at most so many; none when there is nothing new. Raises `OSError`, and `DAMAGED` for such a file."""
        for _ in range(_MOST_FILES):
            there = volumes(self._folder)  # asked before the file is read: when a later one is there, this one grows no more
            volume = _to_read(there, self.place)
            if volume is None:
                return []
            if volume.number != self.place.number:
                self.place = Place(volume.number)
            try:
                lines = self._lines(volume, most)
            except FileNotFoundError:
                continue  # compressed or removed meanwhile
            if lines or volume is there[-1]:
                return lines
            self.place = Place(volume.number + 1)  # what is left is no whole line: cut off by a crash
        return []

    def go_to(self, place: Place) -> None:
        """Read on from there."""
        self.place = place
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
        self._file, self._number = None, -1

    def _lines(self, volume: Volume, most: int) -> list[Line]:
        file, found, octets = self._opened(volume), list[Line](), 0
        while len(found) < most and octets < _MOST_OCTETS:
            try:
                text = file.readline(_LONGEST_LINE)
            except DAMAGED:
                if found:
                    break  # what comes before the damage, first
                raise
            if not text.endswith(b"\n"):
                file.seek(self.place.offset)  # not written to its end yet
                break
            found.append(Line(self.place, text[:-1]))
            self.place = Place(self.place.number, self.place.offset + len(text))
            octets += len(text)
        return found

    def _opened(self, volume: Volume) -> IO[bytes]:
        if self._file is None or self._number != volume.number:
            self.close()
            self._file, self._number = _open(volume), volume.number
            self._file.seek(self.place.offset)
        return self._file


def end(folder: Path) -> Place:
    """After all that there is."""
    there = volumes(folder)
    if not there:
        return Place()
    last = there[-1]
    return Place(last.number + 1) if last.is_packed else Place(last.number, last.path.stat().st_size)


def rest(volume: Volume, place: Place) -> int:
    """How many lines of a file come after this place."""
    if place.number > volume.number:
        return 0
    with _open(volume) as file:
        file.seek(place.offset if place.number == volume.number else 0)
        return sum(1 for _ in file)


def _open(volume: Volume) -> IO[bytes]:
    if volume.is_packed:
        return cast("IO[bytes]", gzip.open(volume.path))
    return volume.path.open("rb")


def _to_read(there: list[Volume], place: Place) -> Volume | None:
    """The file of this place, or the next there is; or the first, when somebody removed them all and they are counted anew."""
    later = next((one for one in there if one.number >= place.number), None)
    if later is not None or not there or place.number == there[-1].number + 1:
        return later
    return there[0]
