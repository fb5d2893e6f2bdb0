"""`ostiary explain`: a clear verdict, the way out, and a table of checks; the answer is an answer whatever it says."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ostiary.clock import now
from support.certs import Authority, csr, new_key
from support.commands import Terminal
from support.stack import Ostiary

pytestmark = pytest.mark.live

STRANGER = Authority.root("Stranger").client("mallory")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ostiary]:
    with Ostiary(tmp_path_factory.mktemp("explain")) as running:
        yield running


@pytest.fixture(scope="module")
def alice(house: Ostiary) -> dict[str, Any]:
    """A certificate that was issued here, for the listener "door", which demands one."""
    authority = house.call("POST", "/v1/authorities", {"authority": {"name": "Staff", "kind": "root"}})["authority"]
    house.door(client_authentication="MANDATORY", client_ca_tls_container_ref=authority["href"])
    wanted = {"authority_id": authority["id"], "csr": csr(new_key(), "alice")}
    return dict(house.call("POST", "/v1/certificates", {"certificate": wanted})["certificate"])


@pytest.fixture
def ostiary(house: Ostiary, alice: dict[str, Any], tmp_path: Path) -> Terminal:
    (tmp_path / "alice.pem").write_text(alice["certificate"])
    (tmp_path / "mallory.pem").write_text(STRANGER.cert_pem)
    (tmp_path / "mallory.key").write_text(STRANGER.key_pem)
    return Terminal(house, tmp_path, {"OSTIARY_URL": f"http://{house.listen}", "OSTIARY_DATA_DIR": str(house.data_dir)})


def test_who_is_let_in_is_told_so(ostiary: Terminal, alice: dict[str, Any]) -> None:
    said = ostiary.does("explain", "alice.pem", "--listener", "door", "--host", "a.test", "--path", "/x").out
    assert said.startswith("ALLOWED at the request: allowed. ")
    assert "What to do" not in said
    by_serial = ostiary.does("explain", "--certificate-id", alice["serial"], "--listener", "door").out
    assert by_serial.startswith("ALLOWED")


def test_who_is_refused_is_told_why_by_which_check_and_what_to_do(ostiary: Terminal) -> None:
    said = ostiary.does("explain", "mallory.pem", "--listener", "door").out
    verdict, fix, empty, head, *checks = said.splitlines()
    assert verdict.startswith("REFUSED at the handshake: unknown_authority. ")
    assert fix.startswith("What to do: No authority that the listener trusts")
    assert (empty, head.split()) == ("", ["stage", "check", "result", "detail"])
    results = {line.split()[1]: line.split()[2] for line in checks}
    assert (results["presented"], results["issuer"], results["path"]) == ("passed", "failed", "not")


def test_programs_get_the_whole_answer(ostiary: Terminal) -> None:
    later = f"{now() + timedelta(days=20):%Y-%m-%dT%H:%M:%SZ}"
    asked = ("--host", "a.test", "--sni", "b.test", "--method", "PUT", "--source", "192.0.2.1", "--at", later)
    answer = ostiary.does("explain", "alice.pem", "--listener", "door", *asked, "--header", "Origin: x", "--json").json()
    assert (answer["decision"], answer["reason"]) == ("DENY", "misdirected")


def test_of_a_rehearsal_both_are_told(ostiary: Terminal, house: Ostiary) -> None:
    (door,) = house.call("GET", "/v2/lbaas/listeners?name=door")["listeners"]
    house.change(door["id"], client_authentication="REHEARSAL")
    said = ostiary.does("explain", "--no-certificate", "--listener", door["id"]).out
    house.change(door["id"], client_authentication="MANDATORY")
    assert said.startswith("ALLOWED at the request: allowed. ")
    assert "\nWOULD BE REFUSED without the rehearsal, at the handshake: no_certificate. " in said


def test_what_cannot_be_asked_is_told_in_one_line(ostiary: Terminal) -> None:
    door = ("--listener", "door")
    assert "say what the client shows" in ostiary.is_told("explain", *door)
    assert "there is no listener 'gate'" in ostiary.is_told("explain", "alice.pem", "--listener", "gate")
    assert "private key" in ostiary.is_told("explain", "mallory.key", *door)
    assert "path: " in ostiary.is_told("explain", "alice.pem", *door, "--path", "admin")
    assert "--header" in ostiary.is_told("explain", "alice.pem", *door, "--header", "Origin")


def test_help_shows_how_it_is_used(ostiary: Terminal) -> None:
    said = ostiary.does("explain", "--help").out
    assert "ostiary explain client.pem --listener door" in said
