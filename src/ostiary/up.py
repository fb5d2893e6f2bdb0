"""`ostiary up`: what must hold before anything is served, then the keeper, and while it starts, all that serves."""

import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from getpass import getpass
from typing import Any, cast

import structlog

from ostiary import hardening, heaps, holding, home, loading, logs, room
from ostiary.errors import Conflict, Unavailable
from ostiary.files import replace_private
from ostiary.gateway import client as keeper
from ostiary.gateway import exports
from ostiary.gateway.log_tail import LogTail, from_keeper
from ostiary.ops import setup
from ostiary.paths import Paths
from ostiary.settings import Settings

log = structlog.get_logger(source="ostiary")
Ready = Callable[["Running"], Awaitable[None]]
Keeper = Awaitable[keeper.Adopted | keeper.Started]


@dataclass(frozen=True)
class Running:
    """A control plane that answers. `sign_in` opens the console, once."""

    settings: Settings
    url: str
    token: str
    sign_in: str

    def __repr__(self) -> str:
        return f"Running({self.url})"


async def _say_ready(running: Running) -> None:
    log.info("ready", api=running.url, token_file=str(running.settings.token_file))
    with contextlib.suppress(OSError):  # nobody reads it
        # Not into the log, which is kept: whoever opens it is the administrator.
        print(f"Console: {running.sign_in}\n  (works once, for 15 minutes; another one: ostiary console)", flush=True)  # noqa: T201 (what is asked for)


def run(settings: Settings, ready: Ready = _say_ready, log_level: str = "info", log_form: logs.Form | None = None) -> None:
    """Run until interrupted or terminated; then drain, stop the gateway too (unless it is to be left), and return.

    Raises `Conflict` when another ostiary runs on this data directory or has the API's port, `Invalid` for more memory than
    there is.
    """
    for target in settings.recording.exports:
        exports.check(target)
    room.check(settings.gateway_memory_mib)
    hardening.keep_memory_off_disk()
    heaps.few()
    heaps.look_for_garbage_seldom()
    logs.configure(log_level, log_form)
    os.umask(0o077)  # whatever we write is ours alone
    with holding.held(settings.data_dir):
        passphrase = home.passphrase(settings, getpass if sys.stdin.isatty() else None)  # before signals are ours: Ctrl-C ends it
        asyncio.run(_serve(settings, ready, passphrase))


async def _serve(settings: Settings, ready: Ready, passphrase: bytes | None) -> None:
    store = await asyncio.to_thread(home.open_store, settings)
    sealer = await asyncio.to_thread(home.open_sealer, settings, store, passphrase)
    token = home.token(settings.token_file)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        with _bound(settings) as sock:
            url = _url(sock)
            if not ipaddress.ip_address(sock.getsockname()[0]).is_loopback:
                log.warning("the API speaks plain HTTP: others on the network can read the token; put TLS before it", api=url)
            shown = setup.of(settings, passphrase=passphrase is not None)
            async with AsyncExitStack() as undoing:
                gateway_log = LogTail(Paths(settings.data_dir).keeper_log, from_keeper)
                keeper_there = _keeper(settings)
                undoing.push_async_callback(_take_back, settings, keeper_there)
                with loading.many_modules():
                    from ostiary.serve import running, sign_in  # noqa: PLC0415 (as long as a keeper takes to start)
                async with running(settings, store, sealer, token, sock, shown, gateway_log, keeper_there) as (system, failures):
                    undoing.pop_all()  # from here on the gateway serves on, however we end
                    await ready(Running(settings, url, token, await asyncio.to_thread(sign_in, system, url)))
                    await _either(stop, failures)
            log.info("stopped")
    finally:
        store.close()


def _keeper(settings: Settings) -> Keeper:
    """A keeper, which starts beside us unless one runs already. What can be refused is refused before this."""
    _leave_word(settings, Paths(settings.data_dir))
    start = partial(keeper.ensure_running, settings.data_dir, workers=settings.workers, memory_mib=settings.gateway_memory_mib)
    return asyncio.get_running_loop().run_in_executor(None, start)


async def _take_back(settings: Settings, keeper_there: Keeper) -> None:
    """We did not get as far as to serve: end the keeper, if it was started for that."""
    with contextlib.suppress(Unavailable):
        if isinstance(await keeper_there, keeper.Started):
            await asyncio.to_thread(keeper.stop, settings.data_dir)


def _leave_word(settings: Settings, paths: Paths) -> None:
    """For the keeper, which may be running already: how the access record is kept, and where it is sent to."""
    for target in settings.recording.exports:
        if not target.tls and not _is_near(target.host):
            log.warning("the access record is sent without TLS: others on the network can read and change it", target=target.name)
    paths.prepare()
    replace_private(paths.recording, settings.recording.dump())


def _is_near(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _either(stop: asyncio.Event, failures: Iterable[asyncio.Future[None]]) -> None:
    """Wait until told to stop, or raise what failed."""
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait(cast("list[asyncio.Future[Any]]", [stopped, *failures]), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
    for failed in failures:
        if failed.done():
            failed.result()


@contextmanager
def _bound(settings: Settings) -> Iterator[socket.socket]:
    """The API's socket. Raises `Conflict` when the port is taken."""
    host, port = settings.address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only then, and without it each answer waits 40 ms.
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as error:
            raise Conflict(f"--listen: cannot listen on {settings.listen}: {error.strerror}; choose another address.") from error
        yield sock


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
