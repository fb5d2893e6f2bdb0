"""The console and the API of a system, on a free port, in a thread of this process: no gateway, so it starts at once.

with served(system) as url:
    …  # sign in with TOKEN at f"{url}/console/sign-in"

What went wrong on our side while it answered fails the block when it ends: a browser may be shown little of it.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ostiary.api.app import create_app
from ostiary.api.identity import admin_token
from ostiary.console.app import Console, beside
from ostiary.ops.system import System

TOKEN: Final = "correct-horse-battery-staple-0123456789"


@contextmanager
def served(system: System) -> Iterator[str]:
    """Its address, as long as the block lasts."""
    console = Console(system, admin_token(TOKEN))
    problems: list[str] = []
    app = _watched(beside(create_app(system, token=TOKEN), console), problems)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()  # Connections wait from now on, so nothing has to wait for the server.
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            console.close()
            server.should_exit = True
            thread.join()
    assert not problems, "\n".join(problems)


def _watched(app: ASGIApp, problems: list[str]) -> ASGIApp:
    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 500:
                problems.append(f"{scope['method']} {scope['path']}: answered 500")
            await send(message)

        try:
            await app(scope, receive, told)
        except Exception as problem:
            problems.append(f"{scope['method']} {scope['path']}: {problem!r}")
            raise

    return watched
