"""Envoy's log lines, joined to ours. Envoy writes them to a file; this reads it, and empties it when it has grown."""

import json
import logging
import os
from pathlib import Path
from typing import Final

import structlog

from ostiary.xds.wire import discreet

_log = structlog.get_logger("envoy")

LARGEST: Final = 16 * 1024 * 1024
_AT_ONCE: Final = 1024 * 1024
_LEVELS: Final = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


class LogTail:
    """Reads from where the file ended when it was made: what a former keeper may have read is not repeated."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._position = file.stat().st_size if file.exists() else 0
        self._rest = b""

    def read(self) -> int:
        """Pass on the lines that are new; returns how many."""
        try:
            with self._file.open("rb") as log:
                if log.seek(0, os.SEEK_END) < self._position:
                    self._position = 0  # somebody else has emptied it
                log.seek(self._position)
                data = log.read(_AT_ONCE)
        except FileNotFoundError:
            return 0
        self._position += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            _pass_on(line)
        if not data and self._position > LARGEST:
            # Envoy appends, so it goes on at the new end. Asking it to open another file would do for its log lines, not for what
            # a crash prints; and a pipe would stop Envoy once no keeper reads it.
            os.truncate(self._file, 0)
            self._position = 0
        return len(lines)


def _pass_on(line: bytes) -> None:
    text = line.decode(errors="replace").rstrip()
    try:
        said = json.loads(text)
        level, part, words = _LEVELS[said["level"]], str(said["part"]), str(said["text"])
    except (ValueError, KeyError, TypeError):
        if text:
            _log.warning(text)  # not in our format: printed by a library, or while crashing
        return
    if words.startswith("  "):
        level = logging.DEBUG  # one of the hundred lines that list what was compiled in
    _log.log(level, discreet(words), part=part)
