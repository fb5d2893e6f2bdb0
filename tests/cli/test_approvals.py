"""`ostiary approval` and `ostiary break-glass`: what waits, who agrees, and what is done in an emergency without."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

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


def test_one_person_asks_and_another_agrees_or_there_is_an_emergency(ostiary: Terminal) -> None:
    def somebody(name: str) -> Terminal:
        made = ostiary.does("token", "create", "--role", "admin", "--name", name, "--json").json()
        return replace(ostiary, env={**ostiary.env, "OSTIARY_TOKEN": made["secret"], "OSTIARY_JUSTIFICATION": "vì đã cũ"})

    alice, bob = somebody("alice"), somebody("bob")
    assert ostiary.does("approval", "list").out == "Nothing waits for another person.\n"
    assert "Nothing needs" in alice.is_told("break-glass", "--reason", "fire")
    ostiary.does("settings", "set", "--set", 'approval_needed_for=["CLIENT_CA", "KEY_EXPORT", "NEW_PERSON"]')

    user = ("user", "add", "dave", "--role", "auditor", "--cn", "dave")
    waits = alice(*user)
    assert waits.exit_code == 3
    approval_id = re.search(r"`ostiary approval approve ([0-9a-f-]{36})`", waits.err)
    assert approval_id is not None
    assert (waits.out, waits.err.count("\n")) == ("", 1)
    shown = bob.does("approval", "show", approval_id[1]).out
    for words in ("vì đã cũ", "Somebody may sign in: dave (auditor).", "+ user dave", "You may decide."):
        assert words in shown
    assert "another person has to decide" in alice.does("approval", "show", approval_id[1]).out
    assert "another person has to decide" in alice.is_told("approval", "approve", approval_id[1])
    assert re.search(r"^user:create +[0-9a-f-]{36} +PENDING +alice ", bob.does("approval", "list").out, re.MULTILINE)
    assert bob.does("approval", "approve", approval_id[1]).out == "Agreed, and done: user:create, asked for by alice.\n"
    assert ostiary.does("user", "show", "dave", "--json").json()["let_in_by"] == ["admin", "alice"]

    begun = alice.does("break-glass", "--reason", "fire", "--minutes", "5", "--json").json()
    assert alice(*(one.replace("dave", "eve") for one in user)).exit_code == 0
    assert "Done without approval: 1." in alice.does("break-glass", "end", begun["id"]).out
    assert "another person has to decide" in alice.is_told("break-glass", "review", begun["id"], "--say", "fine")
    assert bob.does("break-glass", "review", begun["id"], "--say", "fine").out == f"Signed off break-glass {begun['id']}.\n"
    assert "REVIEWED" in bob.does("break-glass", "list").out
    waits = alice("token", "create", "--role", "admin", "--name", "frank")
    assert waits.exit_code == 3
    frank = alice.does("approval", "list", "--json").json()[0]["id"]
    assert alice.does("approval", "justify", frank, "--reason", "new").out == f"Said why approval {frank} is needed.\n"
    assert bob.does("approval", "refuse", frank, "--reason", "who?").out == f"Refused approval {frank}.\n"
    assert alice("token", "create", "--role", "admin", "--name", "frank").exit_code == 3
    frank = alice.does("approval", "list", "--json").json()[0]["id"]
    assert "alice sends it once more now" in bob.does("approval", "approve", frank).out
    assert alice.does("token", "create", "--role", "admin", "--name", "frank", "--json").json()["secret"].startswith("oa_")
    assert alice("token", "create", "--role", "admin", "--name", "grace").exit_code == 3
    grace = alice.does("approval", "list", "--json").json()[0]["id"]
    assert alice.does("approval", "withdraw", grace).out == f"Withdrew approval {grace}.\n"
