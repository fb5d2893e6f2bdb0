"""Envoy's admin interface, on its Unix socket: how it is, what it counts, and to tell it to drain or to quit."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx

_PATIENCE: Final = 5.0
_POLL: Final = 0.1


class Admin:
    """Speaks to one Envoy. Every failure is an `httpx.HTTPError`: it is not there, or not well."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

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
        answer = await self._client.get("/stats", params={"format": "json", "usedonly": "", "filter": pattern})
        answer.raise_for_status()
        return {one["name"]: int(one["value"]) for one in answer.json()["stats"] if isinstance(one.get("value"), int)}

    async def drain(self, seconds: float) -> None:
        """Take leave of every client: finish what they asked, tell them to close. Returns when they have, or after `seconds`."""
        (await self._client.post("/drain_listeners?graceful&skip_exit")).raise_for_status()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self._connections():  # noqa: ASYNC110 (Envoy has to be asked)
                    await asyncio.sleep(_POLL)

    async def quit(self) -> None:
        """End now."""
        (await self._client.post("/quitquitquit")).raise_for_status()

    async def _connections(self) -> int:
        counted = await self.counters(r"^listener\..*\.downstream_cx_active$")
        return sum(
            number for name, number in counted.items() if not name.startswith("listener.admin.") and ".worker_" not in name
        )

    async def _json(self, path: str) -> dict[str, Any]:
        answer = await self._client.get(path)
        answer.raise_for_status()
        return dict(answer.json())


@contextlib.asynccontextmanager
async def admin(socket: Path) -> AsyncIterator[Admin]:
    """Speak to the Envoy whose admin interface is on `socket`."""
    # No keep-alive: the Envoy behind the socket may be another one at any time.
    limits = httpx.Limits(max_keepalive_connections=0)
    transport = httpx.AsyncHTTPTransport(uds=str(socket), limits=limits)
    async with httpx.AsyncClient(transport=transport, base_url="http://envoy", timeout=_PATIENCE) as client:
        yield Admin(client)
