"""How far what Envoy told is in the access record, so that a keeper that was killed goes on there: nothing twice, nothing lost.

The record's files hold nothing but the record. So before anything is appended it is noted where it will begin and how long it is:
whoever comes after knows by the file's length whether that came about.
"""

import json
import os
from pathlib import Path
from typing import Final

import structlog

from ostiary.gateway.place import Place
from ostiary.gateway.shelf import Shelf

_log = structlog.get_logger(source="keeper")

_PRIVATE: Final = 0o600
_ROOM: Final = 256  # octets, within one page: a note is there whole or not at all, however its writer dies


class Written:
    """The note beside one shelf."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._handle: int | None = None
        self._failed = False

    def place(self, shelf: Shelf) -> Place:
        """What was told before this place is in the record, or is on no disk any more."""
        try:
            said = json.loads(self._file.read_bytes())
            before, after, at = (Place(*map(int, said[name])) for name in ("before", "after", "at"))
            end = int(said["octets"]) + at.offset
        except FileNotFoundError:
            return Place()
        except (OSError, ValueError, KeyError, TypeError) as err:
            _log.error("how far the access record is cannot be read; what is still there is written again", reason=repr(err))
            return Place()
        return after if shelf.reaches(Place(at.number, end)) else before

    def note(self, before: Place, after: Place, at: Place, octets: int) -> None:
        """What was told from `before` to `after` is about to be appended there, and is so long."""
        places = {name: (one.number, one.offset) for name, one in (("before", before), ("after", after), ("at", at))}
        text = json.dumps({**places, "octets": octets}).ljust(_ROOM)
        try:
            if self._handle is None:
                self._handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _PRIVATE)
            os.pwrite(self._handle, text.encode(), 0)
        except OSError as err:
            if not self._failed:
                _log.error(
                    "how far the access record is cannot be noted; a keeper that is killed may write twice", reason=str(err)
                )
            self._failed = True
        else:
            self._failed = False

    def close(self) -> None:
        """Let go of the file."""
        if self._handle is not None:
            os.close(self._handle)
        self._handle = None
