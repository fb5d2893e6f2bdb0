"""How refusals look: the form each family of clients reads, the id of the request, and nothing of our insides."""

import re
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.client import Client
from ostiary import errors
from ostiary.api.problems import STATUSES, status_of
from ostiary.errors import Conflict, Denied, Invalid, NotFound, Overtaken, Refusal, TooLarge, Unauthenticated, Unavailable
from ostiary.ops import authorities, listeners, secrets
from support.systems import a_system, sqlite_url

REQUEST_ID = re.compile(r"req-[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFound("Listener", "x"), 404),
        (Conflict("taken"), 409),
        (Overtaken("ann", {"name": ("a", "b")}), 409),
        (Invalid("name", "is bad"), 400),
        (TooLarge("body", "is large"), 413),
        (Denied("no"), 403),
        (Unauthenticated("who?"), 401),
        (Unavailable("later"), 503),
        (Refusal("no"), 400),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_error_has_its_status(error: Refusal, status: int) -> None:
    assert status_of(error) == status


def test_every_error_of_ours_is_in_the_table() -> None:
    ours = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Refusal)}
    assert {kind for kind, _ in STATUSES} == {kind for kind in ours if kind.__base__ is Refusal or kind is TooLarge}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nowhere", 404),
        ("GET", "/v2/lbaas/listeners/none", 404),
        ("PATCH", "/v2.0/lbaas/listeners", 405),
        ("GET", "/v1/nowhere", 404),
        ("GET", "/v1/authorities/none", 404),
        ("PUT", "/v1/authorities", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/v1/secrets/none", 404),
        ("PUT", "/v1/secrets", 405),
        ("GET", "/secrets/none", 404),
    ],
)
def test_the_frameworks_own_errors_take_the_same_forms(client: Client, method: str, path: str, status: int) -> None:
    reply = client.request(method, path)
    assert reply.status_code == status
    body = reply.json()
    if path.startswith("/v2"):
        assert set(body) == {"faultcode", "faultstring", "debuginfo"}
    elif "secrets" in path:
        assert {"code", "title", "description", "type", "status", "detail"} <= set(body)
    else:
        assert {"type", "title", "status", "detail"} <= set(body)
        assert reply.headers["content-type"] == "application/problem+json"
    if status == 405:
        assert reply.headers["allow"] == "GET, POST"


def test_every_reply_has_an_id_of_its_own(client: Client) -> None:
    paths = ("/", "/v2/lbaas/listeners", "/v2/nowhere", "/v1/secrets", "/docs", "/healthz", "/v2/lbaas/listeners?x=%00")
    ids = [
        client.get(path, headers={"x-openstack-request-id": "mine"}).headers.get_list("x-openstack-request-id") for path in paths
    ]
    assert all(len(found) == 1 and REQUEST_ID.fullmatch(found[0]) for found in ids)
    assert len({found[0] for found in ids}) == len(paths)


@pytest.mark.parametrize(
    ("module", "path"),
    [(listeners, "/v2/lbaas/listeners"), (secrets, "/v1/secrets"), (authorities, "/v1/authorities")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_failure_of_ours_shows_an_id_and_is_logged_whole(
    client: Client, monkeypatch: pytest.MonkeyPatch, module: Any, path: str
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("inside information")

    monkeypatch.setattr(module, "find", broken)
    with capture_logs() as logs:
        reply = client.get(path)
    request_id = reply.headers["x-openstack-request-id"]
    assert reply.status_code == 500
    assert request_id in reply.text
    assert "inside information" not in reply.text
    entry, request = logs
    assert (request["status"], request["log_level"]) == (500, "warning")
    assert (entry["request_id"], entry["path"], entry["log_level"]) == (request_id, path, "error")
    assert "ZeroDivisionError: inside information" in entry["traceback"]


def test_a_database_that_does_not_answer_is_said_to_be_unavailable(tmp_path: Path) -> None:
    system = a_system(sqlite_url(tmp_path))
    with Client(system) as client:
        system.store.close()
        (tmp_path / "ostiary.db").unlink()
        reply = client.get("/v2/lbaas/listeners")
        assert (reply.status_code, reply.json()["faultcode"], reply.headers["retry-after"]) == (503, "Server", "1")
        assert client.get("/readyz").json() == {"status": "unavailable", "database": False, "gateway": False}
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "application/xml, text/*", "application/json;q=x"])
def test_load_balancing_speaks_json_only(client: Client, accept: str) -> None:
    reply = client.get("/v2/lbaas/listeners", headers={"Accept": accept})
    assert reply.status_code == 406
    (error,) = reply.json()["errors"]
    assert set(error) == {"status", "title", "detail", "request_id"}
    assert error["request_id"] == reply.headers["x-openstack-request-id"]


@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "application/*", "text/html, */*;q=0.1", "APPLICATION/JSON; charset=utf-8", ""]
)
def test_whoever_can_read_json_is_answered(client: Client, accept: str) -> None:
    assert client.get("/v2/lbaas/listeners", headers={"Accept": accept}).status_code == 200
