"""Who gets in: the holder of the token, and nobody else; and nobody else learns anything."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.client import TOKEN, Client
from ostiary.api.identity import admin_token, is_public
from ostiary.api.openapi import routes
from support.systems import a_system, sqlite_url

SAMPLE = re.compile(r"\{[^}]*\}")
PUBLIC_PATHS = ["/", "/v1", "/v2", "/v2.0", "/v2.0/", "/healthz", "/readyz"]
FAMILIES = {
    "/v2/lbaas/listeners": {"faultcode": "Client", "faultstring": "A valid token is required.", "debuginfo": None},
    "/v1/secrets": {
        "code": 401,
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "A valid token is required.",
        "description": "A valid token is required.",
    },
    "/v1/authorities": {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "A valid token is required.",
    },
}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Auth-Token": TOKEN},
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer {TOKEN}"},
        {"X-Auth-Token": TOKEN, "Authorization": f"Bearer {TOKEN}"},
    ],
    ids=str,
)
def test_the_token_opens(tmp_path: Path, headers: dict[str, str]) -> None:
    with Client(a_system(sqlite_url(tmp_path)), token=None) as client:
        assert client.get("/v2/lbaas/listeners", headers=headers).status_code == 200


@pytest.mark.parametrize("path", FAMILIES)
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("X-Auth-Token", "")],
        [("X-Auth-Token", "wrong")],
        [("X-Auth-Token", TOKEN[:-1])],
        [("X-Auth-Token", f"{TOKEN}x")],
        [("X-Auth-Token", f"{TOKEN}, {TOKEN}")],
        [("X-Auth-Token", TOKEN), ("X-Auth-Token", "wrong")],
        [("X-Auth-Token", "\xff\xfe")],
        [("X-Auth-Token", TOKEN), ("Authorization", "Bearer wrong")],
        [("X-Auth-Token", TOKEN), ("Authorization", f"Basic {TOKEN}")],
        [("X-Auth-Token", TOKEN), ("Authorization", "")],
        [("Authorization", "Bearer")],
        [("Authorization", TOKEN)],
        [("Authorization", f"Basic {TOKEN}")],
        [("Cookie", f"X-Auth-Token={TOKEN}")],
    ],
    ids=str,
)
def test_nothing_else_does_and_all_are_told_the_same(tmp_path: Path, path: str, headers: list[tuple[str, str]]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    with Client(a_system(sqlite_url(tmp_path)), token=None) as client:
        reply = client.get(path, headers=raw)
    assert reply.status_code == 401
    assert reply.json() == FAMILIES[path]
    assert reply.headers["www-authenticate"] == "Bearer"


def test_a_token_in_the_query_is_no_token(tmp_path: Path) -> None:
    with Client(a_system(sqlite_url(tmp_path)), token=None) as client:
        assert client.get(f"/v2/lbaas/listeners?X-Auth-Token={TOKEN}").status_code == 401


def test_without_a_token_every_route_but_the_public_ones_is_closed(tmp_path: Path) -> None:
    with Client(a_system(sqlite_url(tmp_path)), token=None) as client:
        for route in routes(client.app):
            path = SAMPLE.sub("x", route.path)
            for method in route.methods or ():
                status = client.request(method, path).status_code
                assert (status == 401) != is_public(method, path), (method, path, status)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nowhere"),
        ("GET", "/v2/nowhere"),
        ("GET", "/v1/nowhere"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("GET", "/metrics"),
        ("PATCH", "/v2/lbaas/listeners"),
        ("POST", "/"),
        ("POST", "/healthz"),
        ("DELETE", "/pki/x.crt"),
        ("OPTIONS", "/v2/lbaas/listeners"),
        ("GET", "/pki/../v2/lbaas/listeners"),
        ("GET", "/pki/x/y"),
        ("GET", "//v2/lbaas/listeners"),
        ("GET", "/healthz/x"),
        ("GET", "/v2.0/lbaas/listeners/"),
        ("GET", "/healthz%0a"),
    ],
)
def test_no_path_tells_whether_it_exists(tmp_path: Path, method: str, path: str) -> None:
    with Client(a_system(sqlite_url(tmp_path)), token=None) as client:
        assert client.request(method, f"http://ostiary.test:9876{path}").status_code == 401


@pytest.mark.parametrize("path", PUBLIC_PATHS)
def test_what_is_public_answers_everyone(tmp_path: Path, path: str) -> None:
    with Client(a_system(sqlite_url(tmp_path)), token=None) as client:
        assert client.get(path).status_code == 200
        assert client.get(path, headers={"X-Auth-Token": "wrong"}).status_code == 200


def test_the_body_of_a_stranger_is_not_read(tmp_path: Path) -> None:
    with Client(a_system(sqlite_url(tmp_path)), token=None) as client:
        sent, read = _call(client, headers=[])
        assert (sent[0]["status"], read) == (401, 0)
        sent, read = _call(client, headers=[(b"x-auth-token", TOKEN.encode())])
        assert (sent[0]["status"], read) == (400, 1)


def _call(client: Client, headers: list[tuple[bytes, bytes]]) -> tuple[list[dict[str, Any]], int]:
    """A raw ASGI request; what was sent back, and how many times a body was asked for."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v2/lbaas/listeners",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "server": ("127.0.0.1", 9876),
        "client": None,
    }
    sent: list[dict[str, Any]] = []
    reads = 0

    async def receive() -> dict[str, Any]:
        nonlocal reads
        reads += 1
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(client.app(scope, receive, send))
    return sent, reads


def test_there_are_no_web_sockets(client: Client) -> None:
    sent: list[Any] = []

    async def connect() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await client.app({"type": "websocket", "path": "/v2", "headers": [], "query_string": b""}, receive, send)

    asyncio.run(connect())
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_an_empty_token_cannot_be_the_admins() -> None:
    with pytest.raises(ValueError, match="empty token"):
        admin_token("")


def test_the_token_is_in_no_log_and_no_reply(tmp_path: Path) -> None:
    system = a_system(sqlite_url(tmp_path))
    with Client(system) as client, capture_logs() as logs:
        system.store.close()
        (tmp_path / "ostiary.db").unlink()
        replies = [client.get(path) for path in ("/v2/lbaas/listeners", "/v1/audit", "/v1/secrets", "/readyz")]
    assert all(reply.status_code >= 500 for reply in replies)
    assert TOKEN not in str(logs) + "".join(reply.text + str(reply.headers) for reply in replies)


def test_no_reply_invites_a_browser_of_another_site(client: Client) -> None:
    reply = client.get("/v2/lbaas/listeners", headers={"Origin": "https://evil.test"})
    names = {name.lower() for name in reply.headers}
    assert not {name for name in names if name.startswith("access-control-")}
    assert "set-cookie" not in names
    assert (reply.headers["x-content-type-options"], reply.headers["cache-control"]) == ("nosniff", "no-store")
