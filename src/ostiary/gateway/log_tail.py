"""Log lines of another process, joined to ours. It writes them to a file; this reads it, and empties it when it has grown."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from ostiary.xds.wire import discreet

_log = structlog.get_logger(source="envoy")
_keeper_log = structlog.get_logger(source="keeper")

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


def from_keeper(line: bytes) -> None:
    """Write what a keeper wrote, which is in our own format already."""
    text = line.decode(errors="replace").rstrip()
    try:
        said = json.loads(text)
        level, words = _LEVELS[said.pop("level")], str(said.pop("event"))
        said.pop("time")
    except (ValueError, KeyError, TypeError, AttributeError):
        if text:
            _keeper_log.warning(text)  # a last cry, while crashing
        return
    _keeper_log.log(level, words, **said)


def from_envoy(line: bytes) -> None:
    """Write what Envoy wrote, at its level."""
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


class LogTail:
    """Reads from where the file ended when it was made: what a former reader may have read is not repeated."""

    def __init__(self, file: Path, pass_on: Callable[[bytes], None] = from_envoy) -> None:
        self._file = file
        self._pass_on = pass_on
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
            self._pass_on(line)
        if not data and self._position > LARGEST:
            # Its writer appends and goes on at the new end. Asking Envoy to open another file would do for its log lines, not for
            # what a crash prints; and a pipe would stop it once nobody reads.
            os.truncate(self._file, 0)
            self._position = 0
        return len(lines)
