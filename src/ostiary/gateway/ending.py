"""Long streams of clients that lost their permission are ended: by the control plane's word, or because a certificate expired.

The book is `gateway.streams`, the hand `gateway.cut`; here is who looks, asks, and acts.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import structlog

from ostiary.clock import now
from ostiary.gateway import cut
from ostiary.gateway.cut import Ends
from ostiary.gateway.journal import Journal
from ostiary.gateway.pids import Process
from ostiary.gateway.streams import Stream, Streams
from ostiary.xds.client import Gone, Vigil

_log = structlog.get_logger(source="keeper")

T = TypeVar("T")

_LOOK_EVERY: Final = 1.0
_SWEEP_EVERY: Final = 60  # looks


class Ending:
    """To be used from the keeper's event loop only."""

    def __init__(self, streams: Streams, journal: Journal) -> None:
        self.unable: str | None = None  # why no stream can be ended
        self._streams = streams
        self._journal = journal
        self._envoy: Process | None = None
        self._news = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    async def attend(self, envoy: Process | None) -> None:
        """This is the Envoy now; or there is none."""
        self._envoy = envoy
        if envoy is None:
            return
        self.unable = await asyncio.to_thread(cut.unable, envoy)
        if self.unable is not None:
            _log.warning(
                "long streams of clients that lose their permission cannot be ended; "
                "they last as long as their listener lets any last",
                reason=self.unable,
            )

    def heard(self) -> None:
        """Envoy told of requests."""
        if self._streams.changed:
            self._news.set()

    async def talk(self, gateway_id: str, channel: Any) -> None:
        """Tell the control plane of long streams, and end those it says, until it is gone (`Gone`)."""
        vigil = Vigil(gateway_id, channel)
        self._streams.tell_all_again()
        try:
            await vigil.say({})
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tell(vigil))
                group.create_task(self._obey(vigil))
        except* Gone:
            if await vigil.is_understood():
                raise  # Else it is an older control plane: the rest of the conversation goes on.
        finally:
            vigil.hang_up()

    async def watch(self) -> None:
        """End what is past its certificate's time, also while no control plane answers; forget what ended unheard."""
        while True:
            for _ in range(_SWEEP_EVERY):
                await asyncio.sleep(_LOOK_EVERY)
                await self._locate(self._streams.unlocated())  # soon, so that nobody who comes back is taken for who was there
                if why := self._streams.expired(now().timestamp()):
                    await self._end(why)
            await self._locate(self._streams.connections())

    async def _tell(self, vigil: Vigil) -> None:
        while True:
            self._news.clear()
            self._streams.changed = False
            await self._locate(self._streams.unlocated())
            for news in self._streams.news():
                await vigil.say(news)
            await self._news.wait()

    async def _obey(self, vigil: Vigil) -> None:
        while True:
            await self._end(await vigil.hear())

    async def _locate(self, wanted: set[Ends]) -> None:
        if wanted and self.unable is None:
            async with self._envoys() as envoy:
                found = await _tried(lambda: cut.numbers(envoy, wanted)) if envoy else None
            if found is not None:
                self._streams.located(wanted, found)

    async def _end(self, why: dict[int, str]) -> None:
        async with self._envoys() as envoy:
            which = self._streams.sockets(why)
            done = await _tried(lambda: cut.cut(envoy, which)) if envoy and which else None
        if done is None:
            return
        ended = self._streams.ended_by_us(why, done)
        self._streams.located(which.keys() - done, {})  # they have ended by themselves
        self.heard()
        for stream, reason in ended:
            self._journal.add(_entry(stream, reason))
        if ended:
            _log.info("ended long streams", count=len(ended), reasons=sorted({reason for _, reason in ended}))

    @asynccontextmanager
    async def _envoys(self) -> AsyncIterator[Process | None]:
        """Envoy's process, by a handle that stays good while a thread uses it; None when there is none."""
        async with self._one_at_a_time:
            if self._envoy is None:
                yield None
                return
            mine = Process(self._envoy.pid, os.dup(self._envoy.handle))
            try:
                yield mine
            finally:
                mine.close()


async def _tried(work: Callable[[], T]) -> T | None:
    try:
        return await asyncio.to_thread(work)
    except OSError as err:
        _log.error("Envoy's sockets cannot be reached; will try again", reason=str(err))
        return None


def _entry(stream: Stream, reason: str) -> dict[str, Any]:
    at = now().isoformat(timespec="milliseconds")
    return {"at": at, "kind": "cut", "listener": stream.listener_id, "refused": reason, **stream.record}
