"""Where gateways ask for their configuration and tell how they are: gRPC on a Unix socket.

Whoever can open the socket is trusted: it lies in a folder of mode 0700 and has mode 0600, so the file system's permissions are
the authentication, and `node.id` only tells gateways of one owner apart. Gateways on other machines will be known by the
certificate they show (FACTS.md: a stream that trusts `node.id` hands private keys to whoever asks).
Only incremental (delta) ADS is offered; gRPC itself answers anything else with UNIMPLEMENTED.
"""

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import grpc
import structlog

from ostiary.errors import Conflict, Refusal, Unavailable
from ostiary.xds import wire
from ostiary.xds.source import Conversation, Source
from ostiary.xds.stream import Request
from ostiary.xds.streams import Vigil, Watch

_log = structlog.get_logger(source="xds")

OnReport = Callable[[str, dict[str, Any]], None]
OnBatch = Callable[[str, dict[str, Any]], None]
_LONGEST_ID: Final = 255
_PRIVATE: Final = 0o600


@contextlib.asynccontextmanager
async def listening(
    socket: Path,
    source: Source,
    on_report: OnReport | None = None,
    on_seen: OnBatch | None = None,
    vigil: Vigil | None = None,
    on_denied: OnBatch | None = None,
    on_rehearsed: OnBatch | None = None,
    on_numbers: OnBatch | None = None,
) -> AsyncIterator[None]:
    """Answer on `socket` for as long as the block runs (`serving`).

    `on_report(gateway_id, report)` hears how keepers are. `on_seen(gateway_id, batch)` hears who was seen, `on_denied` who was
    refused, `on_rehearsed` who would have been and `on_numbers` what was counted, in another thread; what returns without raising
    is acknowledged, so it has to be on record by then. `vigil` says which long streams end.
    """
    hearers = ((wire.SEEN, on_seen), (wire.DENIED, on_denied), (wire.REHEARSED, on_rehearsed), (wire.NUMBERS, on_numbers))
    on_batch = {what: hear for what, hear in hearers if hear is not None}
    async with serving(socket, _handlers(source, on_report, on_batch, vigil)):
        yield


@contextlib.asynccontextmanager
async def serving(socket: Path, handlers: tuple[Any, ...]) -> AsyncIterator[None]:
    """A gRPC server on a Unix socket that only we can open.

    A socket left by a process that died is replaced: whoever calls holds the lock that says that nobody else listens there.
    Raises `Conflict` when something that is no socket is in the way.
    """
    _clear(socket)
    server = grpc.aio.server(options=wire.OPTIONS)
    server.add_generic_rpc_handlers(handlers)
    server.add_insecure_port(f"unix:{socket}")  # "insecure" is gRPC's word for no TLS; see above
    await server.start()
    _make_private(socket)
    try:
        yield
    finally:
        await server.stop(grace=None)


def _clear(socket: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(socket.lstat().st_mode):
            raise Conflict(f"{socket} is in the way: it should be a socket of ours. Remove it.")
        socket.unlink()


def _make_private(socket: Path) -> None:
    socket.chmod(_PRIVATE)


def _handlers(
    source: Source, on_report: OnReport | None, on_batch: Mapping[str, OnBatch], vigil: Vigil | None
) -> tuple[Any, ...]:
    async def converse(requests: AsyncIterator[tuple[str, Request]], context: Any) -> None:
        introduction = await _introduction(requests, context)
        if introduction is None:
            return
        gateway_id, first = introduction
        conversation = source.open(gateway_id)
        try:
            conversation.hear(first)
            await _until_either_ends(_listen(requests, conversation), _speak(context, conversation))
        finally:
            source.close(conversation)

    async def report(reports: AsyncIterator[dict[str, Any]], context: Any) -> dict[str, Any]:
        async for one in reports:
            gateway_id = str(one.get("gateway") or "")
            if not 0 < len(gateway_id) <= _LONGEST_ID:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "gateway: say who you are")
            if on_report is not None:
                on_report(gateway_id, one)
        return {}

    ads = grpc.stream_stream_rpc_method_handler(converse, wire.read_request, wire.write_send)
    reports = grpc.stream_unary_rpc_method_handler(report, wire.read_report, wire.write_report)
    methods = {wire.REPORT: reports}
    for what, hear in on_batch.items():
        methods[what] = grpc.unary_unary_rpc_method_handler(_batches(hear), wire.read_seen)
    if vigil is not None:
        methods[wire.STREAMS] = grpc.stream_stream_rpc_method_handler(_streams(vigil), wire.read_seen, wire.write_ends)
    return (
        grpc.method_handlers_generic_handler(wire.ADS, {wire.DELTA: ads}),
        grpc.method_handlers_generic_handler(wire.REPORTS, methods),
    )


def _batches(on_batch: OnBatch) -> Callable[[tuple[str, dict[str, Any]], Any], Awaitable[bytes]]:
    async def batch(told: tuple[str, dict[str, Any]], context: Any) -> bytes:
        gateway_id, body = told
        if not 0 < len(gateway_id) <= _LONGEST_ID:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "gateway: say who you are")
        try:
            await asyncio.to_thread(on_batch, gateway_id, body)
        except Unavailable as err:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(err))
        except Refusal as err:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(err))
        return b""  # on record

    return batch


def _streams(vigil: Vigil) -> Callable[[AsyncIterator[tuple[str, dict[str, Any]]], Any], Awaitable[None]]:
    async def streams(told: AsyncIterator[tuple[str, dict[str, Any]]], context: Any) -> None:
        async for gateway_id, _ in told:  # the first only introduces
            with vigil.watching(gateway_id) as watch:
                await _until_either_ends(_take(told, watch), _end(context, watch))

    return streams


async def _take(told: AsyncIterator[tuple[str, dict[str, Any]]], watch: Watch) -> None:
    async for _, news in told:
        watch.hear(news)


async def _end(context: Any, watch: Watch) -> None:
    async for why in watch.ends():
        await context.write(why)


async def _introduction(requests: AsyncIterator[tuple[str, Request]], context: Any) -> tuple[str, Request] | None:
    async for gateway_id, first in requests:
        if not 0 < len(gateway_id) <= _LONGEST_ID:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "node.id: say who you are")
        return gateway_id, first
    return None  # it hung up without a word


async def _listen(requests: AsyncIterator[tuple[str, Request]], conversation: Conversation) -> None:
    async for _, request in requests:
        if request.error is not None:
            _log.warning("refused by the gateway", gateway=conversation.gateway_id, type=request.type_url, reason=request.error)
        conversation.hear(request)


async def _speak(context: Any, conversation: Conversation) -> None:
    while (send := await conversation.outbox.get()) is not None:
        await context.write(send)


async def _until_either_ends(*coroutines: Any) -> None:
    tasks = [asyncio.ensure_future(one) for one in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
