"""After each commit: read what is desired, translate it, and hand it to every gateway. Full rebuild, level-triggered.

Each round comes to what a publisher that starts now would come to; what it remembers of the round before only spares it to make
the same of the same (docs/decisions/0029-what-has-not-changed.md). So a missed wake-up costs at most `POLL_SECONDS`, and a change
that another control plane committed to the same database is found the same way.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from time import perf_counter
from typing import Final

import structlog

from ostiary import tracing
from ostiary.clock import now
from ostiary.envoy import snapshot as translation
from ostiary.envoy.resources import Snapshot, Versions
from ostiary.errors import Refusal
from ostiary.model.desired import Desired
from ostiary.model.roster import Roster
from ostiary.ops import house_doors
from ostiary.ops.system import System
from ostiary.store import desired
from ostiary.store.effects import Mark
from ostiary.store.lists import ListBook
from ostiary.store.roster import RosterBook

POLL_SECONDS: Final = 1.0
log = structlog.get_logger(source="publisher")


class Publisher:
    """Keeps the gateways at the newest revision. `wake` may be called from any thread of the loop's process."""

    def __init__(self, system: System, publish: Callable[[Snapshot], None]) -> None:
        self._system = system
        self._publish = publish
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._published = (-1, -1)  # revision and status sequence
        self._read = (-1, -1)  # likewise, of what was read last
        self._built = now(), now()  # from when to when it was translated
        self._memory, self._translations = desired.Memory(), translation.Memory()
        self._members = RosterBook()
        self._lists = ListBook()
        self._roster: Roster | None = None  # as it was published
        self._good_until: datetime | None = None  # when what was published is another by itself
        self._out = Snapshot()
        self._problem = ""

    def wake(self, _revision: int = 0) -> None:
        """Something was committed."""
        self._loop.call_soon_threadsafe(self._changed.set)

    async def run(self) -> None:
        """Publish now and after each change, until cancelled."""
        while True:
            self._changed.clear()
            await self._round()
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _round(self) -> None:
        try:
            wanted = await asyncio.to_thread(self._translated)
        except Refusal as refusal:
            # What was last published stays in force: gateways keep their last good configuration.
            if str(refusal) != self._problem:
                self._problem = str(refusal)
                log.error(  # noqa: TRY400 (the words say it all)
                    "the configuration cannot be translated; gateways keep the last one",
                    revision=self._read[0],
                    status=self._read[1],
                    problem=self._problem,
                )
            return
        if wanted is None:
            return
        self._problem = ""
        newest, configuration, translated = wanted
        began = now()
        versions, others = Versions(translated.resources), translated.changed(self._out.resources)
        with self._system.meters.publish_seconds.timed():
            self._system.fleet.want(configuration, translated)
            self._system.effects.published(*newest, versions, others)
            self._publish(translated)
        self._trace(Mark(*self._published), Mark(*newest), began)
        self._published, self._out, self._roster = newest, translated, configuration.roster
        log.info("published", revision=newest[0], status=newest[1], resources=len(translated.resources))

    def _trace(self, before: Mark, upto: Mark, began: datetime) -> None:
        """Each trace in which something was committed that is out now shows how it came to be."""
        take, during, about = self._system.traced, (began, now()), {"ostiary.revision": upto.revision}
        if take is not None:
            for place in self._system.effects.places_within(before, upto):
                tracing.told(take, "build the configuration", place, self._built, about)
                tracing.told(take, "publish it to the gateways", place, during, about)

    def _translated(self) -> tuple[tuple[int, int], Desired, Snapshot] | None:
        """What is newest, by revision and status sequence, in both forms; None when it is out already."""
        with self._system.store.read() as reader:
            newest, moment = (reader.revision(), reader.status_sequence()), self._system.clock()
            self._read = newest
            self._memory.lend(reader)
            roster = self._members.look(reader, moment)
            ended = self._good_until is not None and moment >= self._good_until
            if newest == self._published and roster is self._roster and not ended and not self._lists.is_due(moment):
                return None
            self._lists.begin(moment)
            began, at = perf_counter(), now()
            wanted = desired.desired(reader, self._system.sealer, moment, roster, self._lists, self._memory)
            wanted = wanted.model_copy(update={"doors": house_doors.desired(reader, self._system, self._lists)})
        translated = translation.snapshot(wanted, self._translations)
        self._system.meters.build_seconds.add(perf_counter() - began)
        self._built, self._good_until = (at, now()), wanted.good_until
        return newest, wanted, translated
