"""The gRPC edge: who may speak, what is not offered, and that a newer connection takes the place of an older one."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from ostiary.envoy.resources import LISTENER, Resource, Snapshot
from ostiary.errors import Conflict
from ostiary.xds import wire
from ostiary.xds.client import Call, Gone, calling, reporting
from ostiary.xds.server import listening
from ostiary.xds.source import Source, StreamState
from ostiary.xds.stream import Request
from support.wait import PATIENCE, PAUSE

DOOR = Resource(LISTENER, "listener/a", "1", b"door")


def serving(socket: Path, scenario: Callable[[Source, Any, list[StreamState]], Awaitable[None]]) -> None:
    async def run() -> None:
        states: list[StreamState] = []
        source = Source(lambda _, state: states.append(state))
        async with listening(socket, source), calling(socket) as channel:
            await scenario(source, channel, states)

    asyncio.run(run())


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not check():  # noqa: ASYNC110 (what is waited for happens elsewhere, and tells nobody)
            await asyncio.sleep(PAUSE)


def test_what_is_published_arrives_and_the_answer_is_told(tmp_path: Path) -> None:
    async def scenario(source: Source, channel: Any, states: list[StreamState]) -> None:
        source.publish(Snapshot(1, {DOOR.key: DOOR}))
        call = Call("gateway", channel)
        await call.say(Request(LISTENER))
        send = await call.hear()
        assert send.resources == (DOOR,)
        await call.say(Request(LISTENER, nonce=send.nonce, error="no"))
        await until(lambda: bool(states and states[-1].rejected))
        assert states[0].fresh
        assert states[-1].rejected == {DOOR.key: ("1", "no")}
        call.hang_up()
        await until(lambda: not states[-1].connected)

    serving(tmp_path / "s", scenario)


def test_a_newer_connection_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    async def scenario(_: Source, channel: Any, states: list[StreamState]) -> None:
        older, newer = Call("gateway", channel), Call("gateway", channel)
        await older.say(Request(LISTENER))
        await until(lambda: bool(states))
        await newer.say(Request(LISTENER))
        with pytest.raises(Gone):
            await older.hear()
        assert all(state.connected for state in states)

    serving(tmp_path / "s", scenario)


def test_whoever_does_not_say_who_they_are_is_refused(tmp_path: Path) -> None:
    async def scenario(_: Source, channel: Any, states: list[StreamState]) -> None:
        nobody = Call("", channel)
        await nobody.say(Request(LISTENER))
        with pytest.raises(Gone, match=r"node\.id"):
            await nobody.hear()
        with pytest.raises(Gone):
            await asyncio.wait_for(_report_until_refused(channel), 30)
        assert states == []

    serving(tmp_path / "s", scenario)


async def _report_until_refused(channel: Any) -> None:
    reports: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    sending = asyncio.ensure_future(reporting(channel, reports))
    while not sending.done():
        reports.put_nowait({"pid": 1})
        await asyncio.sleep(0.01)
    await sending


def test_state_of_the_world_is_not_offered(tmp_path: Path) -> None:
    async def scenario(_: Source, channel: Any, __: list[StreamState]) -> None:
        call = channel.stream_stream(f"/{wire.ADS}/StreamAggregatedResources")()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED

    serving(tmp_path / "s", scenario)


def test_a_socket_left_behind_is_replaced_and_anything_else_is_not(tmp_path: Path) -> None:
    async def nothing(_: Source, __: Any, ___: list[StreamState]) -> None:
        assert socket.stat().st_mode & 0o777 == 0o600

    socket = tmp_path / "s"
    serving(socket, nothing)
    serving(socket, nothing)
    other = tmp_path / "file"
    other.write_text("mine")
    with pytest.raises(Conflict, match="in the way"):
        serving(other, nothing)
    assert other.read_text() == "mine"


def test_what_is_dumped_is_loaded() -> None:
    assert wire.load(wire.dump([DOOR])) == (DOOR,)


def test_a_report_keeps_its_shape() -> None:
    report = {
        "gateway": "a",
        "members": {"pool/a": {"10.0.0.1:80": "healthy"}},
        "pid": 7.0,
        "last_error": None,
        "list": [1.0, True],
    }
    assert wire.read_report(wire.write_report(report)) == report
