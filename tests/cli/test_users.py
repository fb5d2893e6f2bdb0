"""`ostiary user`, `ostiary session` and `ostiary console`: who signs in, who is signed in, and the way in."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.certs import csr, new_key
from support.commands import Terminal
from support.stack import Ostiary

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ostiary]:
    with Ostiary(tmp_path_factory.mktemp("cli")) as running:
        yield running


@pytest.fixture
def ostiary(house: Ostiary, tmp_path: Path) -> Terminal:
    return Terminal(house, tmp_path, {"OSTIARY_URL": f"http://{house.listen}", "OSTIARY_DATA_DIR": str(house.data_dir)})


def test_a_user_is_added_shown_changed_and_removed(ostiary: Terminal) -> None:
    for other in ostiary.does("user", "list", "--json").json():  # of a test that came before
        ostiary.does("user", "remove", other["name"])
    assert ostiary.does("user", "list").out == (
        "No user yet: the console opens to links and tokens. Add one with `ostiary user add`.\n"
    )
    staff = ostiary.does("ca", "create", "Staff", "--json").json()
    added = ostiary.does("user", "add", "alice", "--role", "admin", "--cn", "alice", "--ca", "Staff")
    assert added.out == "Added alice (admin): CA Staff; CN alice.\n"
    user = ostiary.does("user", "show", "alice", "--json").json()
    assert (user["certificate"]["authority_ids"], user["certificate"]["subject_cn"]) == ([staff["id"]], ["alice"])
    assert re.search(r"^role +admin$", ostiary.does("user", "show", user["id"]).out, re.MULTILINE)
    changed = ostiary.does("user", "set", "alice", "--role", "auditor", "--ca", "", "--email", "*@a.test", "--json").json()
    assert (changed["role"], changed["certificate"]["authority_ids"]) == ("auditor", [])
    assert re.search(r"alice +auditor +CN alice; e-mail \*@a\.test ", ostiary.does("user", "list").out)
    assert ostiary.does("user", "list", "--json").json() == [changed]
    assert ostiary.does("user", "remove", "alice").out == f"Removed alice ({user['id']}).\n"
    assert ostiary.does("user", "list", "--json").json() == []


def test_what_makes_no_sense_is_told_in_a_line(ostiary: Terminal) -> None:
    told = ostiary.is_told
    assert "without a condition everybody" in told("user", "add", "eve", "--role", "admin")
    assert "there is no authority 'Nobody'" in told("user", "add", "eve", "--role", "admin", "--ca", "Nobody")
    assert "role" in told("user", "add", "eve", "--role", "king", "--cn", "eve")
    assert "there is no user 'eve'" in told("user", "remove", "eve")
    ostiary.does("user", "add", "ann", "--role", "auditor", "--cn", "ann")
    assert "say what to change" in told("user", "set", "ann")
    assert "without a condition everybody" in told("user", "set", "ann", "--cn", "")
    assert "one person has one role" in told("token", "create", "--role", "admin", "--name", "ann")
    ostiary.does("user", "remove", "ann")


def test_the_way_in_is_printed_and_works_once(ostiary: Terminal, house: Ostiary) -> None:
    printed = ostiary.does("console").out
    found = re.match(rf"http://{house.listen}(/console/sign-in/ol_[\w-]{{32}})\n\nIt works once, until 20\S+Z\.", printed)
    assert found is not None, printed
    link = ostiary.does("console", "--json").json()
    assert set(link) == {"url", "expires_at"}
    assert link["url"].startswith(f"http://{house.listen}/console/sign-in/ol_")
    assert house.request("GET", found[1]).status_code == 200


def test_who_is_signed_in_is_listed_and_signed_out(ostiary: Terminal, house: Ostiary) -> None:
    assert ostiary.does("session", "end").out == "Signed out everywhere.\n"
    assert ostiary.does("session", "list").out == "Nobody is signed in.\n"
    for _ in range(2):
        path = ostiary.does("console", "--json").json()["url"].removeprefix(f"http://{house.listen}")
        assert form(house, path) == 303
    first, second = ostiary.does("session", "list", "--json").json()
    assert (first["name"], first["how"], first["source"]) == ("admin", "link", "127.0.0.1")
    assert ostiary.does("session", "end", first["id"]).out == "Ended.\n"
    assert second["id"] in ostiary.does("session", "list").out
    assert "not found" in ostiary.is_told("session", "end", first["id"])
    ostiary.does("session", "end", "--name", "admin")
    assert ostiary.does("session", "list", "--json").json() == []


def form(house: Ostiary, path: str) -> int:
    """Press the button there; the status."""
    return httpx.post(f"http://{house.listen}{path}", data={"next": ""}, trust_env=False).status_code


def test_an_operator_asks_with_a_token_of_their_own(ostiary: Terminal) -> None:
    token = ostiary.does("token", "create", "--role", "operator", "--name", "bob", "--json").json()["secret"]
    ostiary.does("user", "add", "carl", "--role", "operator", "--cn", "carl")
    assert "carl" in ostiary("user", "list", OSTIARY_TOKEN=token).out
    assert "may not user:create" in ostiary.is_told("user", "add", "x", "--role", "admin", "--cn", "x", OSTIARY_TOKEN=token)
    assert "/console/sign-in/ol_" in ostiary("console", OSTIARY_TOKEN=token).out
    assert "may not session:others" in ostiary.is_told("session", "end", "--name", "admin", OSTIARY_TOKEN=token)


def test_a_csr_can_be_made_for_a_user(ostiary: Terminal) -> None:
    """As the docs have it: the administrator issues what the user signs in with."""
    ostiary.does("ca", "create", "People")
    (ostiary.folder / "dora.csr").write_text(csr(new_key(), "dora"))
    issued = ostiary.does("cert", "issue", "dora.csr", "--ca", "People", "--json").json()
    ostiary.does("user", "add", "dora", "--role", "operator", "--fingerprint", issued["fingerprint_sha256"])
    assert f"fingerprint {issued['fingerprint_sha256'][:12]}…" in ostiary.does("user", "list").out
