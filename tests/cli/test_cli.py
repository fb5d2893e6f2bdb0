"""The commands as people and scripts use them: the real program against a running ostiary."""

import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import psutil
import pytest
import typer.main
from cryptography import x509

from ostiary.cli.main import app
from support.backend import Backend
from support.certs import Authority
from support.commands import Done, Terminal, here, run
from support.ports import free_port
from support.processes import start
from support.stack import Door, Ostiary
from support.tls_clients import Refused, TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live

# They start and stop things, need them stopped, or run on devices (live/test_enrolment); the others ask the API.
RUNNING: Final = {"up", "demo", "down", "kek", "enroll"}


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command there is, by its words."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


COMMANDS: Final = sorted(commands())


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ostiary]:
    with Ostiary(tmp_path_factory.mktemp("cli"), partial(start, by_itself=True)) as running:
        yield running


@pytest.fixture(scope="module")
def issuing(house: Ostiary) -> dict[str, Any]:
    """An authority called "Issuing" below one called "Root"."""
    root = house.call("POST", "/v1/authorities", {"authority": {"name": "Root", "kind": "root"}})["authority"]
    below = {"name": "Issuing", "kind": "intermediate", "parent_id": root["id"], "lifetime_days": 900}
    return dict(house.call("POST", "/v1/authorities", {"authority": below})["authority"])


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with Backend() as running:
        yield running


@pytest.fixture(scope="module")
def door(house: Ostiary, backend: Backend) -> Door:
    return house.door(backend.port, name="front")


@pytest.fixture
def ostiary(house: Ostiary, door: Door, issuing: dict[str, Any], tmp_path: Path) -> Terminal:
    assert door.listener["name"] == "front"
    assert issuing["has_key"]
    return Terminal(house, tmp_path, {"OSTIARY_URL": f"http://{house.listen}", "OSTIARY_DATA_DIR": str(house.data_dir)})


# Help.


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(words: tuple[str, ...], tmp_path: Path) -> None:
    told = here(*words, "--help", folder=tmp_path)
    assert (told.exit_code, told.err) == (0, "")
    plain = " ".join(re.sub(r"[│╭╮╰╯─]", " ", told.out).split())
    assert re.search(rf"Examples?: ostiary {' '.join(words)}\b", plain), plain
    # Arguments are seen by everybody on the machine (`ps`).
    assert not re.search(r"--token(?!-file)", plain)


@pytest.mark.parametrize(
    "words", [(), ("listener",), ("ca",), ("cert",), ("audit",), ("revision",), ("token",), ("enroll",)], ids=" ".join
)
def test_half_a_command_shows_what_there_is(words: tuple[str, ...], tmp_path: Path) -> None:
    done = here(*words, folder=tmp_path)
    assert done.exit_code == 2
    assert "Usage: ostiary" in done.out + done.err


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("status", "--nonsense"),
        ("ca", "create"),
        ("ca", "cross-sign"),
        ("ca", "create", "x", "--lifetime-days", "0"),
        ("ca", "import", "no-such-file"),
        ("cert", "issue", "no-such-file", "--ca", "x"),
        ("cert", "request", "alice"),
        ("audit", "list", "--limit", "many"),
        ("revision", "show", "first"),
        ("token", "create", "--uses", "0"),
        ("enroll", "with"),
        ("enroll", "renew"),
        ("up", "--data-dir", "a-file"),
        ("demo", "--port", "70000"),
    ],
    ids=" ".join,
)
def test_a_command_that_is_not_understood_exits_2(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "a-file").touch()
    done = here(*words, folder=tmp_path)
    assert (done.exit_code, done.out) == (2, "")
    assert "Usage: ostiary" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("cert", "issue", "--help"),
        ("nonsense",),
        ("ca", "create"),
        ("version",),
        ("status",),
        ("status", "--json"),
        ("ca", "list"),
        ("ca", "show", "nothing of that name"),
        ("cert", "list", "--csv"),
    ],
    ids=" ".join,
)
def test_the_program_says_what_the_tests_hear_that_call_it_in_their_own_process(
    ostiary: Terminal, words: tuple[str, ...]
) -> None:
    said, heard = (_steady(ask(*words, folder=ostiary.folder, env=ostiary.env)) for ask in (run, here))
    assert said == heard


def _steady(done: Done) -> Done:
    """Without what may differ from one moment to the next: when a gateway was last heard of, and what it takes."""
    out = re.sub(r'("last_contact": |"used": )[^\n]*|[0-9]+ (?=of [0-9])', r"\1", done.out)
    return replace(done, out=re.sub(" +", " ", out))


# What each does.


def test_the_commands_that_ask_the_api_are_all_tried_here() -> None:
    """So that a new command does not go without a test."""
    tried = {"status", "version", "ca", "cert", "listener", "audit", "profile", "revision", "token", "clients", "request"}
    tried |= {"settings"}
    tried |= {"access", "console", "session", "user", "denials", "explain", "rehearsal", "traffic"}  # in files of their own
    tried |= {"approval", "break-glass", "backup", "restore", "expiring", "notify"}  # likewise
    assert {words[0] for words in COMMANDS} - RUNNING == tried
    assert {words for words in COMMANDS if len(words) > 1} == {
        ("access", "add"),
        ("access", "exception", "add"),
        ("access", "exception", "list"),
        ("access", "exception", "remove"),
        ("access", "list"),
        ("access", "move"),
        ("access", "remove"),
        ("access", "set"),
        ("access", "show"),
        ("access", "test"),
        ("approval", "approve"),
        ("approval", "justify"),
        ("approval", "list"),
        ("approval", "refuse"),
        ("approval", "show"),
        ("approval", "withdraw"),
        ("audit", "export"),
        ("audit", "heads"),
        ("audit", "key"),
        ("audit", "list"),
        ("audit", "report"),
        ("audit", "review"),
        ("audit", "reviews"),
        ("audit", "verifier"),
        ("audit", "verify"),
        ("backup", "verify"),
        ("break-glass", "end"),
        ("break-glass", "list"),
        ("break-glass", "review"),
        ("ca", "create"),
        ("ca", "cross-sign"),
        ("ca", "export"),
        ("ca", "fetch"),
        ("ca", "import"),
        ("ca", "list"),
        ("ca", "revoke"),
        ("ca", "roll"),
        ("ca", "rotate", "finish"),
        ("ca", "rotate", "list"),
        ("ca", "rotate", "show"),
        ("ca", "rotate", "start"),
        ("ca", "rotate", "undo"),
        ("ca", "set"),
        ("ca", "show"),
        ("ca", "upload-crl"),
        ("cert", "download"),
        ("cert", "generate"),
        ("cert", "hold"),
        ("cert", "install-help"),
        ("cert", "issue"),
        ("cert", "list"),
        ("cert", "release"),
        ("cert", "renew"),
        ("cert", "request"),
        ("cert", "revoke"),
        ("cert", "set"),
        ("cert", "show"),
        ("enroll", "renew"),
        ("enroll", "with"),
        ("kek", "protect"),
        ("kek", "rotate"),
        ("kek", "unprotect"),
        ("listener", "list"),
        ("listener", "set"),
        ("listener", "show"),
        ("notify", "add", "email"),
        ("notify", "add", "webhook"),
        ("notify", "list"),
        ("notify", "remove"),
        ("notify", "set"),
        ("notify", "show"),
        ("notify", "test"),
        ("profile", "create"),
        ("profile", "delete"),
        ("profile", "list"),
        ("profile", "set"),
        ("profile", "show"),
        ("rehearsal", "list"),
        ("rehearsal", "show"),
        ("request", "approve"),
        ("request", "list"),
        ("request", "refuse"),
        ("request", "show"),
        ("revision", "list"),
        ("revision", "revert"),
        ("revision", "show"),
        ("session", "end"),
        ("session", "list"),
        ("settings", "set"),
        ("settings", "show"),
        ("token", "create"),
        ("token", "list"),
        ("token", "revoke"),
        ("user", "add"),
        ("user", "list"),
        ("user", "remove"),
        ("user", "set"),
        ("user", "show"),
    }


def test_version(ostiary: Terminal) -> None:
    assert re.search(r"^ostiary +\d+\.\d+\.\d+$", ostiary.does("version").out, re.MULTILINE)


def test_status_shows_what_runs(ostiary: Terminal, door: Door) -> None:
    parts = "front", door.id, door.balancer_id, str(door.port), "ACTIVE", "1.40.0"

    def all_is_there() -> bool:
        shown = ostiary.does("status").out
        return all(part in shown for part in parts) and re.search(r"\d+ of \d+", shown) is not None

    eventually(all_is_there)  # which Envoy runs is told with the keeper's next report
    found = ostiary.does("status", "--json").json()
    assert found["gateways"][0]["connected"] is True
    assert 0 <= found["gateways"][0]["memory"]["used"] < found["gateways"][0]["memory"]["limit"]
    assert door.id in {listener["id"] for listener in found["listeners"]}
    assert found["loadbalancers"]


def test_authorities_are_made_shown_and_exported(ostiary: Terminal) -> None:
    root = ostiary.does("ca", "create", "Partner root", "--json").json()
    assert (root["kind"], root["has_key"]) == ("root", True)
    below = ostiary.does(
        "ca", "create", "Partner devices", "--parent", "Partner root", "--key", "EC-P384", "--lifetime-days", "90"
    )
    assert re.search(r"^kind +intermediate$", below.out, re.MULTILINE)
    assert re.search(r"^subject +CN=Partner devices$", below.out, re.MULTILINE)
    listed = {one["name"] for one in ostiary.does("ca", "list", "--json").json()}
    assert {"Partner root", "Partner devices"} <= listed
    assert "Partner devices" in ostiary.does("ca", "list").out
    assert ostiary.does("ca", "show", root["id"], "--json").json() == ostiary.does("ca", "show", "Partner root", "--json").json()
    assert root["fingerprint_sha256"] in ostiary.does("ca", "show", "Partner root").out
    printed = ostiary.does("ca", "export", "Partner root").out
    ostiary.does("ca", "export", "Partner root", "--out", "root.pem")
    assert printed == (ostiary.folder / "root.pem").read_text() == root["certificate"]
    assert "PRIVATE" not in printed


def test_an_authority_is_limited_told_about_and_cross_signed(ostiary: Terminal) -> None:
    limits = ("--path-length", "1", "--permit-dns", "a.test", "--permit-dns", "b.test", "--exclude-ip", "10.0.0.0/8")
    shown = ostiary.does("ca", "create", "Held root", *limits, "--permit-uri", "a.test").out
    held = ostiary.does("ca", "show", "Held root", "--json").json()
    assert held["path_length"] == 1
    assert held["name_constraints"]["permitted"]["dns"] == ["a.test", "b.test"]
    assert held["name_constraints"]["excluded"]["ip"] == ["10.0.0.0/8"]
    assert [line.removeprefix("Warning: ") for line in shown.splitlines() if line.startswith("Warning")] == held["warnings"]
    assert any("BoringSSL" in text for text in held["warnings"])
    ostiary.does("ca", "create", "Younger root")
    crossed = ostiary.does("ca", "cross-sign", "Held root", "--parent", "Younger root", "--lifetime-days", "30", "--json").json()
    assert (crossed["cross_of"], crossed["subject"]) == (held["id"], held["subject"])
    assert "path_length" in ostiary.is_told("ca", "cross-sign", "Held root", "--parent", "Younger root", "--path-length", "5")


def test_profiles_are_shown_made_changed_and_put_back(ostiary: Terminal) -> None:
    assert {"client", "device", "server", "user"} <= {one["name"] for one in ostiary.does("profile", "list", "--json").json()}
    assert "NIST SP 800-57" in ostiary.does("profile", "show", "device").out
    assert "P730D" in ostiary.does("profile", "list").out
    set_ = ("profile", "set", "user", "--set", "max_lifetime=P30D", "--set", "default-lifetime=P7D", "--json")
    assert set(ostiary.does(*set_).json()["adjusted"]) == {"default_lifetime", "max_lifetime"}
    file = ostiary.folder / "sensor.json"
    file.write_text(ostiary.does("profile", "show", "device", "--json").out)
    pattern = 'name_patterns={"dns": ["*.a.test"]}'
    made = ostiary.does("profile", "create", "sensor", "--file", file, "--set", pattern, "--json").json()
    assert (made["name"], made["name_patterns"], made["max_lifetime"]) == ("sensor", {"dns": ["*.a.test"]}, "P730D")
    ostiary.does("profile", "set", "device", "--file", file)
    for name in ("user", "sensor"):
        ostiary.does("profile", "delete", name)
    assert ostiary.does("profile", "show", "user", "--json").json()["adjusted"] == []
    assert "not found" in ostiary.is_told("profile", "show", "sensor")
    assert "nothing to change" in ostiary.is_told("profile", "set", "user")
    assert "write FIELD=VALUE" in ostiary.is_told("profile", "set", "user", "--set", "approval")
    assert "default_lifetime" in ostiary.is_told("profile", "set", "user", "--set", "max_lifetime=PT1H")
    file.write_text("[]")
    assert "must hold one object" in ostiary.is_told("profile", "create", "x", "--file", file)


def test_an_authority_is_imported(ostiary: Terminal) -> None:
    file = ostiary.folder / "partner.pem"
    file.write_text(Authority.root("Elsewhere").cert_pem)
    made = ostiary.does("ca", "import", file, "--name", "Of elsewhere", "--json").json()
    assert (made["name"], made["kind"], made["has_key"]) == ("Of elsewhere", "imported", False)
    assert "in the system already" in ostiary.is_told("ca", "import", file)


def test_a_certificate_from_request_to_the_door(ostiary: Terminal, door: Door) -> None:
    """The whole way by command line: key and request, certificate, Client CA on, let in, off again."""
    ostiary.does("cert", "request", "alice", "--key", "alice.key", "--csr", "alice.csr")
    key = ostiary.folder / "alice.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    issue = ("cert", "issue", "alice.csr", "--ca", "Issuing", "--owner", "alice", "--group", "ops", "--group", "eu")
    said = ostiary.does(*issue, "--lifetime", "P7D", "--out", "alice.pem").out
    assert re.search(r"^Wrote alice.pem: CN=alice, serial [0-9a-f]+, valid until ", said)
    chain = x509.load_pem_x509_certificates((ostiary.folder / "alice.pem").read_bytes())
    assert len(chain) == 2

    on = ostiary.does("listener", "set", "front", "--client-ca", "Issuing").out
    assert on.endswith("\nfront: client_authentication MANDATORY\n")  # after what is not known of whom that shuts out
    client = TLSClient(door.port, ca=ostiary.house.server_ca, cert=ostiary.folder / "alice.pem", key=key)
    eventually(lambda: _is_refused(client.without_certificate()))
    assert client.get("/").status == 200
    optional = ostiary.does("listener", "set", door.id, "--client-authentication", "optional", "--json").json()
    assert optional["client_authentication"] == "OPTIONAL"
    assert ostiary.does("listener", "set", "front", "--no-client-ca").out == "front: client_authentication NONE\n"
    eventually(lambda: not _is_refused(client.without_certificate()))

    (listed,) = ostiary.does("cert", "list", "--owner", "alice", "--json").json()
    assert (listed["groups"], listed["status"]) == (["ops", "eu"], "VALID")
    shown = ostiary.does("cert", "show", listed["id"], "--json").json()
    assert shown | {"last_seen": None} == listed | {"last_seen": None, "effects": []}  # a gateway may have told of it in between
    assert listed["serial"] in ostiary.does("cert", "show", listed["id"]).out
    assert listed["id"] in ostiary.does("cert", "list").out


def _is_refused(client: TLSClient) -> bool:
    try:
        client.get("/")
    except Refused:
        return True
    return False


def test_a_certificate_is_printed_where_no_file_is_given(ostiary: Terminal) -> None:
    ostiary.does("cert", "request", "bob", "--key", "bob.key", "--csr", "bob.csr")
    printed = ostiary.does("cert", "issue", "bob.csr", "--ca", "Issuing").out
    leaf, *_ = x509.load_pem_x509_certificates(printed.encode())
    assert leaf.subject.rfc4514_string() == "CN=bob"
    as_json = ostiary.does("cert", "issue", "bob.csr", "--ca", "Issuing", "--json", "--out", "bob.pem").json()
    assert (ostiary.folder / "bob.pem").read_text() == as_json["certificate"] + as_json["chain"]


def test_listeners_are_shown(ostiary: Terminal, door: Door) -> None:
    assert door.id in ostiary.does("listener", "list").out
    assert door.id in {one["id"] for one in ostiary.does("listener", "list", "--json").json()}
    assert ostiary.does("listener", "show", "front", "--json").json()["id"] == door.id
    assert re.search(rf"^protocol_port +{door.port}$", ostiary.does("listener", "show", door.id).out, re.MULTILINE)


def test_the_record_is_shown_and_proved(ostiary: Terminal, door: Door) -> None:
    entries = ostiary.does("audit", "list", "--limit", "1000", "--json").json()
    assert door.id in {entry["resource_id"] for entry in entries}
    assert [entry["sequence"] for entry in entries] == sorted((entry["sequence"] for entry in entries), reverse=True)
    assert len(ostiary.does("audit", "list", "--limit", "3").out.splitlines()) == 4
    whole = r"The record is whole: \d+ entries, (no signed head|\d+ signed heads, the last of entry \d+), head [0-9a-f]{64}\n"
    assert re.match(whole, ostiary.does("audit", "verify").out)
    assert ostiary.does("audit", "verify", "--json").json()["problem"] is None
    of_one = ostiary.does("audit", "list", "--action", "listener:create", "--resource", door.id, "--json").json()
    assert [entry["resource_id"] for entry in of_one] == [door.id]
    assert ostiary.does("audit", "list", "--until", "2020-01-01").out == "Nothing on record fits.\n"
    assert "since: is not a time" in ostiary.is_told("audit", "list", "--since", "yesterday")


def test_the_record_is_handed_out_and_checked_alone(ostiary: Terminal) -> None:
    (key,) = ostiary.does("audit", "key", "--json").json()
    assert key["id"] in ostiary.does("audit", "key").out
    export = ostiary.folder / "record.jsonl"
    assert str(export) in ostiary.does("audit", "export", "--out", str(export)).out
    assert "is there already" in ostiary.is_told("audit", "export", "--out", str(export))
    told = ostiary.does("audit", "verify", str(export), "--key", key["id"]).out
    assert re.match(r"OK: entries 1 to (\d+) \(\1\) are as they were written, none is missing", told)
    assert ostiary.does("audit", "verify", str(export), "--key", key["id"], "--json").json()["is_pinned"] is True
    assert "is none of those to trust" in ostiary.is_told("audit", "verify", str(export), "--key", "0" * 64)
    export.write_text(export.read_text().replace('"actor": "admin"', '"actor": "nobody"', 1))
    assert "not as it was written" in ostiary.is_told("audit", "verify", str(export))


def test_the_newest_heads_and_the_verifier_are_told(ostiary: Terminal) -> None:
    ostiary.does("audit", "export", "--out", str(ostiary.folder / "signed.jsonl"))  # which ends at a signed head
    heads = ostiary.does("audit", "heads", "--json").json()
    assert heads[0]["hash"] in ostiary.does("audit", "heads").out
    compile(ostiary.does("audit", "verifier").out, "verify_audit.py", "exec")


def test_what_is_decided_about_the_whole_is_shown_and_changed(ostiary: Terminal) -> None:
    assert re.search(r"^audit_retention_days +400$", ostiary.does("settings", "show").out, re.MULTILINE)
    assert ostiary.does("settings", "set", "--set", "audit-retention-days=800", "--json").json()["audit_retention_days"] == 800
    assert "audit_retention_days" in ostiary.is_told("settings", "set", "--set", "audit_retention_days=1")
    assert "nothing to change" in ostiary.is_told("settings", "set")
    assert ostiary.does("settings", "set", "--reset", "audit_retention_days", "--json").json()["audit_retention_days"] == 400


def test_grants_are_made_listed_and_revoked(ostiary: Terminal) -> None:
    """No door is open here; what a grant is good for is tried in live/test_enrolment.py."""
    ostiary.does("ca", "create", "Grants CA")
    wanted = ("--ca", "Grants CA", "--profile", "client", "--name", "sensor-7", "--name", "dns:sensor-7.test", "--group", "field")
    told = ostiary.does("token", "create", *wanted, "--expires", "30m", "--qr").out
    assert "oe_" in told
    assert "ostiary up --enroll-listen" in told
    made = ostiary.does("token", "create", *wanted, "--uses", "3", "--lifetime", "7d", "--json").json()
    assert (made["uses"], made["lifetime"], made["groups"]) == (3, "P7D", ["field"])
    assert made["names"]["dns"] == ["sensor-7.test"]
    listed = ostiary.does("token", "list", "--json")
    assert made["secret"] not in listed.out
    assert made["id"] in {token["id"] for token in listed.json()}
    assert "sensor-7" in ostiary.does("token", "revoke", made["id"]).out
    assert made["id"] not in ostiary.does("token", "list").out
    assert "--expires" in ostiary.is_told("token", "create", *wanted, "--expires", "soon")
    assert "names" in ostiary.is_told("token", "create", "--ca", "Grants CA")


def test_somebody_else_comes_with_a_token_of_their_own(ostiary: Terminal) -> None:
    bob = ostiary.does("token", "create", "--role", "operator", "--name", "bob", "--json").json()
    assert ostiary("listener", "list", OSTIARY_TOKEN=bob["secret"]).exit_code == 0
    told = ostiary.is_told("ca", "create", "Bob CA", OSTIARY_TOKEN=bob["secret"])
    assert "bob (operator) may not authority:create" in told
    ostiary.does("token", "revoke", "bob")
    assert "valid token" in ostiary.is_told("listener", "list", OSTIARY_TOKEN=bob["secret"])


def test_revisions_are_shown_and_gone_back_to(ostiary: Terminal, door: Door) -> None:
    house = ostiary.house
    before = house.revision()
    house.change(door.id, description="not for long")
    listed = ostiary.does("revision", "list", "--json").json()
    assert (listed[0]["number"], listed[0]["action"]) == (before + 1, "listener:update")
    assert "listener:update" in ostiary.does("revision", "list").out
    shown = ostiary.does("revision", "show", before + 1, "--json").json()
    assert door.id in {change["resource_id"] for change in shown["changes"]}
    assert str(before + 1) in ostiary.does("revision", "show", before + 1).out
    said = ostiary.does("revision", "revert", before).out
    assert said == f"The configuration is as it was after revision {before}; this is revision {before + 2}.\n"
    assert house.read(door.id)["description"] == ""
    assert ostiary.does("revision", "revert", before + 1, "--json").json() == {"number": before + 3}
    assert house.read(door.id)["description"] == "not for long"


# Refusals: one line each.


def test_what_is_not_there_is_said(ostiary: Terminal) -> None:
    assert ostiary.is_told("ca", "show", "nobody") == "there is no authority 'nobody'"
    assert ostiary.is_told("ca", "export", "nobody") == "there is no authority 'nobody'"
    assert ostiary.is_told("ca", "create", "x", "--parent", "nobody") == "there is no authority 'nobody'"
    assert ostiary.is_told("listener", "show", "back") == "there is no listener 'back'"
    assert ostiary.is_told("listener", "set", "back", "--no-client-ca") == "there is no listener 'back'"
    assert ostiary.is_told("listener", "set", "front", "--client-ca", "nobody") == "there is no authority 'nobody'"
    assert "there is no certificate '../authorities'" in ostiary.is_told("cert", "show", "../authorities")
    assert "there is no certificate 'no-such-id'" in ostiary.is_told("cert", "show", "no-such-id")
    assert ostiary.is_told("revision", "show", 999_999) == "Revision 999999 not found."
    assert ostiary.is_told("revision", "revert", 999_999) == "Revision 999999 not found."


def test_of_two_with_one_name_neither_is_guessed(ostiary: Terminal) -> None:
    first, second = (ostiary.does("ca", "create", "Twin", "--json").json()["id"] for _ in range(2))
    told = ostiary.is_told("ca", "show", "Twin")
    assert told.startswith("there are 2 authorities named 'Twin'")
    assert first in told
    assert second in told


def test_what_the_api_refuses_is_said_in_its_words(ostiary: Terminal) -> None:
    ostiary.does("cert", "request", "carol", "--key", "carol.key", "--csr", "carol.csr")
    issue = ("cert", "issue", "carol.csr", "--ca", "Issuing")
    assert "at most P366D" in ostiary.is_told(*issue, "--lifetime", "P900D")
    assert "there is no profile 'emperor'" in ostiary.is_told(*issue, "--profile", "emperor")
    assert "key: " in ostiary.is_told("ca", "create", "x", "--key", "RSA-512")
    assert "subject.CN" in ostiary.is_told("ca", "create", "")
    assert "client_authentication" in ostiary.is_told("listener", "set", "front", "--client-authentication", "PERHAPS")
    assert "private key" in ostiary.is_told("cert", "issue", "carol.key", "--ca", "Issuing")


def test_what_contradicts_itself_is_said(ostiary: Terminal) -> None:
    assert "goes alone" in ostiary.is_told("listener", "set", "front", "--no-client-ca", "--client-ca", "Issuing")
    assert "say what to set" in ostiary.is_told("listener", "set", "front")


def test_files_that_are_no_pem_are_said(ostiary: Terminal) -> None:
    (ostiary.folder / "binary").write_bytes(b"\x30\x82\xff\xfe")
    assert "openssl x509 -inform DER" in ostiary.is_told("ca", "import", "binary")
    assert "openssl req -inform DER" in ostiary.is_told("cert", "issue", "binary", "--ca", "Issuing")
    (ostiary.folder / "long").write_bytes(b"a" * 2_000_000)
    assert "larger than" in ostiary.is_told("ca", "import", "long")
    (ostiary.folder / "text").write_text("text")
    assert "no certificate in PEM form" in ostiary.is_told("ca", "import", "text")


# Keys.


def test_a_key_is_never_overwritten(ostiary: Terminal) -> None:
    key = ostiary.folder / "dave.key"
    request = ("cert", "request", "dave", "--key", "dave.key", "--csr", "dave.csr")
    ostiary.does(*request)
    before = key.read_bytes()
    assert "dave.key exists; a key is not overwritten" in ostiary.is_told(*request)
    ostiary.does("cert", "request", "dave", "--key", "other.key", "--csr", "dave.csr")
    # Nor by what is no key.
    told = "dave.key holds a private key, which is not overwritten"
    assert told in ostiary.is_told("cert", "issue", "dave.csr", "--ca", "Issuing", "--out", "dave.key")
    assert told in ostiary.is_told("ca", "export", "Issuing", "--out", "dave.key")
    assert told in ostiary.is_told("cert", "request", "dave", "--key", "third.key", "--csr", "dave.key")
    assert key.read_bytes() == before
    assert not (ostiary.folder / "third.key").exists()


def test_a_key_is_not_followed_to_where_a_link_points(ostiary: Terminal) -> None:
    (ostiary.folder / "link.key").symlink_to(ostiary.folder / "elsewhere.key")
    assert "link.key exists" in ostiary.is_told("cert", "request", "erin", "--key", "link.key", "--csr", "erin.csr")
    assert not (ostiary.folder / "elsewhere.key").exists()


def test_what_cannot_be_written_is_said_and_leaves_nothing(ostiary: Terminal) -> None:
    nowhere = "no/such/folder/file"
    assert nowhere in ostiary.is_told("cert", "request", "frank", "--key", nowhere, "--csr", "frank.csr")
    assert nowhere in ostiary.is_told("cert", "request", "frank", "--key", "frank.key", "--csr", nowhere)
    assert nowhere in ostiary.is_told("ca", "export", "Issuing", "--out", nowhere)
    assert list(ostiary.folder.iterdir()) == []
    ostiary.does("cert", "request", "frank", "--key", "frank.key", "--csr", "frank.csr")
    told = ostiary.is_told("cert", "issue", "frank.csr", "--ca", "Issuing", "--out", nowhere)
    # It is issued nevertheless, and not lost.
    ostiary.does("cert", "show", told.rpartition(" ")[2])


@pytest.mark.parametrize("name", ["", "a" * 65, "ü" * 33, "two\nlines", "a\u202eb", " alice"])
def test_what_is_no_name_is_said_before_anything_is_written(ostiary: Terminal, name: str) -> None:
    assert ostiary.is_told("cert", "request", name, "--key", "x.key", "--csr", "x.csr").startswith("common_name: ")
    assert list(ostiary.folder.iterdir()) == []


# The token and the way to the API.


def test_the_token_comes_from_the_data_directory_or_the_environment_and_is_not_shown(ostiary: Terminal, tmp_path: Path) -> None:
    assert ostiary("status", "--data-dir", ostiary.house.data_dir, OSTIARY_DATA_DIR="/nonexistent").exit_code == 0
    assert ostiary("status", OSTIARY_DATA_DIR=str(tmp_path), OSTIARY_TOKEN=ostiary.token).exit_code == 0
    assert ostiary.is_told("status", OSTIARY_TOKEN="x" * 43) == "A valid token is required."
    told = ostiary.is_told("status", OSTIARY_DATA_DIR=str(tmp_path / "nowhere"))
    assert told.startswith("no token: set OSTIARY_TOKEN or OSTIARY_DATA_DIR")


@pytest.mark.parametrize("odd", ["tok\nen", "tökén", "to\tken"])
def test_a_token_that_is_none_is_not_shown(ostiary: Terminal, odd: str) -> None:
    for told in (ostiary.is_told("status", OSTIARY_TOKEN=odd), _told_of_file(ostiary, odd)):
        assert "is not a token" in told
        assert odd[-2:] not in told.replace("token", "")


def _told_of_file(ostiary: Terminal, text: str) -> str:
    (ostiary.folder / "admin.token").write_text(text)
    return ostiary.is_told("status", OSTIARY_DATA_DIR=str(ostiary.folder))


def test_the_token_is_in_no_argument_of_what_runs(ostiary: Terminal) -> None:
    here = str(ostiary.house.data_dir)
    ours = [process for process in psutil.process_iter(["cmdline"]) if here in " ".join(process.info["cmdline"] or ())]
    assert len(ours) >= 3  # Control plane, keeper and Envoy.
    for process in ours:
        assert not any(ostiary.token in word for word in process.cmdline())
        assert not any(ostiary.token in value for value in process.environ().values())


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://[", "http://127.0.0.1:99999", "ftp://127.0.0.1"])
def test_an_ostiary_that_cannot_be_reached_is_said(ostiary: Terminal, url: str) -> None:
    told = ostiary.is_told("status", OSTIARY_URL=url)
    assert told.startswith(f"cannot reach ostiary at {url}: ")
    assert "Is `ostiary up` running?" in told


class _Stranger(BaseHTTPRequestHandler):
    """A web server that is no ostiary."""

    def do_GET(self) -> None:
        content = b"[]" if "loadbalancers" in self.path else b"<h1>It works!</h1>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def test_another_program_at_the_address_is_said(ostiary: Terminal) -> None:
    with HTTPServer(("127.0.0.1", 0), _Stranger) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            for words in (("status",), ("ca", "list")):
                assert "not as ostiary does" in ostiary.is_told(*words, OSTIARY_URL=url)
        finally:
            server.shutdown()
            thread.join()


# `ostiary up`.


def test_a_second_one_on_the_same_folder_is_refused(ostiary: Terminal) -> None:
    told = ostiary.is_told("up", "--listen", f"127.0.0.1:{free_port()}")
    assert re.match(rf"another ostiary \(process \d+\) runs on {re.escape(str(ostiary.house.data_dir))}", told)


def test_a_taken_port_is_refused(ostiary: Terminal) -> None:
    told = ostiary.is_told("up", "--listen", ostiary.house.listen, "--data-dir", ostiary.folder / "other")
    assert told == f"--listen: cannot listen on {ostiary.house.listen}: Address already in use; choose another address."


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--listen", "nonsense", "'nonsense' is not HOST:PORT"),
        ("--listen", "127.0.0.1:99999", "is not HOST:PORT"),
        ("--listen", "192.0.2.1:0", "Cannot assign requested address"),
        ("--database", "nonsense", "not a database URL"),
        ("--database", "mysql://root:hush@localhost/x", "'mysql' is not supported"),
        ("--database", "postgresql://root:hush@127.0.0.1:1/x", "Connection refused"),
        ("--database", "sqlite:////no/such/folder/x.db", "unable to open database file"),
        ("--database", "sqlite:////dev/null", "it cannot be used"),
        ("--database", "sqlite://", "would be gone with the process"),
        ("--data-dir", "/proc/no-such-folder", "/proc/no-such-folder"),
        ("--data-dir", "a-file/below", "Not a directory"),
    ],
)
def test_what_up_cannot_use_is_said_and_no_secret_with_it(tmp_path: Path, option: str, value: str, why: str) -> None:
    (tmp_path / "a-file").touch()
    given = {"--listen": "127.0.0.1:0", "--data-dir": str(tmp_path / "data"), option: value}
    done = run("up", *(word for pair in given.items() for word in pair), folder=tmp_path)
    last = done.err.splitlines()[-1]
    assert done.exit_code == 1
    assert last.startswith("ostiary: ")
    assert why in last
    assert "hush" not in done.out + done.err


def test_a_database_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ostiary.db").write_bytes(b"this is not SQLite " * 100)
    done = run("up", "--listen", "127.0.0.1:0", "--data-dir", "data", folder=tmp_path)
    assert done.exit_code == 1
    assert done.err.splitlines()[-1] == "ostiary: --database: it cannot be used: file is not a database"


def test_others_cannot_read_what_up_writes(ostiary: Terminal) -> None:
    for path in ostiary.house.data_dir.rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077 or path.is_symlink(), path
    assert stat.S_IMODE((ostiary.house.data_dir / "admin.token").stat().st_mode) == 0o600


def test_the_environment_serves_as_well_as_options(tmp_path: Path) -> None:
    """And the module as well as the program."""
    port = free_port()
    env = {"OSTIARY_LISTEN": f"127.0.0.1:{port}", "OSTIARY_DATA_DIR": str(tmp_path / "data"), "OSTIARY_URL": ""}
    env |= {"OSTIARY_DATABASE": f"sqlite:///{tmp_path / 'elsewhere.db'}", "OSTIARY_TOKEN": ""}
    running = start(sys.executable, "-m", "ostiary.cli", "up", folder=tmp_path, env=env, name="up")
    try:
        running.says('"event": "ready"')
        # No OSTIARY_URL: the commands look where OSTIARY_LISTEN says.
        assert run("status", folder=tmp_path, env=env).exit_code == 0
        assert stat.S_IMODE((tmp_path / "elsewhere.db").stat().st_mode) == 0o600
    finally:
        assert running.stop() == 0
