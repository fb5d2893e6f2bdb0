"""An HTTP/1.1 server whose answers do not end: `/endless` goes on for as long as anybody takes it, all else is a word.

    with Endless() as server:
        server.port

One thread, however many connections: clients that do not read leave all of theirs open.
"""

import asyncio
import contextlib
import threading
from typing import Final, Self

_PIECE: Final = bytes(256 * 1024)
_LENGTH: Final = 1 << 40


class Endless:
    """Serves on a free port of loopback for as long as the block runs."""

    def __init__(self) -> None:
        self.port = 0
        self._started = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="endless")

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        for writer in list(self._open.values()):
            writer.transport.abort()
        await asyncio.gather(*self._open)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith(b"GET /endless "):
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                    continue
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % _LENGTH)
                while True:
                    writer.write(_PIECE)
                    await writer.drain()
        writer.transport.abort()
        del self._open[task]
