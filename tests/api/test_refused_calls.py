"""Who asks for what their role does not allow, or shows a token that is none: on record, however often they try."""

from typing import Any

import pytest

from api.client import Client
from ostiary.ops import sessions
from support.certs import Authority, key_pem, new_key


def told(client: Client, action: str) -> list[dict[str, Any]]:
    return list(client.get(f"/v1/audit?action={action}").json()["audit"])


@pytest.fixture
def auditor(client: Client) -> dict[str, str]:
    reply = client.post("/v1/tokens", {"token": {"name": "olga", "role": "auditor"}})
    assert reply.status_code == 201, reply.text
    return {"X-Auth-Token": reply.json()["token"]["secret"]}


def test_what_a_role_does_not_allow_is_on_record_under_their_name(client: Client, auditor: dict[str, str]) -> None:
    for _ in range(50):
        refused = client.post("/v1/authorities", {"authority": {"name": "mine"}}, headers=auditor)
        assert refused.status_code == 403
    (entry,) = told(client, "caller:refuse")  # once a minute, however often
    assert (entry["actor"], entry["role"]) == ("olga", "auditor")
    assert entry["after"]["by"] == {"authority:create": 1}
    assert entry["after"]["sources"]


def test_what_they_may_do_is_not(client: Client, auditor: dict[str, str]) -> None:
    assert client.get("/v1/authorities", headers=auditor).status_code == 200
    assert told(client, "caller:refuse") == []


def test_tokens_that_are_none_are_counted_with_who_could_not_sign_in(client: Client) -> None:
    for _ in range(3):
        assert client.get("/v1/authorities", headers={"X-Auth-Token": "wrong"}).status_code == 401
    assert client.get("/v1/authorities", headers={"X-Auth-Token": ""}).status_code == 401
    assert sessions.tell_refused(client.system) == 1
    (entry,) = told(client, "session:refuse")
    assert entry["after"]["by"]["token of the API"] >= 3
    assert "wrong" not in str(entry)


def test_a_secret_that_was_downloaded_is_on_record_and_a_public_one_is_not(client: Client) -> None:
    key = key_pem(new_key())
    for name, payload in [("key", key), ("certificate", Authority.root("Ann").cert_pem)]:
        made = client.post("/v1/secrets", {"name": name, "payload": payload, "payload_content_type": "text/plain"})
        assert made.status_code == 201, made.text
        got = client.get(f"{made.json()['secret_ref'].partition('9876')[2]}/payload", headers={"Accept": "text/plain"})
        assert got.text.strip() == payload.strip()
    (entry,) = told(client, "secret:decrypt")
    assert (entry["actor"], entry["after"]) == ("admin", {"name": "key"})
