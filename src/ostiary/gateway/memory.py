"""Who was seen and the control plane does not know of yet, on the gateway's disk."""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from ostiary.files import write_private
from ostiary.gateway.seen import Seen

_log = structlog.get_logger(source="keeper")

_LARGEST: Final = 256 * 1024 * 1024


class Memory:
    """One file, whole or as it was before. A disk that does not take it is logged, and stops nothing."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._saving = asyncio.Lock()

    def load(self) -> Seen:
        """What was kept, if there is anything."""
        try:
            if self._file.stat().st_size <= _LARGEST:
                return Seen(self._file.read_bytes())
            _log.error("what is kept of who was seen is too large, and left out", file=str(self._file))
        except FileNotFoundError:
            pass
        except OSError as err:
            _log.error("who was seen before cannot be read and is left out; the access log has it", reason=str(err))
        return Seen()

    async def save(self, seen: Seen) -> None:
        """Keep this in place of what was kept."""
        async with self._saving:
            data = seen.dump()
            try:
                await asyncio.to_thread(self._write, data)
            except OSError as err:
                _log.error("who was seen cannot be saved", reason=str(err))

    def _write(self, data: bytes) -> None:
        fresh = self._file.with_name(self._file.name + ".new")
        fresh.unlink(missing_ok=True)  # left by a keeper that died while it wrote
        write_private(fresh, data)
        fresh.replace(self._file)
