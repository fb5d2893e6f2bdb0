"""Evidence packs: what they say of a month is what was so then, and each row of them leads back into the record."""

import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import pytest

from ostiary import audit_verifier
from ostiary.cli import evidence as command
from ostiary.cli.client import Failed
from ostiary.clock import is_synchronised
from ostiary.errors import Denied, Invalid, TooMany
from ostiary.model.access import AccessException
from ostiary.model.review import NewReview
from ostiary.model.revocation import Revoke
from ostiary.ops import audit, exceptions, heads, reports, reviews, revocation
from ostiary.ops.caller import Caller
from ostiary.ops.evidence import section as sections
from ostiary.ops.evidence.controls import FRAMEWORKS
from ostiary.ops.reports import SECTIONS, Wanted
from ostiary.ops.system import System
from ostiary.store import evidence
from support.made import a_balancer, a_certificate, a_listener, an_authority
from support.month import MINH, MONTH, Month, a_month
from support.systems import ADMIN, FakeClock, sqlite_url

PCI: Final = ("pci-4.0.1",)
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass
class Pack:
    """A pack that was made, file by file."""

    files: dict[str, bytes]

    def rows(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.files[f"sections/{name}.json"])["rows"]
        return found

    def table(self, name: str) -> list[list[str]]:
        return list(csv.reader(io.StringIO(self.files[f"sections/{name}.csv"].decode(), newline="")))

    def one(self, name: str, /, **having: Any) -> dict[str, Any]:
        (found,) = (row for row in self.rows(name) if having.items() <= row.items())
        return found

    @property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.files["manifest.json"])
        return found

    @property
    def page(self) -> str:
        return self.files["index.html"].decode()


def zipped(system: System, wanted: Wanted, caller: Caller = ADMIN) -> bytes:
    return b"".join(reports.make(system, caller, wanted))


def opened(content: bytes) -> Pack:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return Pack({name: archive.read(name) for name in archive.namelist()})


def made(system: System, wanted: Wanted, caller: Caller = ADMIN) -> Pack:
    return opened(zipped(system, wanted, caller))


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    with a_month(sqlite_url(tmp_path_factory.mktemp("month"))) as found:
        yield found


@pytest.fixture(scope="module")
def pack(month: Month) -> Pack:
    return made(month.system, MONTH, MINH)


# Hashes.


def test_the_manifest_has_the_hash_of_each_file_and_the_record_that_of_the_manifest(month: Month, pack: Pack) -> None:
    listed = {one["name"]: one["sha256"] for one in pack.manifest["files"]}
    assert listed == {
        name: hashlib.sha256(content).hexdigest()
        for name, content in pack.files.items()
        if name not in {"manifest.json", "SHA256SUMS"}
    }
    sums = {line[66:]: line[:64] for line in pack.files["SHA256SUMS"].decode().splitlines()}
    digest = hashlib.sha256(pack.files["manifest.json"]).hexdigest()
    assert sums == {**listed, "manifest.json": digest}
    noted = [entry["after"] for entry in audit.find(month.system, ADMIN, after=76) if entry["action"] == "audit:report"]
    assert digest in [after.get("manifest_sha256") for after in noted]


def test_a_changed_file_is_not_the_one_that_the_manifest_lists(month: Month, tmp_path: Path) -> None:
    whole = zipped(month.system, MONTH)
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as before, zipfile.ZipFile(changed, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            after.writestr(
                name, content.replace(b"terminal-1042", b"terminal-1043") if name.endswith("revocations.csv") else content
            )
    with pytest.raises(Failed, match=r"sections/revocations.csv is not the file"):
        command._written(changed, tmp_path / "pack")
    with pytest.raises(Failed, match="no whole evidence pack"):
        command._written(io.BytesIO(whole[:-2000]), tmp_path / "pack")
    assert not (tmp_path / "pack").exists()
    command._written(io.BytesIO(whole), tmp_path / "pack")
    assert (tmp_path / "pack" / "sections" / "revocations.csv").is_file()


def test_each_row_leads_back_to_entries_that_are_in_the_chain(month: Month, pack: Pack) -> None:
    written = {entry["sequence"]: entry["hash"] for entry in audit.find(month.system, ADMIN, limit=1000)}
    exported = {
        line["sequence"]: line["hash"]
        for line in map(json.loads, pack.files["record/audit.jsonl"].splitlines())
        if "hash" in line and "actor" in line
    }
    linked = 0
    for section in SECTIONS:
        for row in pack.rows(section.name):
            for link in row["audit"]:
                assert written[link["sequence"]] == exported[link["sequence"]] == link["hash"]
                linked += 1
    assert linked > 80
    signed = pack.manifest["chain"]["signed_head"]
    assert (written[signed["sequence"]], len(signed["signature"])) == (signed["hash"], 88)
    last = pack.manifest["chain"]["to"]
    assert written[last["sequence"]] == last["hash"]


def test_rows_of_the_table_are_those_of_the_document(pack: Pack) -> None:
    for section in SECTIONS:
        head, *lines = pack.table(section.name)
        rows = pack.rows(section.name)
        assert head == [*(column.name for column in section.columns), "audit_sequences", "audit_hashes"]
        assert len(lines) == len(rows)
        for line, row in zip(lines, rows, strict=True):
            assert line[-2:] == [" ".join(str(one[what]) for one in row["audit"]) for what in ("sequence", "hash")]


def test_the_record_in_the_pack_is_proven_with_nothing_but_the_pack(pack: Pack) -> None:
    lines = pack.files["record/audit.jsonl"].splitlines(keepends=True)
    assert audit_verifier.verify(lines).problem is None
    (number,) = (number for number, line in enumerate(lines) if b'"keyCompromise"' in line)
    lines[number] = lines[number].replace(b"keyCompromise", b"superseded")
    assert audit_verifier.verify(lines).problem is not None


# What was so then.


def test_certificates_are_as_they_were_at_the_end_though_they_are_not_any_more(pack: Pack) -> None:
    first = pack.one("certificates", subject="CN=terminal-1041")
    assert (first["owner"], first["groups"], first["status"]) == ("Field service", ["terminals"], "VALID")
    assert pack.one("certificates", subject="CN=terminal-1042")["status"] == "REVOKED"
    assert pack.one("certificates", subject="CN=terminal-1042")["status_at_start"] == "VALID"
    assert pack.one("certificates", subject="CN=terminal-1045")["status"] == "VALID"  # revoked in November
    assert pack.one("certificates", subject="CN=terminal-1045")["status_at_start"] == ""
    assert "CN=terminal-1050" not in {row["subject"] for row in pack.rows("certificates")}


def test_who_could_reach_what_is_by_the_rules_and_groups_of_then(pack: Pack) -> None:
    reach = {(row["listener"], row["subject"]): row for row in pack.rows("reach")}
    assert {subject for listener, subject in reach if listener == "terminals"} == {
        "CN=terminal-1041",
        "CN=terminal-1043",
        "CN=terminal-1045",
    }
    assert reach["terminals", "CN=terminal-1041"]["rules"] == ["ALLOW Terminals pay", "DENY No refunds from outside"]
    assert reach["terminals", "CN=terminal-1041"]["reach"] == "some requests"
    assert reach["partner-api", "CN=lotus-bank.example"]["reach"].startswith("everything")
    assert pack.one("access-rules", name="Terminals pay")["paths"] == ["/pay/*"]
    assert pack.one("listeners", name="wiki")["mode"] == "MANDATORY"
    assert pack.one("listeners", name="partner-api")["mode_at_start"] == "OPTIONAL"


def test_people_and_tokens_are_those_of_then(pack: Pack) -> None:
    assert pack.one("people", name="tom.baker")["role"] == "operator"
    token = pack.one("people", name="deploy-pipeline")
    assert (token["kind"], token["created_by"]) == ("access token", "lan.nguyen")


def test_issuance_tells_who_asked_who_agreed_and_how_the_names_came_in(pack: Pack) -> None:
    asked = pack.one("issuance", subject="CN=settlement.example")
    assert (asked["requested_by"], asked["approved_by"], asked["actor"]) == ("tom.baker", ["lan.nguyen"], "lan.nguyen")
    assert "OPS-1182" in asked["justification"]
    assert "common_name:settlement.example" in asked["check"]
    assert len(asked["audit"]) == 3  # asked, agreed, issued
    enrolled = pack.one("issuance", subject="CN=terminal-1045")
    assert (enrolled["approved_by"], enrolled["how"]) == (["tom.baker"], "enrolled with a grant")
    assert [row["deed"] for row in pack.rows("requests")] == ["asked", "agreed", "asked", "refused"]


def test_each_revocation_has_its_time_to_effect_gateway_by_gateway(pack: Pack) -> None:
    lost = pack.one("revocations", subject="CN=terminal-1042")
    assert (lost["deed"], lost["reason"], lost["actor"]) == ("revoked", "keyCompromise", "tom.baker")
    assert (lost["gateways"], lost["slowest"]) == (2, "1.875 s")
    assert lost["effects"][1].startswith("gateway-2: 1.875 s (2026-10-12 14:05:01.875")
    held = [row for row in pack.rows("revocations") if row["subject"] == "CN=terminal-1043"]
    assert [(row["deed"], row["gateways"]) for row in held] == [("put on hold", 2), ("released from hold", 2)]
    assert [row["slowest"] for row in held] == ["0.500 s", "0.500 s"]


def test_changes_have_before_and_after_and_who_agreed(pack: Pack) -> None:
    (mistake, undone) = (row for row in pack.rows("changes") if row["kind"] == "access_rule")
    assert (json.loads(mistake["before"]), json.loads(mistake["after"])) == ({"paths": ["/pay/*"]}, {"paths": ["/*"]})
    assert (mistake["actor"], mistake["thing"], undone["action"]) == ("tom.baker", "Terminals pay", "revision:revert")
    exported = pack.one("changes", action="authority:export-key")
    assert exported["agreed"].startswith("hung.pham, approval")
    agreed = pack.one("approvals", action="approval:approve")
    assert (agreed["about"], agreed["requested_by"], agreed["decided_by"]) == ("authority:export-key", "lan.nguyen", "hung.pham")
    assert "OPS-1190" in agreed["justification"]


def test_exceptions_have_an_owner_and_an_end_or_it_is_said_that_they_have_none(pack: Pack) -> None:
    rows = pack.rows("exceptions")
    assert all(row["owner"] and row["ends"] for row in rows)
    (monitor,) = (row for row in rows if "Uptime monitor" in row["what"])
    assert (monitor["owner"], monitor["when"]) == ("tom.baker", "at the end")
    (prices,) = (row for row in rows if "Public price list" in row["what"])
    assert (prices["owner"], prices["when"]) == ("Marketing", "ended in the period")
    (rehearsed,) = (row for row in rows if "REHEARSAL" in row["what"])
    assert rehearsed["ends"].startswith("2026-10-20T10:00")
    assert {row["place"] for row in rows} == {"terminals", "partner-api", "State Treasury"}


def test_keys_reviews_refusals_and_what_is_shared_are_told(pack: Pack) -> None:
    assert pack.one("ca-keys", name="Partners")["events"] == ["exported 2026-10-18 by lan.nguyen"]
    assert pack.one("ca-keys", name="State Treasury")["place"].startswith("never here")
    access = [row for row in pack.rows("reviews") if row["subject"] == "access"]
    assert access[0]["note"].endswith("by minh.tran")
    assert access[1]["findings"].startswith("old-broker.example")
    standing = [row["note"] for row in pack.rows("reviews") if not row["at"]]
    assert sum("nobody has ever" in note for note in standing) == 1
    assert pack.one("refusals-by-reason", code="revoked")["count"] == 14
    assert pack.one("refusals", code="revoked")["subject"] == "CN=terminal-1042"
    assert pack.one("shared-certificates", subject="CN=terminal-1041")["address_count"] == 7
    assert [row["action"] for row in pack.rows("sign-ins")] == ["session:refuse", "session:begin", "session:end"]


def test_however_small_pages_are_nothing_is_lost_or_told_twice(month: Month, pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (evidence, sections):
        monkeypatch.setattr(module, "PAGE", 2)
    again = made(month.system, MONTH, MINH)
    for section in SECTIONS:
        assert again.rows(section.name) == pack.rows(section.name), section.name


def test_postgresql_tells_the_same(pack: Pack, postgres_url: str) -> None:
    with a_month(postgres_url) as month:
        other = made(month.system, MONTH, MINH)
    for section in SECTIONS:
        assert [_without_keys(row) for row in other.rows(section.name)] == [_without_keys(row) for row in pack.rows(section.name)]
    assert other.manifest["chain"]["holds"]


def _without_keys(row: dict[str, Any]) -> str:
    """A row without what follows from keys, which are others each time."""
    return re.sub(r"-----BEGIN.*|\b[0-9a-f]{36,64}\b", "", json.dumps(row))


# The page.


class Tags(HTMLParser):
    """What a page is made of, and whether each tag that is opened is closed."""

    _ALONE: Final = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]
        if tag not in self._ALONE:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, tag

    def of(self, text: str) -> "Tags":
        self.feed(text)
        self.close()
        assert self._open == []
        return self


def test_the_page_needs_nothing_from_elsewhere_and_no_script(pack: Pack) -> None:
    tags = Tags().of(pack.page)
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(tags.names)
    assert not any(name.startswith("on") for name in tags.attributes)
    assert "default-src 'none'" in pack.page
    assert "@media print" in pack.page
    assert "url(" not in pack.page
    assert "@import" not in pack.page
    inside = {link for link in tags.links if not link.startswith("#")}
    assert inside <= pack.files.keys()
    assert {link[1:] for link in tags.links if link.startswith("#")} <= set(tags.ids)
    assert len(tags.ids) == len(set(tags.ids))


def test_the_page_claims_no_more_than_it_shows(pack: Pack) -> None:
    words = re.sub(r"\s+", " ", pack.page)
    assert "one factor" in words
    assert "does not show" in words
    assert words.count("Check numbers and wording with your auditor") == 2  # ISO and SOC 2, whose titles are from knowledge
    for name in MONTH.frameworks:
        for control in FRAMEWORKS[name].controls:
            assert control.sections
            assert set(control.sections) <= {*(section.name for section in SECTIONS), "record"}


def test_every_section_is_evidence_for_some_control_of_each_framework_or_is_not_shown_for_it() -> None:
    for framework in FRAMEWORKS.values():
        used = {name for control in framework.controls for name in control.sections}
        assert {"certificates", "issuance", "revocations", "reviews", "record", "changes"} <= used


def hostile(system: System) -> Wanted:
    """Things whose names are formulas and markup."""
    authority = an_authority(system, name="@SUM(1+1)*cmd|' /C calc'!A0")
    a_certificate(system, authority, "alice", owner='=HYPERLINK("http://evil.test")', groups=("+1", "<img src=x>"), name="-2+3")
    bob = a_certificate(system, authority, "bob", owner="<script>alert(1)</script>")
    revocation.revoke(system, replace(ADMIN, name="=1+1"), bob.id, Revoke(reason="superseded"))
    balancer = a_balancer(system, name='"><b>', vip_address="127.0.0.1")
    mode = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": f"/v1/authorities/{authority.id}"}
    listener = a_listener(system, balancer, name="=cmd", **mode)
    exception = AccessException(
        listener_id=listener.id, name="@x", kind="HEALTH_CHECK", owner="-owner", not_after=system.clock() + timedelta(days=9)
    )
    exceptions.create(system, ADMIN, exception)
    now = system.clock()
    return Wanted(tuple(FRAMEWORKS), now - timedelta(days=1), now)


def test_no_cell_is_a_formula_and_no_name_is_markup(system: System) -> None:
    found = made(system, hostile(system))
    for section in SECTIONS:
        for line in found.table(section.name):
            assert [cell for cell in line if cell.startswith(FORMULA)] == []
    assert any(cell.startswith("'=HYPERLINK") for line in found.table("certificates") for cell in line)
    tags = Tags().of(found.page)
    assert not {"script", "img", "b"} & set(tags.names)
    assert "&lt;script&gt;alert(1)" in found.page


# What there is, and what there is not.


def test_what_was_removed_for_its_age_is_said_to_be_missing(system: System, clock: FakeClock) -> None:
    authority = an_authority(system)
    a_certificate(system, authority, "alice")
    begun = clock.at
    heads.sign(system)
    clock.advance(days=500)
    a_certificate(system, authority, "bob", lifetime=timedelta(days=30))
    heads.sign(system)
    assert heads.prune_due(system) > 0
    found = made(system, Wanted(PCI, begun - timedelta(days=1), begun + timedelta(days=30)))
    assert "The period is not covered whole" in found.page
    assert found.one("record", what="The period is covered whole")["value"].startswith("no: entries up to")
    assert found.manifest["chain"]["removed_for_age_up_to"] > 0
    covered = made(system, Wanted(PCI, clock.at - timedelta(days=1), clock.at))
    assert "not covered whole" not in covered.page
    assert covered.one("record", what="The period is covered whole")["value"] == "yes"


def test_a_review_outlives_its_entry(system: System, clock: FakeClock) -> None:
    begun = clock.at
    looked = NewReview(subject="access", since=begun - timedelta(days=90), until=begun, findings="none")
    signed = reviews.create(system, MINH, looked)
    wanted = Wanted(PCI, begun - timedelta(days=1), begun + timedelta(days=30))
    clock.advance(days=40)
    before = made(system, wanted)
    assert [row["id"] for row in before.rows("reviews") if row["id"]] == [signed.id]
    assert before.one("reviews", id=signed.id)["audit"]
    heads.sign(system)
    clock.advance(days=500)
    an_authority(system)
    heads.sign(system)
    assert heads.prune_due(system) > 0
    after = made(system, wanted).one("reviews", id=signed.id)
    assert (after["actor"], after["findings"], after["audit"]) == ("minh.tran", "none", [])


@pytest.mark.parametrize(("says", "told"), [(True, "yes"), (False, "NO"), (None, "its kernel does not tell")])
def test_what_the_kernel_says_of_the_clock_is_told(system: System, says: bool | None, told: str) -> None:  # noqa: FBT001 (a parameter)
    now = system.clock()
    found = made(replace(system, synchronised=lambda: says), Wanted(PCI, now - timedelta(days=1), now))
    assert [row["value"] for row in found.rows("record") if "trusted one" in row["what"]] == [told]
    assert is_synchronised() in {True, False, None}


def test_a_record_that_was_tampered_with_is_told_on_the_first_page(system: System) -> None:
    an_authority(system)
    with system.store.write() as transaction:
        from sqlalchemy import text  # noqa: PLC0415 (what an attacker would say)

        transaction.connection.execute(text("UPDATE audit SET entry = replace(entry, 'Test CA', 'Best CA') WHERE sequence = 1"))
    now = system.clock()
    found = made(system, Wanted(PCI, now - timedelta(days=1), now))
    assert "The record is not whole" in found.page
    assert found.manifest["chain"]["holds"] is False
    assert found.one("record", what="The chain holds")["value"].startswith("NO: ")


def test_a_period_without_anything_is_a_pack_that_says_so(system: System) -> None:
    now = system.clock()
    found = made(system, Wanted(tuple(FRAMEWORKS), now - timedelta(days=30), now))
    assert "None in this period." in found.page
    assert found.rows("certificates") == []
    assert found.rows("people")[0]["name"] == "admin"


def test_the_record_may_be_left_out(system: System) -> None:
    now = system.clock()
    found = made(system, Wanted(PCI, now - timedelta(days=1), now, record=False))
    assert "record/audit.jsonl" not in found.files


def test_what_is_not_over_yet_ends_now(system: System) -> None:
    now = system.clock()
    found = made(system, Wanted(PCI, now - timedelta(days=1), now + timedelta(days=30)))
    ends = datetime.fromisoformat(found.manifest["period"]["to"])
    assert now <= ends < now + timedelta(minutes=1)
    assert found.manifest["period"]["asked_until"].startswith(f"{now + timedelta(days=30):%Y-%m-%d}")


@pytest.mark.parametrize(
    ("frameworks", "since", "until", "field"),
    [
        ([], "2026-10-01", "2026-10-31", "framework"),
        (["hipaa"], "2026-10-01", "2026-10-31", "framework"),
        (["soc2"], "", "2026-10-31", "from"),
        (["soc2"], "2026-10-01", "yesterday", "to"),
        (["soc2"], "2026-10-01", "9999-12-31", "to"),
        (["soc2"], "2026-10-01", "2026-09-01", "from"),
        (["soc2"], "1926-10-01", "2026-10-01", "from"),
        (["soc2"], "2999-10-01", "2999-10-02", "from"),
    ],
)
def test_what_makes_no_sense_is_named(system: System, frameworks: list[str], since: str, until: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        reports.make(system, ADMIN, reports.asked(frameworks, since, until))
    assert refused.value.field == field


def test_a_day_is_in_the_period_and_a_time_is_not() -> None:
    wanted = reports.asked(["soc2"], "2026-10-01", "2026-10-31")
    assert (wanted.since, wanted.until) == (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
    assert reports.name_of(wanted) == "ostiary-evidence-20261001-20261031"
    exact = reports.asked(["soc2"], "2026-10-01T00:00:00+07:00", "2026-10-31T12:00:00Z")
    assert (exact.since, exact.until) == (datetime(2026, 9, 30, 17, tzinfo=UTC), datetime(2026, 10, 31, 12, tzinfo=UTC))


def test_auditors_may_and_who_only_holds_a_certificate_may_not(system: System) -> None:
    now = system.clock()
    wanted = Wanted(PCI, now - timedelta(days=1), now)
    for role in ("auditor", "operator", "admin"):
        assert made(system, wanted, Caller("somebody", role)).manifest["made_by"] == "somebody"
    for role in ("holder", "enrolling", "public"):
        with pytest.raises(Denied):
            reports.make(system, Caller("somebody", role), wanted)


def test_two_are_made_at_a_time_and_one_that_nobody_reads_on_makes_room(system: System) -> None:
    now = system.clock()
    wanted = Wanted(PCI, now - timedelta(days=1), now)
    first, second = (reports.make(system, ADMIN, wanted) for _ in range(2))
    with pytest.raises(TooMany):
        reports.make(system, ADMIN, wanted)
    del first
    third = reports.make(system, ADMIN, wanted)
    assert opened(b"".join(third)).manifest
    assert opened(b"".join(second)).manifest


def test_it_is_on_record_before_any_of_it_is_handed_out(system: System) -> None:
    now = system.clock()
    pieces = reports.make(system, MINH, Wanted(PCI, now - timedelta(days=1), now))
    (entry,) = (one for one in audit.find(system, ADMIN) if one["action"] == "audit:report")
    assert (entry["actor"], entry["after"]["frameworks"]) == ("minh.tran", ["pci-4.0.1"])
    del pieces
