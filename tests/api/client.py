"""A client of the real application, in this process."""

import asyncio
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
from fastapi import FastAPI

from ostiary.api.app import create_app
from ostiary.ops.system import System
from support.systems import FakeClock, a_system, sqlite_url

# httpx would look for it through all folders of packages, with each request.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]  # None is how Python notes what cannot be imported

TOKEN: Final = "correct-horse-battery-staple-0123456789"


class Client:
    """Sends requests to an ASGI application, with the right token unless told otherwise. Closes the system's store at the end."""

    def __init__(self, system: System, *, token: str | None = TOKEN) -> None:
        self.system = system
        self.app: FastAPI = create_app(system, token=TOKEN)
        headers = {"X-Auth-Token": token} if token else {}
        transport = httpx.ASGITransport(app=self.app, client=("192.0.2.7", 4711))
        self._http = httpx.AsyncClient(transport=transport, base_url="http://ostiary.test:9876", headers=headers)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._runner.run(self._http.aclose())
        self._runner.close()
        self.system.store.close()

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """One request; `body` is sent as JSON."""
        if body is not None:
            options["json"] = body
        return self._runner.run(self._http.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return self.request("POST", path, body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return self.request("PUT", path, body, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)

    def revision(self) -> int:
        """The configuration's revision."""
        with self.system.store.read() as reader:
            return reader.revision()


def a_client(folder: Path, clock: FakeClock | None = None) -> Client:
    """A client of an application over an empty database."""
    return Client(a_system(sqlite_url(folder), clock))
