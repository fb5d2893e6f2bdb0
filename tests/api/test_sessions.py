"""/v1/users, /v1/sessions and /v1/sign-in-links: who may see and do what, and what is told."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.client import Client
from api.nouns import made
from ostiary.model.house_door import HouseDoor
from ostiary.ops import sessions
from support.systems import FakeClock, a_system, sqlite_url

ALICE: dict[str, Any] = {"name": "alice", "role": "operator", "certificate": {"subject_cn": ["alice"]}}
DOOR = HouseDoor(kind="console", address="127.0.0.1", port=9444, names=("console.test",), socket="/nowhere")
FROM = ("192.0.2.7", "req-1")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def client(tmp_path: Path, clock: FakeClock) -> Iterator[Client]:
    with Client(a_system(sqlite_url(tmp_path), clock)) as connected:
        yield connected


def bearer(client: Client, name: str, role: str) -> dict[str, str]:
    """Headers of somebody with an access token of their own; the client's own token would be a second one."""
    return {"X-Auth-Token": made(client, "/v1/tokens", "token", name=name, role=role)["secret"]}


def sign_in(client: Client, link: str) -> str:
    """Follow it; the session's secret."""
    session, secret = sessions.by_link(client.system, link.rpartition("/")[2].encode(), *FROM)
    assert session.how == "link"
    return bytes(secret).decode()


# Users.


def test_a_user_from_the_first_day_to_the_last(client: Client) -> None:
    user = made(client, "/v1/users", "user", **ALICE)
    assert (user["name"], user["role"], user["certificate"]["subject_cn"]) == ("alice", "operator", ["alice"])
    assert client.get("/v1/users").json()["users"] == [user]
    assert client.get("/v1/users?name=bob").json()["users"] == []
    assert client.get(f"/v1/users/{user['id']}").json()["user"] == user
    changed = client.put(f"/v1/users/{user['id']}", {"user": {"role": "auditor"}})
    assert (changed.status_code, changed.json()["user"]["role"]) == (200, "auditor")
    assert client.delete(f"/v1/users/{user['id']}").status_code == 204
    assert client.get(f"/v1/users/{user['id']}").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"certificate": {}}, "certificate"),
        ({"certificate": {"subject_cn": []}}, "certificate"),
        ({"certificate": None}, "certificate"),
        ({"certificate": {"groups": ["nobody"]}}, "certificate.groups"),
        ({"certificate": {"serials": ["x"]}}, "certificate.serials"),
        ({"role": "king"}, "role"),
        ({"role": None}, "role"),
        ({"name": ""}, "name"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_user_is_said_by_field(client: Client, wrong: dict[str, Any], field: str) -> None:
    refused = client.post("/v1/users", {"user": {**ALICE, **wrong}})
    assert (refused.status_code, refused.json()["field"].startswith(field)) == (400, True), refused.text
    user = made(client, "/v1/users", "user", **ALICE)
    refused = client.put(f"/v1/users/{user['id']}", {"user": wrong})
    assert refused.status_code == 400, refused.text
    assert client.get(f"/v1/users/{user['id']}").json()["user"] == user


def test_a_name_that_is_taken_is_a_conflict(client: Client) -> None:
    made(client, "/v1/users", "user", **ALICE)
    assert client.post("/v1/users", {"user": ALICE}).status_code == 409
    assert client.post("/v1/tokens", {"token": {"name": "alice", "role": "admin"}}).status_code == 409
    assert client.post("/v1/tokens", {"token": {"name": "alice", "role": "operator"}}).status_code == 201


@pytest.mark.parametrize("role", ["operator", "auditor"])
def test_users_are_seen_by_all_and_touched_by_administrators(client: Client, role: str) -> None:
    user = made(client, "/v1/users", "user", **ALICE)
    headers = bearer(client, "eve", role)
    assert client.get("/v1/users", headers=headers).json()["users"] == [user]
    attempts = (
        ("POST", "/v1/users", {"user": {**ALICE, "name": "eve"}}),
        ("PUT", f"/v1/users/{user['id']}", {"user": {"role": "admin"}}),
        ("DELETE", f"/v1/users/{user['id']}", None),
    )
    for method, path, body in attempts:
        assert client.request(method, path, body, headers=headers).status_code == 403, (method, path)


# Links and sessions.


def test_a_link_is_told_once_and_nothing_else_tells_it(client: Client) -> None:
    link = made(client, "/v1/sign-in-links", "sign_in_link")
    assert link["url"].startswith("http://ostiary.test:9876/console/sign-in/ol_")
    secret = link["url"].rpartition("/")[2]
    told = [client.get(path).text for path in ("/v1/sessions", "/v1/audit", "/v1/tokens", "/v1/users")]
    assert not any(secret in text for text in told)


def test_a_link_leads_to_the_consoles_own_door_unless_that_asks_for_certificates(tmp_path: Path) -> None:
    for demands, base in ((False, "https://console.test:9444"), (True, "http://ostiary.test:9876")):
        folder = tmp_path / str(demands)
        folder.mkdir()
        system = replace(a_system(sqlite_url(folder)), doors=(DOOR.model_copy(update={"demands_certificate": demands}),))
        with Client(system) as client:
            assert made(client, "/v1/sign-in-links", "sign_in_link")["url"].startswith(f"{base}/console/sign-in/ol_")


@pytest.mark.parametrize("role", ["operator", "auditor", "admin"])
def test_everybody_makes_links_for_themselves_and_sees_their_own_sessions(client: Client, role: str) -> None:
    headers = bearer(client, "bob", role)
    theirs = client.post("/v1/sign-in-links", headers=headers).json()["sign_in_link"]["url"]
    sign_in(client, made(client, "/v1/sign-in-links", "sign_in_link")["url"])
    secret = sign_in(client, theirs)
    seen = client.get("/v1/sessions", headers=headers).json()["sessions"]
    everybody = client.get("/v1/sessions").json()["sessions"]
    assert {one["name"] for one in everybody} == {"bob", "admin"}
    assert {one["name"] for one in seen} == ({"bob", "admin"} if role == "admin" else {"bob"})
    (session,) = [one for one in seen if one["name"] == "bob"]
    assert (session["role"], session["how"], session["source"]) == (role, "link", FROM[0])
    assert client.get(f"/v1/sessions/{session['id']}", headers=headers).json()["session"] == session
    assert secret not in json.dumps([seen, everybody])
    assert client.delete(f"/v1/sessions/{session['id']}", headers=headers).status_code == 204
    assert sessions.current(client.system, secret.encode(), certificate=None, source="", request_id="") is None


def test_nobody_ends_the_sessions_of_others_but_administrators(client: Client) -> None:
    bob, ann = bearer(client, "bob", "operator"), bearer(client, "ann", "auditor")
    secret = sign_in(client, client.post("/v1/sign-in-links", headers=bob).json()["sign_in_link"]["url"])
    (session,) = client.get("/v1/sessions", headers=bob).json()["sessions"]
    assert client.get(f"/v1/sessions/{session['id']}", headers=ann).status_code == 404
    assert client.delete(f"/v1/sessions/{session['id']}", headers=ann).status_code == 404
    assert client.delete("/v1/sessions?name=bob", headers=ann).status_code == 403
    assert client.delete("/v1/sessions", headers=ann).status_code == 204
    assert client.get("/v1/sessions", headers=bob).json()["sessions"] == [session]
    assert client.delete("/v1/sessions?name=bob").status_code == 204
    assert sessions.current(client.system, secret.encode(), certificate=None, source="", request_id="") is None


def test_signing_out_everywhere_by_ones_own_token(client: Client) -> None:
    bob = bearer(client, "bob", "operator")
    for _ in range(2):
        sign_in(client, client.post("/v1/sign-in-links", headers=bob).json()["sign_in_link"]["url"])
    assert client.delete("/v1/sessions", headers=bob).status_code == 204
    assert client.get("/v1/sessions").json()["sessions"] == []


def test_neither_a_link_nor_a_session_is_a_key_to_the_api(client: Client) -> None:
    url = made(client, "/v1/sign-in-links", "sign_in_link")["url"]
    second = made(client, "/v1/sign-in-links", "sign_in_link")["url"].rpartition("/")[2]
    session = sign_in(client, url)
    for secret in (second, session):
        assert client.get("/v1/users", headers={"X-Auth-Token": secret}).status_code == 401
    cookies = {"Cookie": f"ostiary-session={session}", "X-Auth-Token": "none"}
    assert client.get("/v1/users", headers=cookies).status_code == 401


def test_strangers_are_told_nothing(client: Client) -> None:
    nobody = {"X-Auth-Token": "wrong"}
    for method, path in (
        ("GET", "/v1/users"),
        ("POST", "/v1/sign-in-links"),
        ("GET", "/v1/sessions"),
        ("DELETE", "/v1/sessions"),
    ):
        assert client.request(method, path, headers=nobody).status_code == 401
