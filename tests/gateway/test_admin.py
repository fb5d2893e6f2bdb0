"""Envoy's admin interface may be gone, slow to come, or another one at the next question: all that is one answer."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ostiary.gateway.admin import Admin, NoAnswer

T = TypeVar("T")
JSON = b'{"stats": [{"name": "a", "value": 3}, {"name": "b", "value": "text"}, {"histograms": {}}], "state": "LIVE"}'


def plain(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + b"".join(
    f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (JSON[:7], JSON[7:], b"")
)


def asked(folder: Path, said: bytes, question: Callable[[Admin], Awaitable[T]]) -> tuple[T, list[bytes]]:
    """What comes of a question to whoever says this, and what it was asked."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(said)
        writer.close()

    async def both() -> T:
        async with await asyncio.start_unix_server(answer, folder / "admin"):
            return await question(Admin(folder / "admin"))

    return asyncio.run(both()), heard


@pytest.mark.parametrize("said", [plain(JSON), CHUNKED], ids=["at once", "in parts"])
def test_what_it_says_is_understood(tmp_path: Path, said: bytes) -> None:
    counted, heard = asked(tmp_path, said, lambda envoy: envoy.counters(r"^a\..*b&c$"))
    assert counted == {"a": 3}
    assert heard[0].startswith(b"GET /stats?format=json&usedonly=&filter=%5Ea%5C..%2Ab%26c%24 HTTP/1.1\r\nHost: envoy\r\n")
    told, _ = asked(tmp_path, said, lambda envoy: envoy.info())
    assert told["state"] == "LIVE"


def test_it_is_told_to_end(tmp_path: Path) -> None:
    _, heard = asked(tmp_path, plain(b"OK\n"), lambda envoy: envoy.quit())
    assert heard[0].startswith(b"POST /quitquitquit HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        CHUNKED[:-9],
        plain(JSON, "503 Service Unavailable"),
        plain(b"no JSON"),
        plain(b"\xff\xfe{"),
        plain(b"[1]"),
        b"SSH-2.0\r\n",
    ],
)
def test_whatever_else_it_says_is_no_answer(tmp_path: Path, said: bytes) -> None:
    with pytest.raises(NoAnswer):
        asked(tmp_path, said, lambda envoy: envoy.info())


def test_where_nobody_is_there_is_no_answer(tmp_path: Path) -> None:
    questions: tuple[Callable[[Admin], Any], ...] = (Admin.info, Admin.clusters, Admin.listeners, Admin.quit)
    for question in questions:
        with pytest.raises(NoAnswer):
            asyncio.run(question(Admin(tmp_path / "nothing")))
