"""Grants, access tokens and enrolment over HTTP: what strangers may send, what they are told, and how often."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from starlette.types import ASGIApp

from api.client import TOKEN, Client
from api.nouns import made
from ostiary.asgi.attempts import Attempts
from ostiary.asgi.doors import AtTheDoor
from ostiary.errors import TooMany
from ostiary.model.house_door import HouseDoor
from ostiary.ops import house_doors
from ostiary.ops.system import System
from ostiary.pki.holder import new_key_and_request
from support.systems import FakeClock, a_system, sqlite_url

DOOR = HouseDoor(kind="enrolment", address="127.0.0.1", port=9443, names=("door.test", "127.0.0.1"), socket="/nowhere")


class AtDoor(Client):
    """The same client, as the gateway forwards it."""

    def __init__(self, system: System, **headers: str) -> None:
        super().__init__(system, token=None)
        wrapped: ASGIApp = AtTheDoor(self.app)
        transport = httpx.ASGITransport(app=wrapped, client=("unix", 0))
        self._http = httpx.AsyncClient(transport=transport, base_url="https://door.test:9443", headers=headers)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def system(tmp_path: Path, clock: FakeClock) -> System:
    return replace(a_system(sqlite_url(tmp_path), clock), doors=(DOOR,))


@pytest.fixture
def client(system: System) -> Iterator[Client]:
    house_doors.prepare(system)
    with Client(system) as connected:
        yield connected


def a_grant(client: Client, **fields: Any) -> dict[str, Any]:
    known = client.get("/v1/authorities?name=Devices").json()["authorities"]
    authority = known[0] if known else made(client, "/v1/authorities", "authority", name="Devices")
    wanted = {"authority_id": authority["id"], "profile": "client", "names": {"common_name": "sensor"}, **fields}
    return made(client, "/v1/tokens", "token", **wanted)


def a_request() -> str:
    return new_key_and_request("x")[1]


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}", "X-Auth-Token": secret}


def test_a_grant_tells_how_to_use_it_once(client: Client) -> None:
    grant = a_grant(client)
    ca = client.get("/enroll/ca.pem").text
    digest = x509.load_pem_x509_certificate(ca.encode()).fingerprint(hashes.SHA256()).hex()
    assert grant["url"] == f"https://door.test:9443/enroll/{grant['secret']}"
    assert grant["command"] == f"ostiary enroll {grant['url']} --ca-sha256 {digest}"
    assert grant["secret"] in grant["shell"]
    listed = client.get("/v1/tokens").json()["tokens"]
    shown = client.get(f"/v1/tokens/{grant['id']}").json()["token"]
    assert listed == [shown]
    assert grant["secret"] not in json.dumps(listed)
    assert not {"secret", "url", "command", "shell"} & shown.keys()


def test_without_a_door_a_grant_has_no_link(tmp_path: Path) -> None:
    with Client(a_system(sqlite_url(tmp_path))) as doorless:
        grant = a_grant(doorless)
        assert (grant["url"], grant["command"], grant["secret"][:3]) == ("", "", "oe_")
        assert doorless.get("/enroll/ca.pem").status_code == 404
        assert doorless.get(f"/enroll/{grant['secret']}").status_code == 200


def test_json_is_answered_with_json_and_pem_with_pem(client: Client) -> None:
    with AtDoor(client.system) as door:
        grant = a_grant(client, uses=3)
        answer = door.post("/v1/enroll", {"enrolment": {"csr": a_request()}}, headers=bearer(grant["secret"]))
        assert answer.status_code == 201
        assert answer.json()["certificate"]["subject"] == "CN=sensor"
        within = door.post("/v1/enroll", {"enrolment": {"csr": a_request(), "token": grant["secret"]}})
        assert within.status_code == 201
        plain = door.post("/v1/enroll", content=a_request(), headers=bearer(grant["secret"]))
        assert (plain.status_code, plain.headers["content-type"]) == (201, "application/pem-certificate-chain")
        assert x509.load_pem_x509_certificates(plain.content)


@pytest.mark.parametrize(
    "body",
    [b"", b"hello", b"{}", b'{"enrolment": {}}', b'{"enrolment": {"csr": "x", "names": {}}}', b"-----BEGIN" + b"A" * 70_000],
)
def test_what_is_no_request_is_refused_by_name(client: Client, body: bytes) -> None:
    grant = a_grant(client)
    with AtDoor(client.system) as door:
        answer = door.post("/v1/enroll", content=body, headers=bearer(grant["secret"]))
        assert (answer.status_code, "field" in answer.json()) == (400, True), answer.text
        assert door.post("/v1/enroll", content=a_request(), headers=bearer(grant["secret"])).status_code == 201


def test_wrong_used_and_expired_are_answered_alike(client: Client, clock: FakeClock) -> None:
    spent, old = a_grant(client), a_grant(client, expires_in="PT2M")
    with AtDoor(client.system) as door:
        assert door.post("/v1/enroll", content=a_request(), headers=bearer(spent["secret"])).status_code == 201
        clock.advance(minutes=3)
        answers = set()
        for secret in (spent["secret"], old["secret"], "oe_never", TOKEN):
            for accept in ("text/html", "*/*"):
                page = door.get(f"/enroll/{secret}", headers={"Accept": accept})
                posted = door.post("/v1/enroll", content=a_request(), headers=bearer(secret))
                answers.add((accept, page.status_code, page.text, posted.status_code, posted.text))
                clock.advance(minutes=2)
    assert {(one[0], one[1], one[3]) for one in answers} == {("text/html", 403, 403), ("*/*", 403, 403)}
    assert len(answers) == 2


def test_who_tries_many_tokens_has_to_wait_and_others_need_not(client: Client, clock: FakeClock) -> None:
    grant = a_grant(client)
    with AtDoor(client.system) as door:
        one, other = {"X-Real-IP": "192.0.2.1"}, {"X-Real-IP": "192.0.2.2"}
        door.app.state.attempts = Attempts(at_most=5)
        tried = [door.post("/v1/enroll", content=a_request(), headers={**one, **bearer(f"oe_{n}")}) for n in range(7)]
        assert [answer.status_code for answer in tried] == [403] * 5 + [429] * 2
        assert door.get(f"/enroll/{grant['secret']}", headers=one).status_code == 429
        assert door.get(f"/enroll/{grant['secret']}", headers=other).status_code == 200
        clock.advance(minutes=1)
        assert door.post("/v1/enroll", content=a_request(), headers={**one, **bearer(grant["secret"])}).status_code == 201


def test_attempts_are_remembered_in_bounded_memory() -> None:
    clock = FakeClock()
    attempts = Attempts(at_most=1, remembered=100)
    for number in range(1000):
        attempts.failed(f"10.0.{number // 250}.{number % 250}", clock())
    assert len(attempts) == 100
    attempts.failed("2001:db8::1", clock())
    with pytest.raises(TooMany):
        attempts.refuse_if_many("2001:db8::ffff", clock())  # the same holder's network
    attempts.refuse_if_many("2001:db8:0:1::1", clock())
    clock.advance(seconds=timedelta(minutes=2).total_seconds())
    attempts.refuse_if_many("2001:db8::1", clock())


def test_the_page_runs_our_own_script_and_nothing_else(client: Client) -> None:
    grant = a_grant(client, names={"common_name": "<script>alert(1)</script>"})
    page = client.get(f"/enroll/{grant['secret']}", headers={"Accept": "text/html"})
    policy = page.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.text.count("<script") == 1
    assert "<script>alert" not in page.text
    assert "style=" not in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"


def test_the_page_without_html_is_text(client: Client) -> None:
    grant = a_grant(client)
    page = client.get(f"/enroll/{grant['secret']}")
    assert page.headers["content-type"] == "text/plain; charset=utf-8"
    assert grant["command"] in page.text
    assert all(line in page.text for line in grant["shell"].splitlines())


def certificate_header(pem: str) -> str:
    der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)
    return f":{base64.b64encode(der).decode()}:"


def test_a_certificate_in_a_header_counts_at_the_door_alone(client: Client, clock: FakeClock) -> None:
    """PKI pitfall 17."""
    grant = a_grant(client)
    with AtDoor(client.system) as door:
        held = door.post("/v1/enroll", {"enrolment": {"csr": a_request()}}, headers=bearer(grant["secret"])).json()["certificate"]
        clock.advance(days=60)
        shown = {"Client-Cert": certificate_header(held["certificate"])}
        assert client.post("/v1/enroll/renew", content=a_request(), headers=shown).status_code == 403
        for wrong in ("", ":", "::", ":AAAA:", "AAAA", f"{shown['Client-Cert']}, {shown['Client-Cert']}", ":====:"):
            assert door.post("/v1/enroll/renew", content=a_request(), headers={"Client-Cert": wrong}).status_code == 403
        twice = [("Client-Cert", shown["Client-Cert"])] * 2
        assert door.post("/v1/enroll/renew", content=a_request(), headers=twice).status_code == 403
        renewed = door.post("/v1/enroll/renew", {"enrolment": {"csr": a_request()}}, headers=shown)
        assert (renewed.status_code, renewed.json()["certificate"]["subject"]) == (201, "CN=sensor")


def test_no_token_opens_the_api_at_the_door(client: Client) -> None:
    with AtDoor(client.system) as door:
        for path in ("/v1/tokens", "/v1/authorities", "/v2/lbaas/listeners", "/", "/docs", "/openapi.json", "/healthz"):
            assert door.get(path, headers=bearer(TOKEN)).status_code == 404, path
        assert door.delete("/v1/enroll", headers=bearer(TOKEN)).status_code == 401
        assert door.get("/enroll/ca.pem").status_code == 200


def test_an_access_token_is_a_person(client: Client) -> None:
    bob = made(client, "/v1/tokens", "token", name="bob", role="operator")
    assert (bob["kind"], bob["secret"][:3]) == ("access", "oa_")
    as_bob = {"X-Auth-Token": bob["secret"]}
    assert client.get("/v2/lbaas/listeners", headers=as_bob).status_code == 200
    lb = {"loadbalancer": {"vip_address": "127.0.0.1"}}
    assert client.post("/v2/lbaas/loadbalancers", lb, headers=as_bob).status_code == 201
    assert client.get("/v1/revisions?limit=1").json()["revisions"][0]["actor"] == "bob"
    assert client.post("/v1/authorities", {"authority": {"name": "x"}}, headers=as_bob).status_code == 403
    assert client.delete(f"/v1/tokens/{bob['id']}", headers=as_bob).status_code == 403
    assert client.delete(f"/v1/tokens/{bob['id']}").status_code == 204
    assert client.get("/v2/lbaas/listeners", headers=as_bob).status_code == 401


def test_a_grant_opens_no_api(client: Client) -> None:
    assert client.get("/v1/tokens", headers={"X-Auth-Token": a_grant(client)["secret"]}).status_code == 401


def test_access_and_grants_do_not_mix(client: Client) -> None:
    answer = client.post("/v1/tokens", {"token": {"role": "operator", "name": "bob", "groups": ["a"]}})
    assert (answer.status_code, "groups" in answer.json()["detail"]) == (400, True)


def test_an_error_within_tells_no_log_the_token(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("ostiary.ops.enrolling.offered", broken)
    assert client.get("/enroll/oe_very-secret").status_code == 500
    printed = capsys.readouterr()
    assert "internal error" in printed.out + printed.err
    assert "very-secret" not in printed.out + printed.err
