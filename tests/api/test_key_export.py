"""Keys of authorities over the API: out under a passphrase, and in again."""

from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from api.client import Client
from api.nouns import made
from support.certs import Authority, key_pem

CAS = "/v1/authorities"
PASSPHRASE = "correct horse battery staple"


def exported(client: Client, authority_id: str, **fields: Any) -> Any:
    return client.post(f"{CAS}/{authority_id}/export", {"export": {"passphrase": PASSPHRASE, **fields}})


def test_a_key_is_exported_removed_and_imported(client: Client) -> None:
    root = made(client, CAS, "authority", name="root")
    copy = exported(client, root["id"])
    assert (copy.status_code, copy.headers["cache-control"]) == (200, "no-store")
    gone = exported(client, root["id"], remove=True).json()["export"]
    assert (gone["format"], gone["removed"]) == ("pkcs8", True)
    load_pem_private_key(gone["content"].encode(), PASSPHRASE.encode())
    offline = client.get(f"{CAS}/{root['id']}").json()["authority"]
    assert not offline["has_key"]
    assert client.get(offline["crl_href"], headers={"X-Auth-Token": ""}).status_code == 200
    body = {"certificate": root["certificate"], "private_key": gone["content"], "passphrase": PASSPHRASE}
    back = client.post(CAS, {"authority": body})
    assert (back.status_code, back.json()["authority"]["id"]) == (201, root["id"])
    assert back.json()["authority"]["has_key"]


def test_an_authority_with_its_key_is_imported(client: Client) -> None:
    root = Authority.root("Elsewhere")
    body = {"name": "ours now", "certificate": root.cert_pem, "private_key": key_pem(root.key, PASSPHRASE)}
    reply = client.post(CAS, {"authority": {**body, "passphrase": PASSPHRASE}})
    assert reply.status_code == 201, reply.text
    assert (reply.json()["authority"]["name"], reply.json()["authority"]["has_key"]) == ("ours now", True)
    assert key_pem(root.key).splitlines()[1] not in reply.text
    again = client.post(CAS, {"authority": {**body, "passphrase": PASSPHRASE}})
    assert again.status_code == 409


def test_what_is_wrong_is_said_by_its_name_and_without_the_passphrase(client: Client) -> None:
    root = made(client, CAS, "authority", name="root")
    for fields, name in (({"passphrase": "short"}, "passphrase"), ({"format": "der"}, "format"), ({"extra": 1}, "extra")):
        reply = exported(client, root["id"], **fields)
        assert reply.status_code == 400
        assert reply.json()["detail"].startswith(f"{name}"), reply.text
        assert PASSPHRASE not in reply.text
    assert exported(client, "nowhere").status_code == 404
    assert client.get(f"{CAS}/{root['id']}").json()["authority"]["has_key"]


def test_custody_is_shown_and_a_token_that_is_not_there_is_refused(client: Client) -> None:
    assert made(client, CAS, "authority", name="root")["custody"] == "file"
    reply = client.post(CAS, {"authority": {"name": "in a token", "custody": "pkcs11"}})
    assert reply.status_code == 400
    assert "no PKCS#11 token is set up here" in reply.json()["detail"]
