"""`ostiary audit report`, `review` and `reviews`: a pack in a folder, whole or not at all, and a sign-off that stays."""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ostiary.clock import now
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


def period() -> tuple[str, ...]:
    today = now()
    return ("--from", f"{today - timedelta(days=30):%Y-%m-%d}", "--to", f"{today:%Y-%m-%d}")


def test_a_review_is_signed_off_and_what_is_due_is_said(ostiary: Terminal) -> None:
    told = ostiary.does("audit", "reviews").out
    assert "No review was signed off yet." in told
    assert told.count("is due: there was none yet") == 3
    signed = ostiary.does("audit", "review", "access", *period(), "--note", "with ann", "--findings", "none").out
    assert signed.startswith("Signed off by admin, review ")
    assert "There were: 0 certificates, 0 listeners" in signed
    told = ostiary.does("audit", "reviews").out
    assert told.count("is due") == 2
    (one,) = ostiary.does("audit", "reviews", "--json").json()["reviews"]
    assert (one["subject"], one["reviewed_by"], one["note"], one["findings"]) == ("access", "admin", "with ann", "none")
    assert "future" in ostiary.is_told("audit", "review", "access", "--from", "2026-01-01", "--to", "2999-01-01")
    assert "subject" in ostiary.is_told("audit", "review", "everything", *period())


def test_a_pack_is_a_folder_whose_manifest_is_on_record(ostiary: Terminal, tmp_path: Path) -> None:
    out = tmp_path / "evidence"
    ask = ("audit", "report", "--framework", "pci-4.0.1", "--framework", "soc2", *period(), "--out")
    told = ostiary.does(*ask, str(out)).out
    manifest = (out / "manifest.json").read_bytes()
    digest = hashlib.sha256(manifest).hexdigest()
    assert digest in told
    assert str(out / "index.html") in told
    assert out.stat().st_mode & 0o777 == 0o700
    listed = {one["name"]: one["sha256"] for one in json.loads(manifest)["files"]}
    there = {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()}
    assert there == {*listed, "manifest.json", "SHA256SUMS"}
    assert all(hashlib.sha256((out / name).read_bytes()).hexdigest() == one for name, one in listed.items())
    newest = ostiary.does("audit", "list", "--action", "audit:report", "--json").json()[0]
    assert newest["after"]["manifest_sha256"] == digest
    assert "verify" in ostiary.does("audit", "verify", "--help").out
    ostiary.does("audit", "verify", str(out / "record" / "audit.jsonl"))
    assert "exists already" in ostiary.is_told(*ask, str(out))


def test_a_pack_is_one_file_where_that_is_wanted(ostiary: Terminal, tmp_path: Path) -> None:
    out = tmp_path / "evidence.zip"
    made = ostiary.does(
        "audit", "report", "--framework", "iso-27001", *period(), "--no-record", "--out", str(out), "--json"
    ).json()
    with zipfile.ZipFile(out) as pack:
        assert hashlib.sha256(pack.read("manifest.json")).hexdigest() == made["manifest_sha256"]
        assert len(pack.namelist()) == made["files"]
        assert "record/audit.jsonl" not in pack.namelist()


def test_what_cannot_be_made_leaves_nothing_behind(ostiary: Terminal, tmp_path: Path) -> None:
    told = ostiary.is_told
    assert "framework" in told("audit", "report", "--framework", "hipaa", *period(), "--out", str(tmp_path / "a"))
    assert "from" in told(
        "audit", "report", "--framework", "soc2", "--from", "2026-02-01", "--to", "2026-01-01", "--out", str(tmp_path / "a")
    )
    assert "cannot write" in told("audit", "report", "--framework", "soc2", *period(), "--out", str(tmp_path / "no" / "where"))
    assert list(tmp_path.iterdir()) == []
