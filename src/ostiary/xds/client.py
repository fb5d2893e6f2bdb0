"""The other end of the conversation: how a keeper asks its control plane, and tells it how things are."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import grpc

from ostiary.xds import wire
from ostiary.xds.stream import Request, Send

_PATIENCE: Final = 30.0


class Gone(Exception):
    """The server is not there, or the conversation broke off."""


class Call:
    """One conversation as a client. Any failure of it is `Gone`."""

    def __init__(self, node_id: str, channel: Any) -> None:
        delta = channel.stream_stream(
            f"/{wire.ADS}/{wire.DELTA}", lambda request: wire.write_request(node_id, request), wire.read_send
        )
        self._call = delta()

    async def say(self, request: Request) -> None:
        """Send one request."""
        with _translated():
            await self._call.write(request)

    async def hear(self) -> Send:
        """Wait for what the server says next."""
        with _translated():
            send = await self._call.read()
        if send is grpc.aio.EOF:
            raise Gone("the server hung up")
        return send  # type: ignore[no-any-return]

    def hang_up(self) -> None:
        """End the conversation."""
        self._call.cancel()


@contextlib.asynccontextmanager
async def calling(socket: Path) -> AsyncIterator[Any]:
    """A channel to a server on a Unix socket, closed afterwards."""
    # gRPC would wait longer and longer between attempts, and share its opinion among all channels to one address.
    options = (*wire.OPTIONS, ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
    async with grpc.aio.insecure_channel(f"unix:{socket}", options=options) as channel:
        yield channel


async def reporting(channel: Any, reports: asyncio.Queue[dict[str, Any]]) -> None:
    """Send whatever is put into `reports`, until the server is gone (`Gone`)."""
    call = channel.stream_unary(f"/{wire.REPORTS}/{wire.REPORT}", wire.write_report, wire.read_report)()
    try:
        while True:
            with _translated():
                await call.write(await reports.get())
    finally:
        call.cancel()


async def tell(channel: Any, what: str, gateway_id: str, batch: dict[str, Any]) -> bool | None:
    """Hand over one batch (`wire.SEEN` and the like): True once it is on record, False if it never will be, None if not now."""
    call = channel.unary_unary(f"/{wire.REPORTS}/{what}")
    try:
        await call(wire.write_seen(gateway_id, batch), timeout=_PATIENCE)
    except grpc.aio.AioRpcError as err:
        return False if err.code() == grpc.StatusCode.INVALID_ARGUMENT else None
    return True


class Vigil:
    """Tells of the long streams that are open, and hears which are to end and why. Any failure of it is `Gone`."""

    def __init__(self, gateway_id: str, channel: Any) -> None:
        call = channel.stream_stream(
            f"/{wire.REPORTS}/{wire.STREAMS}", lambda news: wire.write_seen(gateway_id, news), wire.read_ends
        )
        self._call = call()

    async def say(self, news: dict[str, Any]) -> None:
        """Tell what opened and what ended."""
        with _translated():
            await self._call.write(news)

    async def hear(self) -> dict[int, str]:
        """Wait for the next that are to end."""
        with _translated():
            why = await self._call.read()
        if why is grpc.aio.EOF:
            raise Gone("the server hung up")
        return why  # type: ignore[no-any-return]

    async def is_understood(self) -> bool:
        """Once it has failed: whether the server knows what it is about. One older than we are does not."""
        return bool(await self._call.code() != grpc.StatusCode.UNIMPLEMENTED)

    def hang_up(self) -> None:
        """End the conversation."""
        self._call.cancel()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError) as err:
        raise Gone(str(err)) from err
