"""A path as we make it plain is what a real Envoy hands to members, be it as crooked as it will."""

import socket
from collections.abc import Callable, Iterator

import pytest

from ostiary.access.plain_path import plain
from ostiary.envoy.snapshot import snapshot
from ostiary.model.desired import Desired
from support import raw_http
from support.backend import Backend
from support.desired import listener, member, pool
from support.ports import free_port
from support.raw_http import exchanged
from support.strange import seeded
from support.tiny_ads import Engine
from support.tls_clients import Answer

pytestmark = pytest.mark.live

SEED, HOW_MANY = 20261125, 600
PIECES = (
    *("/", "/", "/", "/", ".", ".", "..", "a", "b", "open", "%", "%%", "%2", "2", "e", ";", ";x", "?", "\\", "~", "A"),
    *("%2e", "%2E", "%2f", "%2F", "%5c", "%5C", "%00", "%25", "%32", "%65", "%61", "%7E", "%3b", "%3a", "%c3%a4", "%7f", "%20"),
    *('"', "<", ">", "^", "`", "{", "|", "}", "[", "]", "'", "!", "$", "&", "=", "#", "%2d"),
)
KNOWN = {
    "/a/../b": "/b",
    "/a/%2e%2E/b": "/b",
    "/a/..;x/b": "/b",
    "/a//../b": "/a/b",
    "/a\\..\\b": "/b",
    "//a///b/": "/a/b/",
    "/%61%7e": "/a~",
    "/a/%2e%2e;/b": "/a/..;/b",  # what is written so is not undone: rules have to refuse it (access.policy)
    "/a%%32%65": "/a%252e",
    "/a?b//../%2f": "/a?b//../%2f",
    "/a%2fb": None,
    "/a%5Cb": None,
    "/a%00": None,
    "/a#b": None,
    "a": None,
}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    with Backend() as backend, Engine(tmp_path_factory.mktemp("envoy")) as engine:
        door = listener(protocol="HTTP", protocol_port=port, default_pool_id="p1")
        assert engine.apply(snapshot(Desired(listeners=(door,), pools=(pool("p1", member("m1", backend.port)),)))) == {}
        engine.listens_on(port)
        yield port


def paths() -> list[str]:
    rng = seeded(SEED)
    return ["/" + "".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 12))) for _ in range(HOW_MANY)]


def asked_for(ask: Callable[[socket.socket, str], Answer], port: int, path: str) -> str | None:
    """What the member was asked for; None where Envoy refused the request."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        answer = ask(connection, path)
    assert answer.status in {200, 400, 0}, (path, answer)  # 0: the HTTP/2 stream was reset
    return str(answer.json()["path"]) if answer.status == 200 else None


def over_http1(connection: socket.socket, path: str) -> Answer:
    return exchanged(connection, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


def over_http2(connection: socket.socket, path: str) -> Answer:
    return raw_http.over_http2(connection, [], path)


@pytest.mark.parametrize("path", KNOWN)
def test_what_the_usual_tricks_become(path: str) -> None:
    assert plain(path) == KNOWN[path]


@pytest.mark.parametrize(("ask", "how_many"), [(over_http1, HOW_MANY), (over_http2, HOW_MANY // 3)])
def test_every_path_is_made_plain_as_the_engine_does(
    port: int, ask: Callable[[socket.socket, str], Answer], how_many: int
) -> None:
    wanted = [*KNOWN, *paths()[:how_many]]
    theirs = [asked_for(ask, port, path) for path in wanted]
    differ = [(path, plain(path), there) for path, there in zip(wanted, theirs, strict=True) if plain(path) != there]
    assert differ == []
    assert sum(there is not None for there in theirs) > how_many * 0.4  # or little would have been compared
