"""The life of a CA on the command line: requests that wait, the next of a series, rotation, revocation of an authority."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.certs import csr, new_key
from support.commands import Terminal
from support.stack import Ostiary

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ostiary]:
    with Ostiary(tmp_path_factory.mktemp("ca-life")) as running:
        yield running


@pytest.fixture
def terminal(house: Ostiary, tmp_path: Path) -> Terminal:
    return Terminal(house, tmp_path, {"OSTIARY_URL": f"http://{house.listen}", "OSTIARY_DATA_DIR": str(house.data_dir)})


def new_authority(house: Ostiary, name: str, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = house.call("POST", "/v1/authorities", {"authority": {"name": name, **fields}})["authority"]
    return made


def new_certificate(house: Ostiary, authority: dict[str, Any], cn: str, **fields: Any) -> dict[str, Any]:
    wanted = {"authority_id": authority["id"], "csr": csr(new_key(), cn), **fields}
    answer: dict[str, Any] = house.call("POST", "/v1/certificates", {"certificate": wanted})
    return answer


def test_a_request_waits_until_another_person_agrees(house: Ostiary, terminal: Terminal) -> None:
    authority = new_authority(house, "Asked")
    terminal.does("profile", "create", "badge", "--set", "approval=one")
    waiting = new_certificate(house, authority, "eve", profile="badge", justification="first day")["certificate_request"]
    assert "first day" in terminal.does("request", "list").out
    assert "admin asked for it" in terminal.is_told("request", "approve", waiting["id"])
    assert terminal.does("request", "show", waiting["id"], "--json").json()["status"] == "PENDING"
    terminal.does("request", "refuse", waiting["id"], "--reason", "who is eve?")
    assert "No request waits." in terminal.does("request", "list").out
    (refused,) = [one for one in terminal.does("request", "list", "--all", "--json").json() if one["id"] == waiting["id"]]
    assert refused["decisions"][0]["reason"] == "who is eve?"


def test_two_people_with_tokens_of_their_own_agree(house: Ostiary, terminal: Terminal) -> None:
    authority = new_authority(house, "Asked by two")
    terminal.does("profile", "create", "vault", "--set", "approval=two")
    waiting = new_certificate(house, authority, "safe", profile="vault")["certificate_request"]
    for person in ("bob", "carol"):
        made = terminal("token", "create", "--role", "operator", "--name", person, "--json").json()
        agreed = terminal("request", "approve", waiting["id"], "--json", OSTIARY_TOKEN=made["secret"]).json()
    assert agreed["status"] == "ISSUED"
    assert [one["by"] for one in agreed["decisions"]] == ["bob", "carol"]


def test_a_rotation_from_start_to_undo(house: Ostiary, terminal: Terminal) -> None:
    old, _ = new_authority(house, "Old devices"), new_authority(house, "New devices")
    new_certificate(house, old, "d1")
    assert "1 clients are left on the old authority" in terminal.does("ca", "rotate", "start", "Old devices", "New devices").out
    assert "UNDER_WAY" in terminal.does("ca", "rotate", "list").out
    assert "CN=d1" in terminal.does("ca", "rotate", "show", "Old devices").out
    assert "force" in terminal.is_told("ca", "rotate", "finish", "Old devices")
    assert "FINISHED" in terminal.does("ca", "rotate", "finish", "Old devices", "--force").out
    assert "UNDONE" in terminal.does("ca", "rotate", "undo", "Old devices").out
    assert "no rotation 'Nobody'" in terminal.is_told("ca", "rotate", "show", "Nobody")


def test_an_authority_is_rolled_and_an_intermediate_revoked(house: Ostiary, terminal: Terminal) -> None:
    root = new_authority(house, "Top")
    below = new_authority(house, "Below", kind="intermediate", parent_id=root["id"])
    assert "Below now issues as CN=Below G2" in terminal.does("ca", "roll", "Below").out
    assert new_certificate(house, below, "x")["certificate"]["authority_id"] != below["id"]
    assert terminal.does("ca", "show", "Below", "--json").json()["id"] == below["id"]  # the name still means one authority
    assert "Revoked CN=Below (cACompromise)" in terminal.does("ca", "revoke", "Below", "--reason", "cACompromise", "--yes").out
    assert "was revoked at" in terminal.is_told("ca", "revoke", "Below", "--yes")
