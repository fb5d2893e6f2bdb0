"""Build the control plane and run it: the API, the console, the xDS server, the publisher, and all chores."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
import uvicorn
from starlette.types import ASGIApp

from ostiary import holding, home, logs, signers
from ostiary.api.app import create_app
from ostiary.api.identity import admin_token
from ostiary.api.patience import PatientOnce
from ostiary.asgi.doors import CONSOLE_KNOCK, KNOCK, AtTheDoor
from ostiary.clock import now
from ostiary.console.app import Console, beside
from ostiary.envoy.resources import Snapshot
from ostiary.errors import Refusal, Unavailable
from ostiary.gateway import client as keeper
from ostiary.gateway.known_lists import known_lists
from ostiary.gateway.log_tail import LogTail
from ostiary.ops import (
    denials,
    effects_kept,
    gateway_numbers,
    heads,
    house_doors,
    list_upkeep,
    people,
    recall,
    rehearsals,
    server_certificates,
    setup,
    sightings,
    sign_in_links,
    streams,
    traffic,
)
from ostiary.ops.anchor import Anchor
from ostiary.ops.caller import SYSTEM, Caller
from ostiary.ops.meters import Meters
from ostiary.ops.system import System
from ostiary.paths import Paths
from ostiary.pki.sealing import Sealer
from ostiary.publisher import Publisher
from ostiary.settings import Settings
from ostiary.store.store import Store
from ostiary.upkeep import Upkeep
from ostiary.xds.server import listening
from ostiary.xds.source import Source, StreamState
from ostiary.xds.stream import RELAY
from ostiary.xds.streams import Vigil

RENEWAL_ROUND_SECONDS: Final = 3600.0
KEEPER_ROUND_SECONDS: Final = 1.0
LOG_ROUND_SECONDS: Final = 0.25
EFFECTS_ROUND_SECONDS: Final = 1.0
COUNTING_ROUND_SECONDS: Final = 1.0
COUNTING_RETRY_SECONDS: Final = 15.0
STOP_SECONDS: Final = 5

log = structlog.get_logger(source="ostiary")


@asynccontextmanager
async def running(
    settings: Settings,
    store: Store,
    sealer: Sealer,
    token: str,
    sock: socket.socket,
    shown: setup.Setup,
    gateway_log: LogTail,
    keeper_there: Awaitable[object],
) -> AsyncIterator[tuple[System, tuple[asyncio.Future[None], ...]]]:
    """Everything started; leaving stops it, the gateway last so that requests are served to the end.

    `keeper_there` is done once one runs; from then on we look after it. Yields besides what ends (by raising) when a part fails
    that must not.
    """
    paths = Paths(settings.data_dir)
    waiting: list[Callable[[int], None]] = []  # for the next commit
    meters = Meters()
    exporter = _exporter(settings, meters)
    system = System(
        store,
        sealer,
        committed=partial(_tell, waiting),
        custody=home.custodians(settings),
        signers=signers.for_this_machine(),
        doors=house_doors.doors(settings, paths.api_socket, paths.console_socket),
        public_url=settings.public_url,
        admin_id=people.admin_id(token),
        setup=shown,
        meters=meters,
        traced=exporter.take if exporter is not None else None,
        keepsakes=partial(home.keepsakes, settings),
        anchor=Anchor(paths.audit_head),
    )
    source = Source(partial(_heard, system), RELAY, system.meters.answers)
    vigil = Vigil(partial(streams.to_end, system))
    publisher, upkeep = Publisher(system, partial(_publish, source, vigil)), Upkeep(system)
    waiting += [publisher.wake, upkeep.wake]
    await asyncio.to_thread(_recall, system, paths)
    await asyncio.to_thread(house_doors.prepare, system)
    console = Console(system, admin_token(token))
    api = create_app(system, token=token)
    app = beside(api, console)
    behind = {"enrolment": AtTheDoor(api, KNOCK), "console": AtTheDoor(app, CONSOLE_KNOCK)}
    servers = [(_server(app), sock)]
    servers += [(_server(behind[door.kind]), _listening_at(Path(door.socket))) for door in system.doors]
    parts = (
        publisher.run(),
        upkeep.run(),
        _chore("renew server certificates", _renew(system)),
        _chore("write down how soon changes are in force", _measure(system)),
        _chore("write down how much comes through", _count(system)),
        *(server.serve(sockets=[sock]) for server, sock in servers),
    )
    hearing = listening(
        paths.control_socket,
        source,
        partial(_told, system),
        partial(_saw, system),
        vigil,
        partial(_turned_away, system),
        partial(_rehearsed, system),
        partial(gateway_numbers.told, system),
    )
    async with hearing, _tasks(*parts) as failed:
        await keeper_there
        start = partial(
            keeper.ensure_running, settings.data_dir, workers=settings.workers, memory_mib=settings.gateway_memory_mib
        )
        async with _tasks(_keep_gateway(paths, start), _join(gateway_log)) as gateway_failed:
            yield system, (failed, gateway_failed)
        console.close()
        for server, _ in servers:
            server.should_exit = True
        system.signers.close()
        with contextlib.suppress(Unavailable):
            await asyncio.to_thread(partial(gateway_numbers.write, system, is_final=True))
        if exporter is not None:
            await asyncio.to_thread(exporter.close)
        if not settings.leave_gateway:
            await asyncio.to_thread(keeper.stop, settings.data_dir)
    await asyncio.to_thread(_sign_off, system)


def _exporter(settings: Settings, meters: Meters) -> Any:
    """Who takes spans; None where nobody wants any."""
    if settings.traces is None:
        return None
    from ostiary.spans import Exporter  # noqa: PLC0415 (an HTTP client, only for who has a collector)

    return Exporter(settings.traces, meters.spans_sent, meters.spans_dropped)


def _sign_off(system: System) -> None:
    """Sign where the record stands at the end, whenever the last head was signed."""
    try:
        heads.sign(system)
    except Refusal as refused:
        log.error("the head of the record could not be signed", problem=str(refused))  # noqa: TRY400 (the words say it all)


def _recall(system: System, paths: Paths) -> None:
    """Before a gateway is told anything: a database that came out of a backup must not take back what the gateway knows."""
    for one in recall.recall(system, SYSTEM, known_lists(paths)):
        log.error("the gateway has a newer revocation list than the database; it is on record again", **one.model_dump())
    if recall.is_behind(system):
        try:
            list_upkeep.sign_due(system)
        except Refusal as refusal:
            # No gateway gets an older list for it: the newest that is known is published, until its key is there again.
            log.error("not every revocation list could be signed anew after the restore", problem=str(refusal))  # noqa: TRY400


def sign_in(system: System, url: str) -> str:
    """A link to the console for whoever started us: they can read the admin token too."""
    starter = Caller(people.ADMIN, "admin", source="local", credential="start")
    return sign_in_links.url(system, sign_in_links.make(system, starter), url)


def _server(app: ASGIApp) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            app,
            http=PatientOnce,
            log_config=None,
            access_log=False,  # Paths may hold enrolment tokens.
            server_header=False,
            # Who calls is who connects. Else any program of this machine could have another address put on record.
            proxy_headers=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            h11_max_incomplete_event_size=65_536,
            lifespan="off",
        )
    )


def _listening_at(path: Path) -> socket.socket:
    """A Unix socket that only we, and so our gateway, can reach (the umask of `run`)."""
    path.unlink(missing_ok=True)  # Of one that ended before us: whoever lives holds the data directory, and that is us.
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    path.chmod(0o600)
    return sock


def _publish(source: Source, vigil: Vigil, snapshot: Snapshot) -> None:
    """New requests by the gateways' own rules, and those that go on by what these rules say now."""
    source.publish(snapshot)
    vigil.wake()


def _tell(waiting: Iterable[Callable[[int], None]], revision: int) -> None:
    """Something was committed."""
    for wake in waiting:
        wake(revision)


def _heard(system: System, gateway_id: str, state: StreamState) -> None:
    """A gateway connected, answered or went. What it had when it went is kept, for people to look at."""
    fleet, effects = system.fleet, system.effects
    if state.fresh:
        fleet.heard(gateway_id, now(), connected=True)
        effects.connected(gateway_id)
        return
    fleet.heard(gateway_id, now(), connected=state.connected, accepted=state.accepted, rejected=state.rejected)
    if state.connected:
        effects.accepted(gateway_id, state.accepted)
    else:
        effects.gone(gateway_id)


def _told(system: System, gateway_id: str, report: dict[str, Any]) -> None:
    """A keeper told how its Envoy is."""
    at = now()
    system.fleet.heard(gateway_id, at, report=report)
    system.counting.told(gateway_id, report, at)


def _saw(system: System, gateway_id: str, batch: dict[str, Any]) -> None:
    """A keeper told who was seen."""
    if left_out := sightings.seen(system, gateway_id, batch):
        log.warning("a gateway told things about who was seen that make no sense", gateway=gateway_id, entries=left_out)


def _turned_away(system: System, gateway_id: str, batch: dict[str, Any]) -> None:
    """A keeper told who was refused."""
    if left_out := denials.denied(system, gateway_id, batch):
        log.warning("a gateway told things about who was refused that make no sense", gateway=gateway_id, entries=left_out)


def _rehearsed(system: System, gateway_id: str, batch: dict[str, Any]) -> None:
    """A keeper told who would have been refused."""
    if left_out := rehearsals.rehearsed(system, gateway_id, batch):
        log.warning("a gateway told things about a rehearsal that make no sense", gateway=gateway_id, entries=left_out)


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: the composition root decides in which order things stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def _tasks(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Future[None]]:
    """Run these beside the block; cancelled when it ends. Yields what fails as soon as one of them does."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ended(task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not failed.done():
            failed.set_exception(error)

    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield failed
    finally:
        failed.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_gateway(paths: Paths, start: Callable[[], object]) -> None:
    """Start the keeper again should it die; Envoy itself it finds and adopts.

    Raises `Unavailable` once the data directory is no longer the one we hold: every keeper started then would be another one.
    """
    while True:
        await asyncio.sleep(KEEPER_ROUND_SECONDS)
        if await asyncio.to_thread(keeper.alive, paths.data_dir):
            continue
        if not holding.holds(paths.data_dir):
            raise Unavailable(f"{paths.data_dir} was removed or replaced while we ran on it; stopping.")
        log.warning("the keeper is gone; starting another")
        try:
            await asyncio.to_thread(start)
        except Unavailable as problem:
            log.error("the keeper does not start; will try again", problem=str(problem))  # noqa: TRY400 (the words say it all)


async def _join(gateway_log: LogTail) -> None:
    """Write the gateway's log lines, Envoy's among them, where ours go. They stay in its file too, for when we are not there."""
    while True:
        if not gateway_log.read():
            await asyncio.sleep(LOG_ROUND_SECONDS)


async def _chore(name: str, doing: Awaitable[None]) -> None:
    """What is done without anybody asking; each line says what that is."""
    with logs.about(chore=name):
        await doing


async def _renew(system: System) -> None:
    """Renew the server certificates that ostiary issued itself, long before they expire."""
    while True:
        try:
            renewed = await asyncio.to_thread(server_certificates.renew_due, system)
        except Exception:
            log.exception("renewing server certificates failed; will try again")
        else:
            if renewed:
                log.info("renewed server certificates", count=renewed)
        await asyncio.sleep(RENEWAL_ROUND_SECONDS)


async def _measure(system: System) -> None:
    """Write down how soon changes were in force, some of them together, so that measuring holds nothing up."""
    while True:
        await asyncio.sleep(EFFECTS_ROUND_SECONDS)
        try:
            await asyncio.to_thread(effects_kept.write, system)
        except Exception:
            log.exception("how soon changes were in force cannot be written down; will try again")


async def _count(system: System) -> None:
    """Write down how much came through, once a minute."""
    while True:
        await asyncio.sleep(COUNTING_ROUND_SECONDS)
        if not system.counting.is_due(now()):
            continue
        try:
            await asyncio.to_thread(traffic.write, system)
        except Exception:
            log.exception("how much came through cannot be written down; will try again")
            await asyncio.sleep(COUNTING_RETRY_SECONDS)
