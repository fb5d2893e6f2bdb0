"""Settings in the console: how ostiary was started, without what is secret in it; and how the reader wants to read."""

from dataclasses import replace
from pathlib import Path

import pytest

from console.visitor import Visitor
from ostiary.console.settings import zones
from ostiary.model.house_door import HouseDoor
from ostiary.ops import house_settings, setup
from ostiary.ops.caller import Caller
from ostiary.settings import Settings, TokenSettings
from support.systems import ADMIN, a_system, sqlite_url

PLACE = "/console/settings"


def started(folder: Path, **options: object) -> setup.Setup:
    given: dict[str, object] = {"data_dir": folder, "token": None, "passphrase_file": None, **options}
    return setup.of(Settings(**given), passphrase=False)  # type: ignore[arg-type]  # options as they come


def facts(visitor: Visitor) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in visitor.get(PLACE).rows()}


def test_it_tells_how_it_runs_and_which_option_says_so(tmp_path: Path) -> None:
    doors = (
        HouseDoor(kind="console", address="0.0.0.0", port=9443, names=("ostiary.test",), socket="/s", demands_certificate=True),
    )
    shown = started(tmp_path, listen="127.0.0.1:9999", public_url="http://pki.test", leave_gateway=True)
    system = replace(a_system(sqlite_url(tmp_path)), setup=shown, doors=doors)
    with Visitor(system) as visitor:
        its = facts(visitor)
        assert its["Data directory"] == [str(tmp_path), "--data-dir, OSTIARY_DATA_DIR"]
        assert its["Database"][0] == f"SQLite {tmp_path / 'ostiary.db'}"
        assert its["API and console"][0] == "127.0.0.1:9999"
        assert "https://ostiary.test:9443" in its["The console's own door"][0]
        assert "Nobody gets in there without a client certificate." in its["The console's own door"][0]
        assert its["The door to enrolment"][0] == "not set"
        assert its["Public address of revocation lists and OCSP"][0] == "http://pki.test"
        assert its["When ostiary is stopped, the gateway"][0] == "serves on"
        assert "without a passphrase" in its["Key-encryption key"][0]
        assert its["Version"][0]
        assert f"ostiary restore ostiary.backup --data-dir {tmp_path}" in visitor.get(PLACE).root.every("pre")[1].text


def test_passwords_and_pins_are_in_none_of_it(tmp_path: Path) -> None:
    pin = tmp_path / "pin-MARKER-file"
    pin.write_text("MARKER-of-a-pin")
    shown = started(
        tmp_path,
        database="postgresql://ann:MARKER-password@db.test:5433/ostiary?password=MARKER-too",
        token=TokenSettings("/usr/lib/softhsm.so", "keys", pin),
    )
    assert "MARKER" not in repr(shown)
    system = replace(a_system(sqlite_url(tmp_path)), setup=replace(shown, passphrase=True))
    with Visitor(system) as visitor:
        page = visitor.get(PLACE)
        assert "MARKER" not in page.reply.text
        its = facts(visitor)
        assert its["Database"][0] == "PostgreSQL db.test:5433/ostiary"
        assert "keys (/usr/lib/softhsm.so)" in its["PKCS#11 token for keys of authorities"][0]
        assert "under a passphrase" in its["Key-encryption key"][0]


def test_how_long_things_last_is_exact(visitor: Visitor) -> None:
    its = facts(visitor)
    assert its["An access token, unless said otherwise"] == ["90 days"]
    assert its["A session at the longest"] == ["12 hours"]
    assert its["A link to sign in"] == ["15 minutes"]


def test_a_reader_chooses_language_and_zone_without_scripts(visitor: Visitor) -> None:
    form = next(one for one in visitor.get(PLACE).root.one("main").every("form"))
    assert form.attrs["action"] == "/console/preferences"
    reply = visitor.raw("POST", "/console/preferences", data={"language": "vi", "zone": "Asia/Ho_Chi_Minh", "back": PLACE})
    assert (reply.status_code, reply.headers["location"]) == (303, PLACE)
    page = visitor.get(PLACE)
    assert page.root.one("html").attrs["lang"] == "vi"
    chosen = [option.text for option in page.root.one("main").every("option", selected="")]
    assert chosen == ["Tiếng Việt", "Asia/Ho_Chi_Minh"]
    assert "How it runs" not in page.text


@pytest.mark.parametrize(
    "sent", [{"zone": "Mars/Olympus"}, {"language": "xx"}, {"zone": "../../etc/passwd"}, {"zone": "x" * 500}]
)
def test_what_is_no_choice_is_refused(visitor: Visitor, sent: dict[str, str]) -> None:
    reply = visitor.raw("POST", "/console/preferences", data={**sent, "back": PLACE})
    assert reply.status_code == 400
    assert "set-cookie" not in reply.headers


def test_zones_are_those_of_places_by_continent() -> None:
    found = dict(zones())
    assert found["UTC"] == ("UTC",)
    assert "Asia/Ho_Chi_Minh" in found["Asia"]
    assert "Etc" not in found


def test_every_role_may_look(visitor: Visitor) -> None:
    with visitor.another("olga", "auditor") as auditor:
        assert auditor.get(PLACE).status == 200


def test_what_is_decided_is_changed_in_a_pop_up_and_wrong_numbers_stay_there(tmp_path: Path) -> None:
    with Visitor(a_system(sqlite_url(tmp_path))) as visitor:
        form = visitor.get(f"{PLACE}/edit").form(f"{PLACE}/edit")
        page = form.send(audit_retention_days="7")
        assert page.status == 422
        assert "must be 30 or more" in page.text
        assert page.form(f"{PLACE}/edit").send(audit_retention_days="800").status == 200
        assert house_settings.get(visitor.system, ADMIN).audit_retention_days == 800
        assert "800 days" in visitor.get(PLACE).text


def test_whoever_was_overtaken_is_told_and_decides_again(tmp_path: Path) -> None:
    with Visitor(a_system(sqlite_url(tmp_path))) as visitor:
        form = visitor.get(f"{PLACE}/edit").form(f"{PLACE}/edit")
        house_settings.update(visitor.system, Caller("bob", "admin"), {"audit_retention_days": 500})
        page = form.send(audit_retention_days="800")
        assert page.status == 409
        assert "bob has changed this while you were editing" in page.text
        assert house_settings.get(visitor.system, ADMIN).audit_retention_days == 500
        assert page.form(f"{PLACE}/edit").send().status == 200
        assert house_settings.get(visitor.system, ADMIN).audit_retention_days == 800
