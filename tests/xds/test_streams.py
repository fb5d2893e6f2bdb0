"""Long streams are judged when they are told, and again after each publication; who may not go on is named until it has ended."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from ostiary.xds.client import Vigil as Teller
from ostiary.xds.client import calling
from ostiary.xds.server import listening
from ostiary.xds.source import Source
from ostiary.xds.streams import Vigil
from support.wait import PATIENCE

Scenario = Callable[[Teller, Vigil, set[str]], Awaitable[None]]


def watched(socket: Path, scenario: Scenario) -> list[Mapping[int, Mapping[str, Any]]]:
    """Run it with a gateway that is connected; who is in the set may not go on. Returns what was judged."""
    judged: list[Mapping[int, Mapping[str, Any]]] = []

    async def run() -> None:
        unwelcome: set[str] = set()

        def judge(streams: Mapping[int, Mapping[str, Any]]) -> dict[int, str]:
            judged.append(streams)
            return {number: "revoked" for number, one in streams.items() if one["fingerprint"] in unwelcome}

        vigil = Vigil(judge)
        source = Source(lambda _gateway, _state: None)
        async with listening(socket, source, vigil=vigil), calling(socket) as channel, asyncio.timeout(PATIENCE):
            teller = Teller("gateway", channel)
            await teller.say({})
            await scenario(teller, vigil, unwelcome)
            teller.hang_up()

    asyncio.run(run())
    return judged


def opened(*streams: tuple[int, str]) -> dict[str, Any]:
    return {"opened": [{"id": number, "fingerprint": fingerprint} for number, fingerprint in streams], "ended": []}


def test_one_that_may_not_go_on_is_named_as_soon_as_it_is_told(tmp_path: Path) -> None:
    async def scenario(teller: Teller, _vigil: Vigil, unwelcome: set[str]) -> None:
        unwelcome.add("alice")
        await teller.say(opened((1, "alice"), (2, "bob")))
        assert await teller.hear() == {1: "revoked"}

    watched(tmp_path / "s", scenario)


def test_what_is_published_is_asked_of_all_that_are_open(tmp_path: Path) -> None:
    async def scenario(teller: Teller, vigil: Vigil, unwelcome: set[str]) -> None:
        unwelcome.add("carol")
        await teller.say(opened((1, "alice"), (2, "bob"), (3, "carol")))
        assert await teller.hear() == {3: "revoked"}
        await teller.say({"opened": [], "ended": [3]})
        unwelcome.add("bob")
        vigil.wake()
        named = await teller.hear()
        while 2 not in named:  # carol may be named once more before her end is heard of
            named = await teller.hear()
        assert 1 not in named

    watched(tmp_path / "s", scenario)


def test_one_that_goes_on_nevertheless_is_named_again(tmp_path: Path) -> None:
    async def scenario(teller: Teller, _vigil: Vigil, unwelcome: set[str]) -> None:
        unwelcome.add("alice")
        await teller.say(opened((1, "alice")))
        assert [await teller.hear() for _ in range(2)] == [{1: "revoked"}] * 2

    watched(tmp_path / "s", scenario)


def test_one_that_has_ended_is_judged_no_more(tmp_path: Path) -> None:
    async def scenario(teller: Teller, vigil: Vigil, unwelcome: set[str]) -> None:
        unwelcome.add("bob")
        await teller.say(opened((1, "alice")))
        await teller.say({"opened": [], "ended": [1]})
        await teller.say(opened((2, "bob")))
        assert await teller.hear() == {2: "revoked"}
        unwelcome.add("alice")
        vigil.wake()
        assert await teller.hear() == {2: "revoked"}

    watched(tmp_path / "s", scenario)
