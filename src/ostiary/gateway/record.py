"""The access record as the keeper has it: its files, where it is sent on to, and what was said about both."""

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog

from ostiary import recording
from ostiary.clock import now
from ostiary.errors import Invalid
from ostiary.gateway.exports import PAUSE, Exports
from ostiary.gateway.shelf import Shelf
from ostiary.paths import Paths
from ostiary.recording import Recording

_log = structlog.get_logger(source="keeper")

_TIDY_EVERY: Final = 60.0


class Record:
    """`learn`, `upkeep` and `stop` are for one thread at a time, beside the one that writes to the shelf."""

    def __init__(
        self, paths: Paths, gateway_id: str, *, pause: tuple[float, float] = PAUSE, clock: Callable[[], datetime] = now
    ) -> None:
        self._file = paths.recording
        self._read: tuple[int, int, int] | None = None  # which state of the file
        self._error: str | None = None
        self._tidied: tuple[Path | None, float] = (None, float("-inf"))
        self.shelf = Shelf(paths.access_log, clock=clock)
        self.exports = Exports(paths.logs, paths.exports, gateway_id, pause=pause)

    def learn(self) -> None:
        """Read what was said, if that is new. What cannot be read changes nothing, and is said."""
        try:
            found = self._file.stat()
            state = (found.st_mtime_ns, found.st_ino, found.st_size)
            if state == self._read:
                return
            self._read = state
            said = recording.load(self._file.read_bytes())
        except FileNotFoundError:
            return  # nobody said anything yet, or somebody removed it: neither is a word to end what goes on
        except (OSError, Invalid) as err:
            self._error = f"how to keep the access record cannot be read: {err}"
            _log.error("how to keep the access record cannot be read; it is kept as before", reason=str(err))
            return
        self._error = None
        self._obey(said)

    def upkeep(self) -> None:
        """On the disk, in order, and known how far it was sent."""
        self.shelf.sync()
        self.exports.save()
        current, at = self.shelf.growing, time.monotonic()
        if current == self._tidied[0] and at - self._tidied[1] < _TIDY_EVERY:
            return
        self._tidied = (current, at)
        try:
            self.shelf.tidy(self.exports.forgo)
        except OSError as err:
            _log.error("older files of the access record cannot be put in order; will try again", reason=str(err))

    def told(self) -> dict[str, Any]:
        """What the control plane is told."""
        return {"exports": self.exports.told(), "recording_error": self._error}

    def stop(self) -> None:
        """Send what there is, and end."""
        self.exports.stop()

    def _obey(self, said: Recording) -> None:
        self.shelf.rules = said
        self.exports.apply(said.exports)
        _log.info(
            "the access record is kept",
            largest=said.largest,
            max_age=str(said.max_age),
            keep=str(said.keep),
            files=said.files,
            exports=[one.name for one in said.exports],
        )
