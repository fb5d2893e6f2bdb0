"""Secrets and containers, as Barbican's clients use them."""

import base64
from typing import Any

import pytest

from api.client import Client
from ostiary.api.containers import ContainerList, ContainerMetadata
from ostiary.api.secrets import SecretList, SecretMetadata

BASE = "http://ostiary.test:9876"
PEM = "-----BEGIN PRIVATE KEY-----\nvery secret\n-----END PRIVATE KEY-----\n"


def a_secret(client: Client, **fields: Any) -> str:
    """The id of a new secret."""
    reply = client.post("/v1/secrets", {"payload": PEM, "payload_content_type": "text/plain", **fields})
    assert reply.status_code == 201, reply.text
    href = str(reply.json()["secret_ref"])
    assert href.startswith(f"{BASE}/v1/secrets/")
    return href.rpartition("/")[2]


def refused(reply: Any, status: int, words: str) -> None:
    """Barbican's form of an error, with RFC 9457's members, saying these words."""
    assert reply.status_code == status, reply.text
    body = reply.json()
    assert (body["code"], body["status"]) == (status, status)
    assert body["title"]
    assert words in body["description"]
    assert body["detail"] == body["description"]


@pytest.mark.parametrize(
    ("given", "accept", "expected", "media_type"),
    [
        ({"payload": "naïve"}, "*/*", "naïve".encode(), "text/plain; charset=utf-8"),
        ({"payload": PEM, "payload_content_type": "text/plain"}, "text/plain", PEM.encode(), "text/plain; charset=utf-8"),
        (
            {"payload": PEM, "payload_content_type": "text/plain;charset=utf-8"},
            "text/plain",
            PEM.encode(),
            "text/plain; charset=utf-8",
        ),
        ({"payload": PEM}, "application/octet-stream", PEM.encode(), "application/octet-stream"),
        (
            {"payload": "AAH/", "payload_content_encoding": "base64", "payload_content_type": "application/octet-stream"},
            "application/octet-stream",
            b"\x00\x01\xff",
            "application/octet-stream",
        ),
        ({"payload": "AA\nH/\n", "payload_content_encoding": "base64"}, "*/*", b"\x00\x01\xff", "application/octet-stream"),
        (
            {"payload": "AAH/", "payload_content_encoding": "base64", "payload_content_type": "application/pkcs8"},
            "application/pkcs8",
            b"\x00\x01\xff",
            "application/pkcs8",
        ),
    ],
)
def test_a_payload_comes_back_as_it_was_given(
    client: Client, given: dict[str, Any], accept: str, expected: bytes, media_type: str
) -> None:
    reply = client.post("/v1/secrets/", given)
    assert reply.status_code == 201, reply.text
    assert reply.headers["location"] == reply.json()["secret_ref"]
    shown = client.get(f"{reply.json()['secret_ref']}/payload", headers={"Accept": accept})
    assert (shown.status_code, shown.content, shown.headers["content-type"]) == (200, expected, media_type)


def test_a_payload_that_is_not_accepted_is_not_sent(client: Client) -> None:
    secret_id = a_secret(client, payload="AAH/", payload_content_encoding="base64", payload_content_type=None)
    refused(client.get(f"/v1/secrets/{secret_id}/payload", headers={"Accept": "text/plain"}), 406, "application/octet-stream")


def test_metadata_tells_all_but_the_payload(client: Client) -> None:
    secret_id = a_secret(
        client, name="key", secret_type="private", algorithm="rsa", bit_length=2048, mode="cbc", expiration="2040-01-31T12:00:00"
    )
    reply = client.get(f"/v1/secrets/{secret_id}")
    shown = SecretMetadata.model_validate_json(reply.content)
    assert (shown.name, shown.secret_type, shown.algorithm, shown.bit_length, shown.mode) == (
        "key",
        "private",
        "rsa",
        2048,
        "cbc",
    )
    assert (shown.expiration, shown.status, shown.content_types.default) == ("2040-01-31T12:00:00", "ACTIVE", "text/plain")
    listed = client.get("/v1/secrets")
    assert SecretList.model_validate_json(listed.content).secrets == (shown,)
    assert "very secret" not in reply.text + listed.text
    # The arguments of barbicanclient's Secret(), made with `**reply`: one more would be a TypeError there.
    assert set(reply.json()) <= {
        *("name", "expiration", "algorithm", "bit_length", "mode", "secret_ref", "created", "updated"),
        *("content_types", "status", "secret_type", "creator_id", "consumers"),
    }


def test_the_key_manager_is_the_first_version(client: Client) -> None:
    # barbicanclient takes the first for its own, and fails when it tells no range.
    first = client.get("/").json()["versions"][0]
    assert (first["id"], first["min_version"], first["max_version"]) == ("v1", "1.0", "1.1")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"payload": None}, "payload: must be text"),
        ({"payload": ""}, "payload: "),
        ({"payload": 7}, "payload: must be text"),
        ({"payload": "not base64!", "payload_content_encoding": "base64"}, "payload: is not base64"),
        ({"payload_content_encoding": "gzip"}, "payload_content_encoding: "),
        ({"payload_content_type": "application/octet-stream"}, "payload_content_encoding: must be base64"),
        ({"payload_content_type": "image/png"}, "payload_content_type: must be one of"),
        ({"payload_content_type": "text/plain; charset=latin-1"}, "payload_content_type: must be one of"),
        ({"secret_type": "joke"}, "secret_type: "),
        ({"bit_length": "2048"}, "bit_length: must be a whole number"),
        ({"expiration": "tomorrow"}, "expiration: "),
        ({"colour": "red"}, "colour: is not a known field"),
        ({"id": "mine"}, "id: is "),
    ],
)
def test_a_bad_secret_is_refused_without_repeating_it(client: Client, fields: dict[str, Any], words: str) -> None:
    revision = client.revision()
    reply = client.post("/v1/secrets", {"payload": PEM, **fields})
    refused(reply, 400, words)
    assert reply.json()["field"] == words.partition(":")[0]
    assert "very secret" not in reply.text
    assert client.revision() == revision


def test_secrets_are_counted_and_paged_by_offset(client: Client) -> None:
    for name in "abc":
        a_secret(client, name=name, algorithm="aes" if name == "b" else None)
    first = client.get("/v1/secrets", params={"limit": "2"}).json()
    assert ([one["name"] for one in first["secrets"]], first["total"]) == (["a", "b"], 3)
    assert "previous" not in first
    second = client.get(first["next"]).json()
    assert [one["name"] for one in second["secrets"]] == ["c"]
    assert "next" not in second
    assert client.get(second["previous"]).json()["secrets"] == first["secrets"]
    for query, expected in (("name=b", 1), ("alg=aes", 1), ("secret_type=opaque", 3), ("secret_type=private", 0)):
        assert client.get(f"/v1/secrets?{query}").json()["total"] == expected, query
    for query in ("limit=x", "offset=-1", "colour=red", "limit=1&limit=2", "bits=x"):
        refused(client.get(f"/v1/secrets?{query}"), 400, query.partition("=")[0].replace("bits", "bit_length"))


@pytest.mark.parametrize("root", ["/v1/secrets", "/secrets", "/v2/secrets", "/v2.0/secrets", "/v1/secrets/"])
def test_secrets_answer_wherever_clients_look(client: Client, root: str) -> None:
    secret_id = a_secret(client)
    assert client.get(f"{root}".rstrip("/") + f"/{secret_id}").status_code == 200
    assert client.get(root).json()["total"] == 1
    assert client.post(root, {"payload": "x"}).status_code == 201


def test_what_is_in_use_cannot_be_deleted(client: Client) -> None:
    secret_id = a_secret(client)
    container = client.post(
        "/v1/containers",
        {"type": "certificate", "secret_refs": [{"name": "private_key", "secret_ref": f"{BASE}/v1/secrets/{secret_id}"}]},
    ).json()["container_ref"]
    refused(client.delete(f"/v1/secrets/{secret_id}"), 409, "is in use by container")
    assert client.delete(container).status_code == 204
    assert client.delete(f"/v1/secrets/{secret_id}").status_code == 204
    refused(client.get(f"/v1/secrets/{secret_id}"), 404, f"Secret {secret_id} not found.")
    refused(client.get(f"/v1/secrets/{secret_id}/payload"), 404, "not found.")
    refused(client.get(container), 404, "not found.")


def test_a_container_shows_its_parts(client: Client) -> None:
    secret_id = a_secret(client)
    made = client.post(
        "/containers/",
        {
            "name": "site",
            "type": "certificate",
            "secret_refs": [{"name": "certificate", "secret_ref": f"/v1/secrets/{secret_id}"}],
        },
    )
    assert made.status_code == 201, made.text
    shown = ContainerMetadata.model_validate_json(client.get(made.json()["container_ref"]).content)
    assert (shown.name, shown.container_ref) == ("site", made.json()["container_ref"])
    assert shown.secret_refs[0].secret_ref == f"{BASE}/v1/secrets/{secret_id}"
    listed = ContainerList.model_validate_json(client.get("/v1/containers?name=site").content)
    assert (listed.containers, listed.total) == ((shown,), 1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type": "generic"}, "type: "),
        ({"secret_refs": [{"name": "certificate", "secret_ref": "/v1/secrets/none"}]}, "secret_refs.0.secret_ref: "),
        ({"secret_refs": [{"name": "colour", "secret_ref": "x"}]}, "secret_refs.0.name: "),
        ({"secret_refs": [{"name": "certificate"}]}, "secret_refs.0.secret_ref: is required"),
        ({"colour": "red"}, "colour: is not a known field"),
    ],
)
def test_a_bad_container_is_refused(client: Client, fields: dict[str, Any], words: str) -> None:
    refused(client.post("/v1/containers", {"type": "certificate", **fields}), 400, words)


def test_what_other_services_register_is_answered_and_changes_nothing(client: Client) -> None:
    secret_id = a_secret(client)
    container_id = client.post("/v1/containers", {}).json()["container_ref"].rpartition("/")[2]
    revision = client.revision()
    secret, container = f"/v1/secrets/{secret_id}", f"/v1/containers/{container_id}"
    consumer = {"name": "octavia", "URL": "http://octavia/x"}
    for method, path in (
        ("GET", f"{secret}/acl"),
        ("PUT", f"{secret}/acl"),
        ("PATCH", f"{secret}/acl"),
        ("DELETE", f"{secret}/acl"),
        *((method, f"{thing}/consumers") for thing in (secret, container) for method in ("GET", "POST", "DELETE")),
    ):
        assert client.request(method, path, None if method == "GET" else consumer).status_code == 200, (method, path)
        refused(client.request(method, path.replace(secret_id, "none").replace(container_id, "none")), 404, "none not found.")
    assert client.revision() == revision


def test_a_payload_may_be_larger_than_other_bodies(client: Client) -> None:
    payload = base64.b64encode(bytes(5 * 2**20)).decode()
    secret_id = a_secret(client, payload=payload, payload_content_encoding="base64", payload_content_type=None)
    assert len(client.get(f"/v1/secrets/{secret_id}/payload").content) == 5 * 2**20
