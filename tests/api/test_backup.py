"""A backup over the API: the same file as the command's, for administrators alone, and on record."""

from pathlib import Path

import pytest

from api.client import TOKEN, Client
from ostiary import restoring
from ostiary.model.token import NewToken
from ostiary.ops import tokens
from ostiary.pki import kek
from ostiary.pki.sealed_stream import MAGIC
from support.made import an_authority
from support.systems import ADMIN

PASSPHRASE = "correct horse battery staple"
WANTED = {"backup": {"passphrase": PASSPHRASE}}


@pytest.fixture(autouse=True)
def _a_passphrase_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    real = kek.Cost
    monkeypatch.setattr(kek, "Cost", lambda *given: real(*(given or (1, 1, 64))))


def test_it_is_a_file_that_can_be_restored_and_says_so_on_record(client: Client, tmp_path: Path) -> None:
    an_authority(client.system)
    answer = client.post("/v1/backup", WANTED)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith('attachment; filename="ostiary-')
    assert answer.content.startswith(MAGIC)
    file = tmp_path / "a.backup"
    file.write_bytes(answer.content)
    done = restoring.verify(restoring.Given(file, PASSPHRASE.encode()))
    assert (done.manifest.has_kek, done.outcome.recalled) == (False, ()), "this system has no file that holds its key"
    record = client.get("/v1/audit?order=desc&limit=2").json()["audit"]
    assert [entry["action"] for entry in record] == ["backup:finish", "backup:make"]
    assert record[0]["after"]["sha256"] == done.outcome.backup_sha256
    assert PASSPHRASE not in client.get("/v1/audit").text


def test_what_cannot_be_is_refused_before_the_first_octet(client: Client) -> None:
    for body, status in (
        ({"backup": {"passphrase": "short"}}, 400),
        ({"backup": {}}, 400),
        ({"backup": {"passphrase": PASSPHRASE, "to": "/etc/cron.d/x"}}, 400),
        ({}, 400),
    ):
        answer = client.post("/v1/backup", body)
        assert answer.status_code == status, answer.text
        assert PASSPHRASE not in answer.text


@pytest.mark.parametrize("role", ["operator", "auditor"])
def test_nobody_else_may(client: Client, role: str) -> None:
    _, secret = tokens.create(client.system, ADMIN, NewToken(role=role, name="tom"))  # type: ignore[arg-type]  # a literal
    answer = client.post("/v1/backup", WANTED, headers={"X-Auth-Token": bytes(secret).decode()})
    assert answer.status_code == 403
    assert client.post("/v1/backup", WANTED, headers={"X-Auth-Token": TOKEN[:-1]}).status_code == 401
