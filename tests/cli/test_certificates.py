"""Certificates by command line: found, handed out, renewed, revoked."""

import csv
import io
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from ostiary.cli import installing, inventory, revocation
from ostiary.model.inventory import STATUSES
from ostiary.model.revocation import HOLD, Revoke
from ostiary.ops.handout import CERTIFICATE_FORMATS
from ostiary.web.guides import GUIDES
from support.certs import csr, new_key
from support.commands import Terminal
from support.stack import PROGRAM, Ostiary
from support.terminal import typed

pytestmark = pytest.mark.live

LONG_AGO = "2020-01-01T00:00Z"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ostiary]:
    with Ostiary(tmp_path_factory.mktemp("certificates")) as running:
        yield running


@pytest.fixture(scope="module")
def issuing(house: Ostiary) -> dict[str, Any]:
    """An authority called "Issuing" below one called "Root"."""
    root = house.call("POST", "/v1/authorities", {"authority": {"name": "Root", "kind": "root"}})["authority"]
    below = {"name": "Issuing", "kind": "intermediate", "parent_id": root["id"]}
    return dict(house.call("POST", "/v1/authorities", {"authority": below})["authority"])


@pytest.fixture
def ostiary(house: Ostiary, issuing: dict[str, Any], tmp_path: Path) -> Terminal:
    assert issuing["has_key"]
    return Terminal(house, tmp_path, {"OSTIARY_URL": f"http://{house.listen}", "OSTIARY_DATA_DIR": str(house.data_dir)})


def issued(house: Ostiary, authority: dict[str, Any], cn: str, **fields: Any) -> dict[str, Any]:
    wanted = {"authority_id": authority["id"], "csr": csr(new_key(), cn), **fields}
    return dict(house.call("POST", "/v1/certificates", {"certificate": wanted})["certificate"])


def listed(ostiary: Terminal, *words: str) -> list[str]:
    return [one["id"] for one in ostiary.does("cert", "list", "--json", *words).json()]


def test_what_can_be_chosen_from_is_what_there_is() -> None:
    """Written out in the commands, so that completing a word in the shell needs nothing else to be loaded."""
    assert tuple(GUIDES) == installing.PLATFORMS
    assert set(CERTIFICATE_FORMATS) == set(inventory.FORMATS)
    assert STATUSES == inventory.STATUSES
    for reason in revocation.REASONS:
        assert Revoke(reason=reason).reason not in {HOLD, "removeFromCRL"}


def test_certificates_are_found_by_what_is_remembered_of_them(ostiary: Terminal, house: Ostiary, issuing: dict[str, Any]) -> None:
    one = issued(house, issuing, "finder-one", owner="Find team", groups=["finders"], lifetime="P5D")
    two = issued(house, issuing, "finder-two", owner="Find team", lifetime="P50D")
    both = [one["id"], two["id"]]
    assert listed(ostiary, "--search", "FINDER") == both
    assert listed(ostiary, "--search", "finder two") == both[1:]
    assert listed(ostiary, "--owner", "Find team", "--status", "VALID") == both
    assert listed(ostiary, "--group", "finders") == both[:1]
    assert listed(ostiary, "--owner", "Find team", "--expires-before", "30d") == both[:1]
    assert listed(ostiary, "--owner", "Find team", "--expires-before", two["not_after"]) == both[:1]
    assert listed(ostiary, "--owner", "Find team", "--seen-before", "1h", "--sort", "not_after:desc") == both[::-1]
    assert listed(ostiary, "--ca", "Issuing", "--search", "finder", "--limit", "1") == both[:1]
    assert set(both) <= set(listed(ostiary, "--limit", "0", "--profile", "client"))
    text = ostiary.does("cert", "list", "--search", "finder", "--limit", "1").out
    assert "There are more than 1" in text
    assert ostiary.does("cert", "list", "--search", "nobody-at-all").out == "No certificate matches.\n"
    assert "status: is one of" in ostiary.is_told("cert", "list", "--status", "GOOD")
    assert "expires_before: " in ostiary.is_told("cert", "list", "--expires-before", "soon")


def test_all_that_match_are_listed_as_csv(ostiary: Terminal, house: Ostiary, issuing: dict[str, Any]) -> None:
    one = issued(house, issuing, "Nguyễn", owner="=1+1", groups=["csv"])
    (row,) = csv.DictReader(io.StringIO(ostiary.does("cert", "list", "--csv", "--group", "csv").out))
    assert (row["id"], row["subject"], row["owner"]) == (one["id"], "CN=Nguyễn", "'=1+1")


def test_a_certificate_is_shown_by_id_serial_or_fingerprint(ostiary: Terminal, house: Ostiary, issuing: dict[str, Any]) -> None:
    one = issued(house, issuing, "shown")
    colons = ":".join(re.findall("..", one["fingerprint_sha256"].upper()))
    for name in (
        one["id"],
        one["serial"],
        one["serial"].upper(),
        one["fingerprint_sha256"],
        colons,
        one["fingerprint_sha256"][:16],
    ):
        assert ostiary.does("cert", "show", name, "--json").json() == one | {"effects": []}
    assert "there is no certificate" in ostiary.is_told("cert", "show", one["fingerprint_sha256"][:6])


def test_a_certificate_is_downloaded(ostiary: Terminal, house: Ostiary, issuing: dict[str, Any]) -> None:
    one = issued(house, issuing, "downloaded")
    assert ostiary.does("cert", "download", one["id"]).out == one["certificate"]
    assert ostiary.does("cert", "download", one["serial"], "--format", "fullchain").out == one["certificate"] + one["chain"]
    assert ostiary.does("cert", "download", one["id"], "--format", "der", "--out", "one.der").out == "Wrote one.der\n"
    x509.load_der_x509_certificate((ostiary.folder / "one.der").read_bytes())
    assert "--out" in ostiary.is_told("cert", "download", one["id"], "--format", "p7b")
    assert "format: is one of" in ostiary.is_told("cert", "download", one["id"], "--format", "docx")


def test_a_key_is_made_and_written_with_its_certificate(ostiary: Terminal) -> None:
    generate = ("cert", "generate", "gina", "--ca", "Issuing", "--email", "gina@example.test", "--out", "gina.p12")
    said = ostiary.does(*generate, "--mobileconfig", "gina.mobileconfig", "--owner", "gina").out
    (passphrase,) = re.findall(r"^Passphrase, shown this once: (\S+)$", said, re.MULTILINE)
    for name in ("gina.p12", "gina.mobileconfig"):
        assert stat.S_IMODE((ostiary.folder / name).stat().st_mode) == 0o600
    held = pkcs12.load_pkcs12((ostiary.folder / "gina.p12").read_bytes(), passphrase.encode())
    assert held.cert is not None
    assert held.cert.certificate.subject.rfc4514_string() == "CN=gina"
    assert b"com.apple.security.pkcs12" in (ostiary.folder / "gina.mobileconfig").read_bytes()
    before = (ostiary.folder / "gina.p12").read_bytes()
    assert "gina.p12 exists" in ostiary.is_told(*generate)
    assert (ostiary.folder / "gina.p12").read_bytes() == before
    assert len(listed(ostiary, "--owner", "gina")) == 1
    made = ostiary.does("cert", "generate", "gus", "--ca", "Issuing", "--compatible", "--out", "gus.p12", "--json").json()
    assert pkcs12.load_pkcs12((ostiary.folder / "gus.p12").read_bytes(), made["passphrase"].encode()).key is not None
    assert "pkcs12" not in made


def test_nothing_is_left_of_a_key_that_was_refused(ostiary: Terminal) -> None:
    generate = ("cert", "generate", "greta", "--ca", "Issuing", "--out", "greta.p12")
    assert "key_type" in ostiary.is_told(*generate, "--key-type", "ED25519")
    assert "cannot write" in ostiary.is_told(*generate[:-1], "no/such/folder/greta.p12")
    assert list(ostiary.folder.iterdir()) == []


def test_a_passphrase_is_asked_for_and_not_shown(ostiary: Terminal) -> None:
    words = "cert generate helen --ca Issuing --out helen.p12 --ask-passphrase"
    said = typed(f"'{PROGRAM}' {words}", ostiary.folder, "a passphrase of my own", ostiary.env)
    assert "Wrote helen.p12" in said
    assert "a passphrase of my own" not in said
    assert pkcs12.load_pkcs12((ostiary.folder / "helen.p12").read_bytes(), b"a passphrase of my own").key is not None


def test_a_certificate_is_renewed(ostiary: Terminal, house: Ostiary, issuing: dict[str, Any]) -> None:
    old = issued(house, issuing, "renewed", owner="rita", groups=["r"])
    ostiary.does("cert", "request", "renewed", "--key", "new.key", "--csr", "new.csr")
    said = ostiary.does("cert", "renew", old["serial"], "--csr", "new.csr", "--out", "new.pem").out
    assert said.startswith("Wrote new.pem: CN=renewed, serial ")
    _, new = ostiary.does("cert", "list", "--owner", "rita", "--json").json()
    assert (new["replaces"], new["groups"]) == (old["id"], ["r"])
    assert (ostiary.folder / "new.pem").read_text() == new["certificate"] + new["chain"]


def test_a_certificate_is_put_on_hold_released_and_revoked(ostiary: Terminal, house: Ostiary, issuing: dict[str, Any]) -> None:
    one = issued(house, issuing, "revoked")

    def status() -> str:
        return str(ostiary.does("cert", "show", one["id"], "--json").json()["status"])

    assert ostiary.does("cert", "hold", one["id"]).out == f"CN=revoked is on hold (serial {one['serial']}).\n"
    assert status() == "ON_HOLD"
    ostiary.does("cert", "release", one["serial"])
    assert status() == "VALID"
    assert "not on hold" in ostiary.is_told("cert", "release", one["id"])
    assert one["id"] in ostiary.does("cert", "revoke", one["id"], "--dry-run").out
    assert status() == "VALID"
    revoked = ostiary.does("cert", "revoke", one["fingerprint_sha256"], "--reason", "keyCompromise", "--json").json()
    assert (revoked["status"], revoked["revocation_reason"]) == ("REVOKED", "keyCompromise")
    assert "reason" in ostiary.is_told("cert", "revoke", one["id"], "--reason", "boredom")


def test_many_are_shown_and_counted_before_they_are_revoked(ostiary: Terminal, house: Ostiary, issuing: dict[str, Any]) -> None:
    made = [issued(house, issuing, f"contractor-{number}", groups=["contractors"], owner="agency") for number in range(3)]
    stays = issued(house, issuing, "employee", groups=["staff"], owner="agency")
    which = ("cert", "revoke", "--group", "contractors", "--owner", "agency", "--ca", "Issuing", "--issued-after", LONG_AGO)
    shown = ostiary.does(*which, "--dry-run").out
    assert all(one["id"] in shown for one in made)
    assert stays["id"] not in shown
    assert ostiary.does(*which, "--dry-run", "--json").json()["count"] == 3
    unsure = ostiary(*which)
    assert unsure.exit_code == 1
    assert unsure.err == "ostiary: 3 would be revoked; say --yes to do it, or --dry-run to only look\n"
    assert listed(ostiary, "--owner", "agency", "--status", "REVOKED") == []
    assert ostiary.does(*which, "--yes", "--reason", "privilegeWithdrawn").out.endswith("Revoked 3.\n")
    assert listed(ostiary, "--owner", "agency", "--status", "REVOKED") == [one["id"] for one in made]
    assert listed(ostiary, "--owner", "agency", "--status", "VALID") == [stays["id"]]
    assert ostiary.does(*which, "--yes").out == "No certificate matches that is not revoked already.\n"


def test_what_to_revoke_is_said_one_way(ostiary: Terminal) -> None:
    assert "say which" in ostiary.is_told("cert", "revoke")
    assert "say which" in ostiary.is_told("cert", "revoke", "6f1c", "--group", "all")
    assert "there is no authority 'nobody'" in ostiary.is_told("cert", "revoke", "--ca", "nobody")


@pytest.mark.parametrize("platform", installing.PLATFORMS)
def test_how_to_install_is_told_without_a_server(tmp_path: Path, platform: str, house: Ostiary) -> None:
    told = Terminal(house, tmp_path, {"OSTIARY_URL": "http://127.0.0.1:1"}).does("cert", "install-help", platform).out
    assert told.startswith(f"Certificates for {GUIDES[platform].title}\n")


def test_how_to_install_names_the_authority_that_is_asked_for(ostiary: Terminal, house: Ostiary) -> None:
    (root,) = house.call("GET", "/v1/authorities?name=Root")["authorities"]
    told = ostiary.does("cert", "install-help", "curl", "--ca", "Issuing").out
    assert f"curl -o ca.pem http://{house.listen}/pki/{root['id']}.pem" in told
    assert "Platform 'amiga'" in ostiary.is_told("cert", "install-help", "amiga")
    assert "Platform 'amiga'" in ostiary.is_told("cert", "install-help", "amiga", "--ca", "Issuing")
    assert "java" in ostiary.does("cert", "install-help").out
