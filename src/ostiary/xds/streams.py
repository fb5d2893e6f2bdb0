"""The long streams that gateways tell of: judged when they open, after each publication, and now and then because time passes.

A request is decided by Envoy, at its beginning. One that goes on for long has to be decided again, and its gateway ends it when
it may not go on (`gateway.ending`).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import structlog

_log = structlog.get_logger(source="xds")

Streams = Mapping[int, Mapping[str, Any]]
Judge = Callable[[Streams], dict[int, str]]
"""Which of these may not go on, and why. Called in another thread."""

_AGAIN: Final = 1.0  # seconds: a rule's time may be over, or a certificate's
_SHARE: Final = 20  # of the time, at most this part is spent on judging again because time has passed
_MOST: Final = 100_000


class Vigil:
    """Everybody's streams. To be used from its event loop only, but for the judge."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._watches: set[Watch] = set()

    def wake(self) -> None:
        """Something was published: judge all anew."""
        for watch in self._watches:
            watch.again()

    @contextmanager
    def watching(self, gateway_id: str) -> Iterator["Watch"]:
        """Keep an eye on the streams of a gateway for as long as it tells of them."""
        watch = Watch(gateway_id, self._judge)
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)


class Watch:
    """One gateway's streams, as it told them."""

    def __init__(self, gateway_id: str, judge: Judge) -> None:
        self._gateway_id = gateway_id
        self._judge = judge
        self._open: dict[int, Mapping[str, Any]] = {}
        self._unjudged: set[int] = set()
        self._wanted = asyncio.Event()

    def hear(self, news: Mapping[str, Any]) -> None:
        """Take what opened and what ended."""
        for number in news.get("ended", ()):
            self._open.pop(int(number), None)
        for one in news.get("opened", ()):
            if len(self._open) >= _MOST:
                _log.error("a gateway tells of too many long streams; the rest are not judged", gateway=self._gateway_id)
                break
            number = int(one["id"])
            self._open[number] = one
            self._unjudged.add(number)
        self._wanted.set()

    def again(self) -> None:
        """Judge all of them anew."""
        self._unjudged |= self._open.keys()
        self._wanted.set()

    async def ends(self) -> AsyncIterator[dict[int, str]]:
        """Which are to end, and why, whenever there are any; those that the gateway goes on telling of, again and again."""
        pause = _AGAIN
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
            except TimeoutError:
                self.again()
            self._wanted.clear()
            which = {number: self._open[number] for number in self._unjudged if number in self._open}
            self._unjudged.clear()
            if which:
                began = time.monotonic()
                why = await asyncio.to_thread(self._judge, which)
                pause = max(_AGAIN, (time.monotonic() - began) * _SHARE)
                if why:
                    yield why
