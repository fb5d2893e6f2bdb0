"""The keeper: runs an Envoy, hands on to it what the control plane wants, answers for it, and stands in when nobody does."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from typing import Any, Final

import structlog

from ostiary import logs
from ostiary.clock import now
from ostiary.envoy.resources import Key, Snapshot
from ostiary.files import write_private
from ostiary.gateway import engine, numbers, report
from ostiary.gateway.access_log import AccessLog
from ostiary.gateway.admin import Admin, NoAnswer
from ostiary.gateway.denied import Denied
from ostiary.gateway.dialogue import Dialogue
from ostiary.gateway.ending import Ending
from ostiary.gateway.engine import Engine
from ostiary.gateway.feed import Feed
from ostiary.gateway.forwarding import Forwarding
from ostiary.gateway.journal import Journal
from ostiary.gateway.last_good import LastGood
from ostiary.gateway.ledger import Ledger
from ostiary.gateway.log_tail import LogTail
from ostiary.gateway.memory import Memory
from ostiary.gateway.record import Record
from ostiary.gateway.seen import Seen
from ostiary.gateway.stale import Alarms, Given, Staleness, is_alarm
from ostiary.gateway.streams import Streams
from ostiary.gateway.written import Written
from ostiary.ids import new_id
from ostiary.paths import Paths
from ostiary.xds import wire
from ostiary.xds.client import Call, Gone, calling, reporting, tell
from ostiary.xds.server import listening
from ostiary.xds.source import Source, StreamState
from ostiary.xds.stream import ENVOY, Request

_log = structlog.get_logger(source="keeper")

_RESTART_PAUSE: Final = (0.1, 10.0)  # seconds before Envoy is started again: at first, at most
_HEALTHY_AFTER: Final = 3.0
_RECONNECT_PAUSE: Final = (0.05, 1.0)
_INTRODUCTION: Final = 2.0
_TAIL_EVERY: Final = 0.2
_FEED_EVERY: Final = 0.1
_REPORT_EVERY: Final = 1.0
_NUMBERS_EVERY: Final = 5.0  # as often as Envoy adds up how long requests took
# To ask Envoy for what it counts costs its main thread 60 ms with 1,000 listeners, in which it hears of no change, such as who is
# revoked: so a fiftieth of the time at most is spent on that, as long as what is told does not get too old.
_SHARE: Final = 50
_OLDEST: Final = 10.0  # seconds
_RETRY_EVERY: Final = 0.25
_SAVE_LAZILY: Final = 0.25
_LOOK_EVERY: Final = 0.5
_FORWARD_EVERY: Final = 1.0
_SWITCH: Final = 0.001
_REHEARSED_OF_A_KIND: Final = 2_000


class Keeper:
    """One gateway's keeper. `run` returns once Envoy has been drained and stopped after `stop`."""

    def __init__(self, paths: Paths, drain_seconds: int, workers: int, memory_mib: int) -> None:
        self.stop = asyncio.Event()
        self._paths = paths
        self._drain_seconds = drain_seconds
        self._workers = workers
        self._memory_mib = memory_mib
        self._gateway_id = _gateway_id(paths)
        self._last_good = LastGood(paths.last_good, paths.gateway_key)
        self._ledger = Ledger(self._last_good.load())
        self._source = Source(self._heard_from_envoy, ENVOY)
        self._staleness = Staleness()
        self._given = Given({})
        self._tail = LogTail(paths.envoy_log)
        self._seen = Forwarding(wire.SEEN, Memory(paths.sightings, Seen))
        self._denied = Forwarding(wire.DENIED, Memory(paths.denials, Denied), a_round=1)  # a flood must not flood the database
        self._rehearsed = Forwarding(wire.REHEARSED, Memory(paths.rehearsals, _rehearsals), a_round=2)  # nor what is no flood
        self._record = Record(paths, self._gateway_id)
        self._journal = Journal(self._record.shelf, self._gateway_id, Written(paths.feed_written))
        self._streams = Streams()
        self._ending = Ending(self._streams, self._journal)
        self._access_log = AccessLog(self._journal, self._seen.told, self._denied.told, self._streams, self._rehearsed.told)
        self._feed = Feed(paths.feed, self._access_log.place, self._access_log.newest)
        self._saving = asyncio.Lock()
        self._dialogue: Dialogue | None = None
        self._following = False
        self._answers: asyncio.Queue[Request] = asyncio.Queue()
        self._reports: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=1)
        self._to_publish = asyncio.Event()  # the ledger changed: save it, then tell Envoy
        self._to_save = asyncio.Event()  # only what Envoy accepted changed: save it when there is time
        self._to_retry: set[Key] = set()
        self._envoy_speaks = asyncio.Event()
        self._to_report = asyncio.Event()
        self._engine: Engine | None = None
        self._restarts = 0
        self._leaving = False
        self._last_error: str | None = None

    async def run(self) -> None:
        """Keep Envoy until told to stop; then drain and stop it."""
        if self._ledger.whole:
            self._give(self._staleness.given(self._ledger.resources(), now()))
        await asyncio.to_thread(self._record.learn)
        await engine.retire(self._paths, self._drain_seconds)  # before anybody tells it anything
        async with listening(self._paths.keeper_socket, self._source), asyncio.TaskGroup() as group:
            keeping = group.create_task(self._keep_running())
            tasks = [
                group.create_task(one)
                for one in (
                    self._publish(),
                    self._save(),
                    self._try_again(),
                    self._watch_the_time(),
                    self._follow(),
                    self._measure(),
                    self._read_log(),
                    self._read_feed(),
                    self._write_down(),
                    self._keep_record(),
                    self._ending.watch(),
                )
            ]
            await self.stop.wait()
            _log.info("stopping", drain_seconds=self._drain_seconds)
            keeping.cancel()
            await asyncio.wait([keeping])
            await self._ending.attend(None)
            if (running := self._engine or engine.running(self._paths)) is not None:
                await engine.stop(running, self._paths, self._drain_seconds)
            self._leaving = True
            for task in tasks:
                task.cancel()
        while self._tail.read():
            pass
        if self._ledger.whole:
            await self._store()
        with contextlib.suppress(OSError):
            while self._take():
                pass
        self._access_log.second()
        self._journal.close()
        await asyncio.to_thread(self._record.stop)
        await self._seen.save()
        await self._denied.save()
        await self._rehearsed.save()
        self._feed.close()
        _log.info("stopped")

    # Envoy's process.

    async def _keep_running(self) -> None:
        pause, longest = _RESTART_PAUSE
        while True:
            try:
                self._engine, adopted = await engine.find_or_start(
                    self._paths, self._feed, self._gateway_id, self._drain_seconds, self._workers, self._memory_mib
                )
            except OSError as err:
                self._last_error = f"Envoy cannot be started: {err}"
                _log.error("Envoy cannot be started", reason=str(err), pause=longest)
                await asyncio.sleep(longest)
                continue
            _log.info("adopted Envoy" if adopted else "started Envoy", pid=self._engine.process.pid)
            self._to_report.set()
            await self._ending.attend(self._engine.process)
            since = time.monotonic()
            status = await self._engine.ended()
            self._engine = None
            await self._ending.attend(None)
            self._last_error = f"Envoy ended with status {status}" if status is not None else "Envoy ended"
            self._restarts += 1
            self._to_report.set()
            if time.monotonic() - since > _HEALTHY_AFTER:
                pause = _RESTART_PAUSE[0]
            _log.error("Envoy ended; starting it again", status=status, pause=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    async def _read_log(self) -> None:
        while True:
            if not self._tail.read():
                await asyncio.sleep(_TAIL_EVERY)
            else:
                await asyncio.sleep(0)

    async def _read_feed(self) -> None:
        """What Envoy tells of requests and connections, as it comes."""
        can_read = True
        while True:
            try:
                more = self._take()
            except OSError as err:
                if can_read:
                    _log.error("what Envoy tells of requests cannot be read; will try again", reason=str(err))
                can_read, more = False, False
            else:
                can_read = True
            await asyncio.sleep(0 if more else _FEED_EVERY)

    def _take(self) -> bool:
        """Some of what Envoy told; whether there was any."""
        before, chunk = self._feed.place, self._feed.read()
        if chunk.end == before:
            return False
        self._access_log.take(chunk)
        self._ending.heard()
        return True

    async def _write_down(self) -> None:
        """What Envoy tells of requests, on the disk each second; and who was seen or refused, while nobody can be told."""
        in_order = True
        while True:
            await asyncio.sleep(_FORWARD_EVERY)
            self._access_log.second()
            if not self._following or self._access_log.settled.number < self._feed.place.number:
                await self._seen.save_news()
                await self._denied.save_news()
                await self._rehearsed.save_news()
            try:
                await self._keep_feed()
            except OSError as err:
                if in_order:
                    _log.error("what Envoy told of requests cannot be put in order; will try again", reason=str(err))
                in_order = False
            else:
                in_order = True

    async def _keep_feed(self) -> None:
        """Give back what is taken in for good; let Envoy write on, but not for ever. Raises `OSError`."""
        self._feed.give_back(self._access_log.settled)
        if (pid := self._pid()) is None:
            return
        self._feed.allow(pid)
        if self._feed.turn_if_due():
            with contextlib.suppress(NoAnswer):
                await Admin(self._paths.admin_socket).reopen()

    async def _keep_record(self) -> None:
        """What is written down: on the disk for good, compressed, sent on; and what is said about that meanwhile."""
        while True:
            await asyncio.sleep(_FORWARD_EVERY)
            try:
                await asyncio.to_thread(self._record.learn)
                await asyncio.to_thread(self._record.upkeep)
            except Exception:  # noqa: BLE001 (whatever it is, Envoy has to go on)
                _log.exception("the access record cannot be kept in order; will try again")

    # Towards Envoy.

    def _heard_from_envoy(self, gateway_id: str, state: StreamState) -> None:
        if gateway_id != self._gateway_id or not state.connected:
            return
        before = set(self._ledger.refused)
        keys = self._ledger.note(self._staleness.meant(state), time.monotonic())
        self._envoy_speaks.set()
        self._to_save.set()
        if not keys.isdisjoint(before | self._ledger.refused.keys()):
            self._to_publish.set()  # what stands in for the refused changes
        if self._dialogue is not None:
            self._reply(self._dialogue.answer(keys))

    async def _publish(self) -> None:
        """Disk before Envoy: what Envoy was told is never unknown to the keeper that comes after us."""
        while True:
            await self._to_publish.wait()
            self._to_publish.clear()
            if self._ledger.whole:
                given = self._staleness.given(self._ledger.resources(), now())
                await self._store()
                self._give(given)
                retry, self._to_retry = self._to_retry, set()
                self._source.retry(retry)

    def _give(self, given: Given) -> None:
        self._given = given
        self._source.publish(Snapshot(resources=given.resources))

    async def _watch_the_time(self) -> None:
        """Revocation lists end by themselves: then Envoy is given what the listener's owner chose, and people are told."""
        alarms = Alarms()
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if self._given.look_again is not None and self._given.look_again <= now():
                self._to_publish.set()
            for words, stale in alarms.due(self._given.stale, now()):
                say = _log.error if is_alarm(words) else _log.info
                say(words, trust=stale.trust, **stale.told())

    async def _save(self) -> None:
        while True:
            await self._to_save.wait()
            await asyncio.sleep(_SAVE_LAZILY)
            self._to_save.clear()
            if self._ledger.whole:
                await self._store()

    async def _try_again(self) -> None:
        while True:
            await asyncio.sleep(_RETRY_EVERY)
            if due := self._ledger.try_again(time.monotonic()):
                self._to_retry |= due
                self._to_publish.set()

    # Towards the control plane.

    async def _follow(self) -> None:
        """Talk with the control plane, whenever there is one."""
        with contextlib.suppress(TimeoutError):
            # An Envoy that runs tells what it has before we speak for it.
            await asyncio.wait_for(self._envoy_speaks.wait(), _INTRODUCTION)
        pause, longest = _RECONNECT_PAUSE
        while True:
            try:
                async with calling(self._paths.control_socket) as channel:
                    await self._talk(channel)
            except* Gone:
                self._dialogue = None
            if self._leaving:
                # Cancelled in the very moment in which the control plane went: a TaskGroup before Python 3.13 forgets that.
                return
            if self._following:
                _log.warning("the control plane is gone; everything stays as it is")
                self._following = False
                pause = _RECONNECT_PAUSE[0]
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    async def _talk(self, channel: Any) -> None:
        call = Call(self._gateway_id, channel)
        dialogue = self._dialogue = Dialogue(self._ledger)
        self._answers = asyncio.Queue()
        self._reply(dialogue.begin())
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(call, dialogue))
            group.create_task(self._speak(call))
            group.create_task(reporting(channel, self._reports))
            group.create_task(self._forward(channel))
            group.create_task(self._tell_numbers(channel))
            group.create_task(self._ending.talk(self._gateway_id, channel))

    async def _forward(self, channel: Any) -> None:
        """Tell who was seen, who was refused and who would have been, each second."""
        while True:
            await asyncio.sleep(_FORWARD_EVERY)
            await self._seen.hand_over(channel, self._gateway_id, now().timestamp())
            await self._denied.hand_over(channel, self._gateway_id, now().timestamp())
            await self._rehearsed.hand_over(channel, self._gateway_id, now().timestamp())

    async def _tell_numbers(self, channel: Any) -> None:
        """Tell what is counted, for a monitoring system."""
        envoy, known = Admin(self._paths.admin_socket), numbers.Numbers()
        while True:
            pid, began = self._pid(), time.monotonic()
            with contextlib.suppress(NoAnswer):
                counted, whole, uptime = await numbers.measured(envoy)
                if pid is not None and pid == self._pid():  # else some of it may be another Envoy's
                    about = {
                        "whole": whole,
                        "keeper": {"pid": os.getpid(), "restarts": self._restarts, "streams_ended": dict(self._streams.cut)},
                    }
                    for message in known.news(pid, uptime, counted):
                        if not await tell(channel, wire.NUMBERS, self._gateway_id, {**message, **about}):
                            break
                        known.taken(message)
            await asyncio.sleep(_pause(_NUMBERS_EVERY, began))

    def _pid(self) -> int | None:
        return self._engine.process.pid if self._engine else None

    async def _listen(self, call: Call, dialogue: Dialogue) -> None:
        while True:
            send = await call.hear()
            if not self._following:
                _log.info("following the control plane")
                self._following = True
            self._reply(dialogue.hear(send))
            if dialogue.news:
                dialogue.news = False
                self._to_publish.set()

    async def _speak(self, call: Call) -> None:
        while True:
            await call.say(await self._answers.get())

    def _reply(self, requests: list[Request]) -> None:
        for request in requests:
            self._answers.put_nowait(request)

    async def _measure(self) -> None:
        envoy = Admin(self._paths.admin_socket)
        while True:
            began = time.monotonic()
            told = report.about(self._gateway_id, self._pid(), self._restarts, self._last_error)
            told |= report.stale(self._given.stale)
            told |= self._record.told()
            told |= report.streams(len(self._streams), self._streams.cut, self._ending.unable)
            with contextlib.suppress(NoAnswer):
                told |= await report.measured(envoy, self._engine.max_heap if self._engine else None)
                self._access_log.dropped(told["records_dropped"])
            if self._reports.full():
                self._reports.get_nowait()  # nobody took it; it is old news
            self._reports.put_nowait(told)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._to_report.wait(), _pause(_REPORT_EVERY, began))
            self._to_report.clear()

    async def _store(self) -> None:
        async with self._saving:
            wanted, good = dict(self._ledger.wanted), self._ledger.standing_in()
            try:
                await asyncio.to_thread(self._last_good.keep, wanted, good)
            except OSError as err:
                # A full disk must not keep a change, such as a client that is shut out, from being applied.
                _log.error("the last good configuration cannot be saved", reason=str(err))


async def run(paths: Paths, drain_seconds: int, workers: int, memory_mib: int) -> None:
    """Be the keeper until SIGTERM or SIGINT. Only for the holder of the lock."""
    engine.binary()  # so that a missing one is one clear line, not a loop
    sys.setswitchinterval(_SWITCH)  # threads that send the record on must not hold up what serves Envoy
    keeper = Keeper(paths, drain_seconds, workers, memory_mib)
    logs.always(gateway=_gateway_id(paths))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, keeper.stop.set)
    await keeper.run()


def _pause(usual: float, began: float) -> float:
    """How long to wait after something that began then, and that should not take up too much of Envoy's time."""
    return max(usual, min(_OLDEST, _SHARE * (time.monotonic() - began)))


def _gateway_id(paths: Paths) -> str:
    if not paths.gateway_id.exists():
        write_private(paths.gateway_id, new_id().encode())
    return paths.gateway_id.read_text().strip()


def _rehearsals(kept: bytes | None) -> Denied:
    """Everybody is in this book, those who would be let in too, so there is room for more."""
    return Denied(kept, of_a_kind=_REHEARSED_OF_A_KIND)
