"""What the control plane does not know of yet, on the gateway's disk: who was seen, who was refused."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog

from ostiary.files import write_private
from ostiary.gateway.batches import Told

_log = structlog.get_logger(source="keeper")

_LARGEST: Final = 256 * 1024 * 1024


T = TypeVar("T", bound=Told)


class Memory(Generic[T]):
    """One file, whole or as it was before. A disk that does not take it is logged, and stops nothing."""

    def __init__(self, file: Path, made: Callable[[bytes | None], T]) -> None:
        self._file = file
        self._made = made
        self._saving = asyncio.Lock()

    def load(self) -> T:
        """What was kept, if there is anything."""
        try:
            if self._file.stat().st_size <= _LARGEST:
                return self._made(self._file.read_bytes())
            _log.error("what is kept for the control plane is too large, and left out", file=str(self._file))
        except FileNotFoundError:
            pass
        except OSError as err:
            _log.error(
                "what is kept for the control plane cannot be read and is left out; the access log has it",
                file=str(self._file),
                reason=str(err),
            )
        return self._made(None)

    async def save(self, told: T) -> None:
        """Keep this in place of what was kept."""
        async with self._saving:
            place, data = told.place, told.dump()
            try:
                await asyncio.to_thread(self._write, data)
                told.kept = place
            except OSError as err:
                told.news = True  # to be tried again
                _log.error("what is kept for the control plane cannot be saved", file=str(self._file), reason=str(err))

    def _write(self, data: bytes) -> None:
        fresh = self._file.with_name(self._file.name + ".new")
        fresh.unlink(missing_ok=True)  # left by a keeper that died while it wrote
        write_private(fresh, data)
        fresh.replace(self._file)
