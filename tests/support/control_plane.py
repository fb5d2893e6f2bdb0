"""A small control plane in this process: it publishes what a test hands it and notes what gateways answer and report."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ostiary.envoy.resources import Key, Resource, Snapshot
from ostiary.xds.server import listening
from ostiary.xds.source import Source, StreamState
from ostiary.xds.stream import RELAY, Rejection, Send


@dataclass
class ControlPlane:
    """Runs on an event loop of its own thread. `sent` counts the messages that carried something, since this one started."""

    socket: Path
    states: dict[str, StreamState] = field(default_factory=dict)
    reports: list[dict[str, Any]] = field(default_factory=list)
    sent: list[Send] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._started: Future[None] = Future()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="control plane")
        self._source = Source(self._note, RELAY)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.result(30)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Hang up on every gateway."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(30)

    def publish(self, *resources: Resource) -> None:
        """Make this what every gateway should have."""
        self._call(lambda: self._source.publish(Snapshot(resources={one.key: one for one in resources})))

    @property
    def connected(self) -> bool:
        """Whether a gateway is here."""
        return any(state.connected for state in self.states.values())

    @property
    def accepted(self) -> dict[Key, str]:
        """What the connected gateway has."""
        return {key: version for state in self.states.values() if state.connected for key, version in state.accepted.items()}

    @property
    def rejected(self) -> dict[Key, Rejection]:
        """What the connected gateway refuses."""
        return {key: no for state in self.states.values() if state.connected for key, no in state.rejected.items()}

    def has(self, resources: Iterable[Resource]) -> bool:
        """Whether the gateway accepted exactly these."""
        return self.accepted == {one.key: one.version for one in resources}

    def _call(self, action: Callable[[], None]) -> None:
        done: Future[None] = Future()

        def act() -> None:
            try:
                action()
            except BaseException as err:  # noqa: BLE001 (it is raised in the test)
                done.set_exception(err)
            else:
                done.set_result(None)

        self._loop.call_soon_threadsafe(act)
        done.result(30)

    def _note(self, gateway_id: str, state: StreamState) -> None:
        self.states[gateway_id] = state

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except BaseException as err:
            if not self._started.done():
                self._started.set_exception(err)
            raise

    async def _serve(self) -> None:
        open_conversation = self._source.open

        def counting(gateway_id: str) -> Any:
            conversation = open_conversation(gateway_id)
            send = conversation.send

            def noted(sends: list[Send]) -> None:
                self.sent += [one for one in sends if one.resources or one.removed]
                send(sends)

            conversation.send = noted  # type: ignore[method-assign]
            return conversation

        self._source.open = counting  # type: ignore[method-assign]
        async with listening(self.socket, self._source, lambda _, report: self.reports.append(report)):
            self._started.set_result(None)
            await self._end.wait()
