"""Envoy's admin interface, on its Unix socket: how it is, what it counts, and to tell it to drain or to quit."""

import asyncio
import contextlib
import http.client
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

_PATIENCE: Final = 5.0
_POLL: Final = 0.1


class NoAnswer(Exception):
    """It is not there, or not well."""


@dataclass(frozen=True)
class Admin:
    """Speaks to the Envoy whose admin interface is on `socket`. Every failure is `NoAnswer`.

    A connection for each question: the Envoy behind the socket may be another one at any time. And no HTTP client with more to
    it: these few words are said each second, for as long as we run.
    """

    socket: Path

    async def info(self) -> dict[str, Any]:
        """Version, state and node (envoy.admin.v3.ServerInfo)."""
        return await self._json("/server_info")

    async def clusters(self) -> dict[str, Any]:
        """Pools and the health of their members (envoy.admin.v3.Clusters)."""
        return await self._json("/clusters?format=json")

    async def listeners(self) -> dict[str, Any]:
        """Listeners and their addresses (envoy.admin.v3.Listeners)."""
        return await self._json("/listeners?format=json")

    async def counters(self, pattern: str) -> dict[str, int]:
        """Statistics whose name matches; only those that were ever touched."""
        answer = await self._json(f"/stats?{urlencode({'format': 'json', 'usedonly': '', 'filter': pattern})}")
        return {one["name"]: int(one["value"]) for one in answer["stats"] if isinstance(one.get("value"), int)}

    async def text(self, path: str, query: dict[str, str]) -> str:
        """A page as it is."""
        return (await self._asked("GET", f"{path}?{urlencode(query)}")).decode(errors="replace")

    async def drain(self, seconds: float) -> None:
        """Take leave of every client: finish what they asked, tell them to close. Returns when they have, or after `seconds`."""
        await self._asked("POST", "/drain_listeners?graceful&skip_exit")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self._connections():  # noqa: ASYNC110 (Envoy has to be asked)
                    await asyncio.sleep(_POLL)

    async def reopen(self) -> None:
        """Open the files that are written to anew, by their names."""
        await self._asked("POST", "/reopen_logs")

    async def quit(self) -> None:
        """End now."""
        await self._asked("POST", "/quitquitquit")

    async def _connections(self) -> int:
        counted = await self.counters(r"^listener\..*\.downstream_cx_active$")
        return sum(
            number for name, number in counted.items() if not name.startswith("listener.admin.") and ".worker_" not in name
        )

    async def _json(self, path: str) -> dict[str, Any]:
        try:
            answer = json.loads(await self._asked("GET", path))
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise NoAnswer(f"what it says to {path} is no JSON object")
        return answer

    async def _asked(self, method: str, path: str) -> bytes:
        request = f"{method} {path} HTTP/1.1\r\nHost: envoy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        try:
            async with asyncio.timeout(_PATIENCE):
                said = await self._said(request.encode("ascii"))
            reply = http.client.HTTPResponse(_Said(said), method=method)  # type: ignore[arg-type]  # all it wants is `makefile`
            reply.begin()
            content = reply.read()
        except (OSError, http.client.HTTPException) as error:  # TimeoutError is an OSError
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
        if reply.status != http.client.OK:
            raise NoAnswer(f"it answers {reply.status} to {path}")
        return content

    async def _said(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(self.socket)
        try:
            writer.write(request)
            return await reader.read()
        finally:
            writer.close()


@dataclass(frozen=True)
class _Said:
    """What was said, for who expects to read it from a socket."""

    content: bytes

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self.content)
