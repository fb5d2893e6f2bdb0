"""Where many ask for certificates at once they are made together; each gets its own, or hears why not, as one who comes alone."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509

from api.client import TOKEN, Client
from ostiary.ops import audit, certificates, rush
from ostiary.ops.system import System
from ostiary.signers import MANY, Signers
from support.certs import csr, new_key
from support.made import an_authority
from support.systems import ADMIN, a_system, sqlite_url
from support.wait import eventually


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    made = replace(a_system(sqlite_url(tmp_path)), signers=Signers(1))
    yield made
    made.signers.close()


@pytest.fixture
def client(system: System) -> Iterator[Client]:
    with Client(system) as connected:
        yield connected


def together(client: Client, bodies: list[Any], **headers: str) -> list[httpx.Response]:
    """All of them at the same time."""

    async def send() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=client.app)
        shown = {"X-Auth-Token": TOKEN, **headers}
        async with httpx.AsyncClient(transport=transport, base_url="http://ostiary.test", headers=shown) as http:
            return list(await asyncio.gather(*(http.post("/v1/certificates", json={"certificate": body}) for body in bodies)))

    return asyncio.run(send())


def in_a_rush(client: Client, authority_id: str) -> None:
    """Ask until certificates are made together."""

    def are_made() -> bool:
        together(client, [{"authority_id": authority_id, "csr": csr(new_key(), f"early {number}")} for number in range(2 * MANY)])
        return len(client.system.rush) > 0

    eventually(are_made)


def test_each_gets_its_own_and_it_is_on_record(client: Client) -> None:
    authority = an_authority(client.system)
    in_a_rush(client, authority.id)
    names = [f"device {number}" for number in range(40)]
    answers = together(
        client, [{"authority_id": authority.id, "csr": csr(new_key(), name), "owner": f"owner of {name}"} for name in names]
    )
    assert {answer.status_code for answer in answers} == {201}
    made = [answer.json()["certificate"] for answer in answers]
    assert [(one["subject"], one["owner"]) for one in made] == [(f"CN={name}", f"owner of {name}") for name in names]
    ca = x509.load_pem_x509_certificate(authority.certificate.encode())
    for one in made:
        x509.load_pem_x509_certificate(one["certificate"].encode()).verify_directly_issued_by(ca)
        assert certificates.get(client.system, ADMIN, one["id"]).certificate == one["certificate"]
    assert audit.verify(client.system, ADMIN).problem is None


def test_who_is_refused_hears_why_and_all_others_get_theirs(client: Client) -> None:
    authority = an_authority(client.system)
    in_a_rush(client, authority.id)
    key = new_key()
    bodies = [{"authority_id": authority.id, "csr": csr(new_key(), f"n{number}")} for number in range(12)]
    bodies[3]["csr"] = "no request"
    bodies[5]["owner"] = 7  # type: ignore[assignment]  # a mistake
    bodies[7] |= {"csr": csr(key, "one"), "owner": "ann"}
    bodies[8] |= {"csr": csr(key, "one"), "owner": "bob"}
    answers = together(client, bodies)
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses[7:9]) == [201, 400]  # the same key is one holder's
    assert statuses[:7] + statuses[9:] == [201, 201, 201, 400, 201, 400, 201, 201, 201, 201]
    assert [answers[3].json()["field"], answers[5].json()["field"]] == ["csr", "owner"]


def test_a_key_to_repeat_it_with_is_obeyed(client: Client) -> None:
    authority = an_authority(client.system)
    in_a_rush(client, authority.id)
    body = {"authority_id": authority.id, "csr": csr(new_key(), "once")}
    answers = together(client, [body] * 8, **{"Idempotency-Key": "the same"})
    assert len({answer.json()["certificate"]["id"] for answer in answers}) == 1


def test_what_changes_meanwhile_is_asked_anew(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = an_authority(client.system)
    in_a_rush(client, authority.id)
    made = rush._stored

    def later(one: Any, *rest: Any) -> Any:
        return made(replace(one, desk=replace(one.desk, revision=one.desk.revision - 1)), *rest)

    monkeypatch.setattr(rush, "_stored", later)
    answers = together(client, [{"authority_id": authority.id, "csr": csr(new_key(), f"n{number}")} for number in range(8)])
    assert {answer.status_code for answer in answers} == {201}


def test_when_the_threads_fail_everybody_is_still_served(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = an_authority(client.system)
    in_a_rush(client, authority.id)

    def fail(*_: Any, **__: Any) -> Any:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(rush, "record_all", fail)
    answers = together(client, [{"authority_id": authority.id, "csr": csr(new_key(), f"n{number}")} for number in range(8)])
    assert {answer.status_code for answer in answers} == {201}
