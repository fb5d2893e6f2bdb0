"""The files of the access record: one that grows, those before it compressed, and none that is kept for longer than it should be.

A file has its number and the time it was begun in its name, for life: `access-000012-20261126T021740Z.jsonl`, later with `.gz`.
`access.jsonl` is a link to the one that grows. So nothing is renamed when the next is begun, and whoever reads on from where
they were (`gateway.reading`) finds it. A crash leaves at worst two forms of one file, or a link to the one before.
"""

import contextlib
import gzip
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import structlog

from ostiary.clock import now
from ostiary.gateway.place import Place
from ostiary.recording import Recording

_log = structlog.get_logger(source="keeper")

_PRIVATE: Final = 0o600
_NAME: Final = re.compile(r"access-(\d{6,12})-(\d{8}T\d{6}Z)\.jsonl(\.gz)?")
_TIME: Final = "%Y%m%dT%H%M%SZ"
_PART: Final = ".part"
_FAST: Final = 6  # of gzip: a tenth of the size; more takes longer for little


@dataclass(frozen=True, order=True)
class Volume:
    """One file of the record."""

    number: int
    begun: datetime
    path: Path

    @property
    def is_packed(self) -> bool:
        """Whether it is compressed: then it is whole, and nothing is added."""
        return self.path.suffix == ".gz"


def volumes(folder: Path) -> list[Volume]:
    """What there is, the oldest first. Of one that is there in both forms, the one that was written first."""
    found: dict[int, Volume] = {}
    for name in os.listdir(folder) if folder.exists() else ():  # noqa: PTH208 (asked for often: names are all that is needed)
        match = _NAME.fullmatch(name)
        if match is None:
            continue
        try:
            begun = datetime.strptime(match[2], _TIME).replace(tzinfo=UTC)
        except ValueError:
            continue
        volume = Volume(int(match[1]), begun, folder / name)
        known = found.get(volume.number)
        if known is None or known.is_packed:
            found[volume.number] = volume
    return sorted(found.values())


class Shelf:
    """Written by one thread (`append`, `turn_if_due`, `close`); `tidy` and `sync` are for another one."""

    def __init__(self, link: Path, rules: Recording | None = None, clock: Callable[[], datetime] = now) -> None:
        """`link` is the name by which people find the file that grows."""
        self.rules = rules or Recording()
        self.link = link
        self.folder = link.parent
        self._clock = clock
        self._handle: int | None = None
        self._size = 0
        self._current: Volume | None = None

    def ready(self, octets: int) -> Place:
        """Where so many octets would go if they were appended next. Raises `OSError`."""
        if self._handle is not None and self._size and self._size + octets > self.rules.largest:
            self._begin()
        self._opened()
        assert self._current is not None  # noqa: S101 (there is one now)
        return Place(self._current.number, self._size)

    def append(self, data: bytes) -> None:
        """Add whole lines. Raises `OSError` when the disk does not take them."""
        self.ready(len(data))
        handle = self._opened()
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        self._size += len(data)

    def reaches(self, place: Place) -> bool:
        """Whether what is before this place was written, of a file that may be complete, compressed or removed by now."""
        its = next((one for one in volumes(self.folder) if one.number >= place.number), None)
        if its is None:
            return False
        return its.number > place.number or its.is_packed or its.path.stat().st_size >= place.offset

    @property
    def growing(self) -> Path | None:
        """The file that grows, once anything was written."""
        current = self._current
        return None if current is None else current.path

    def turn_if_due(self) -> None:
        """Begin the next file if this one is as old as it may get, and holds anything. Raises `OSError`."""
        if self._handle is None and volumes(self.folder):
            self._opened()
        if self._current is not None and self._size and self._clock() - self._current.begun >= self.rules.max_age:
            self._begin()

    def sync(self) -> None:
        """On the disk when it returns."""
        handle = self._handle
        if handle is not None:
            with contextlib.suppress(OSError):  # closed meanwhile; the next one is synced in its time
                os.fdatasync(handle)

    def close(self) -> None:
        """Let go of the file."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def tidy(self, going: Callable[[Volume], None] = lambda _: None) -> None:
        """Compress what is no longer written to, and remove what is kept no longer, after `going` was told of it."""
        there = volumes(self.folder)
        for left in self.folder.glob(f"access-*.gz{_PART}"):
            left.unlink(missing_ok=True)  # by a keeper that died meanwhile
        ended = [(one, following.begun) for one, following in pairwise(there)]
        for place, (one, end) in enumerate(ended):
            if len(there) - place > self.rules.files or self._clock() - end > self.rules.keep:
                going(one)
                _log.info("removed a file of the access record, as it is kept no longer", file=one.path.name)
                self._remove(one)
            elif not one.is_packed:
                self._pack(one)

    def _remove(self, one: Volume) -> None:
        for name in (one.path.name.removesuffix(".gz"), f"{one.path.name.removesuffix('.gz')}.gz"):
            (self.folder / name).unlink(missing_ok=True)

    def _pack(self, one: Volume) -> None:
        packed = one.path.with_name(f"{one.path.name}.gz")
        draft = packed.with_name(packed.name + _PART)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
        with os.fdopen(handle, "wb") as file:
            with one.path.open("rb") as plain, gzip.GzipFile("", "wb", _FAST, file, mtime=0) as into:
                shutil.copyfileobj(plain, into, 1024 * 1024)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(packed)
        self._keep_names()  # before the other form goes, or a crash could lose both
        one.path.unlink()

    def _opened(self) -> int:
        """The file that grows: the last one, where it left off; or the first."""
        if self._handle is not None:
            return self._handle
        there = volumes(self.folder)
        last = there[-1] if there else None
        if last is None or last.is_packed or last.path.stat().st_size >= self.rules.largest:
            return self._begin()
        handle = os.open(last.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._use(last, handle)
        if self._size and not _ends_with_a_line(last.path):
            self._size += os.write(handle, b"\n")  # one was cut off: by a crash, or by a full disk
        return handle

    def _begin(self) -> int:
        """The next file. It is there before anything says so: a crash in between leaves an empty one, to go on with."""
        there = volumes(self.folder)
        at = self._clock()
        number = there[-1].number + 1 if there else 1
        path = self.folder / f"access-{number:06}-{at.astimezone(UTC).strftime(_TIME)}.jsonl"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, _PRIVATE)
        self._use(Volume(number, at, path), handle)
        self._keep_names()
        return handle

    def _use(self, volume: Volume, handle: int) -> None:
        self.close()
        self._handle, self._current = handle, volume
        self._size = os.fstat(handle).st_size
        if not self.link.is_symlink() and self.link.exists():
            # The one file of a version before this one: it is kept, and is nobody's to write into.
            self.link.replace(self.link.with_name(f"{self.link.name}.before"))
        fresh = self.link.with_name(f".{self.link.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(volume.path.name)
        fresh.replace(self.link)

    def _keep_names(self) -> None:
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"
