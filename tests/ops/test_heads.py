"""Signed heads: whoever changes the record, whatever they may write, is found out; and what is old goes, provably."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text

from ostiary import audit_verifier
from ostiary.audit_verifier import Verdict
from ostiary.errors import Denied
from ostiary.model.audit import AuditSearch
from ostiary.ops import audit, heads, house_settings
from ostiary.ops.anchor import Anchor
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.pki import head_signing
from ostiary.pki.sealing import Sealer, new_kek
from ostiary.store.store import link
from support.made import a_balancer
from support.systems import ADMIN, FakeClock

OLGA = Caller(name="olga", role="auditor")
GENESIS = "0" * 64


@pytest.fixture
def system(system: System, tmp_path: Path) -> System:
    """Its newest head is kept outside the database, as `ostiary up` has it. Ten things are made; a head was signed midway."""
    made = replace(system, anchor=Anchor(tmp_path / "audit-head"))
    for number in range(5):
        a_balancer(made, name=f"b{number}")
    heads.sign(made)
    for number in range(5, 10):
        a_balancer(made, name=f"b{number}")
    return made


@pytest.fixture
def engine(system: System) -> Engine:
    """What somebody with access to the database has."""
    return system.store._engine.execution_options(writes=True)


def problem(system: System) -> str:
    found = audit.verify(system, ADMIN).problem
    assert found is not None
    return found


def rewritten(connection: Connection, change: Callable[[dict[str, object]], None]) -> None:
    """The whole record anew, with every hash right: what somebody does who knows how it is made."""
    rows = connection.execute(text("SELECT sequence, entry FROM audit ORDER BY sequence")).all()
    previous = GENESIS
    for sequence, entry in rows:
        said = json.loads(entry)
        change(said)
        again = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        its = link(previous, again)
        row = {"entry": again, "previous": previous, "hash": its, "sequence": sequence}
        set_ = "UPDATE audit SET entry = :entry, previous_hash = :previous, hash = :hash WHERE sequence = :sequence"
        connection.execute(text(set_), row)
        previous = its
    connection.execute(text("UPDATE head SET audit_hash = :hash"), {"hash": previous})


def without_a_trace(said: dict[str, object]) -> None:
    said["actor"] = "nobody"


def test_the_record_is_whole_with_its_heads(system: System) -> None:
    verified = audit.verify(system, OLGA)
    assert verified.problem is None
    assert (verified.entries, verified.heads, verified.signed_until) == (11, 1, 6)  # with the entry of the new key
    heads.sign(system)
    verified = audit.verify(system, OLGA)
    assert (verified.heads, verified.signed_until) == (2, 11)


def test_a_record_written_anew_with_every_hash_right_is_found_out(system: System, engine: Engine) -> None:
    with engine.begin() as connection:
        rewritten(connection, without_a_trace)
    assert problem(system) == "entry 6 is another one than when its head was signed and kept outside the database"
    bare = replace(system, anchor=Anchor())
    assert problem(bare) == "entry 6 is another one than when its head was signed"


def test_so_it_is_with_the_heads_taken_away_or_signed_anew(system: System, engine: Engine) -> None:
    with engine.begin() as connection:
        rewritten(connection, without_a_trace)
        connection.execute(text("DELETE FROM audit_heads"))
    assert "kept outside the database" in problem(system)
    theirs = head_signing.new_key()
    with engine.begin() as connection:
        hash_ = connection.execute(text("SELECT hash FROM audit WHERE sequence = 6")).scalar_one()
        head = head_signing.signed(theirs.private, 6, hash_, system.clock())
        # Sealed as we seal, but under another key: ours they do not have.
        sealed = Sealer(new_kek()).seal(theirs.private, f"audit_keys/{theirs.id}")
        key = {"id": theirs.id, "public_key": theirs.public_key, "sealed_key": sealed, "at": "2020-01-01 00:00:00"}
        connection.execute(
            text("INSERT INTO audit_keys (id, public_key, sealed_key, at) VALUES (:id, :public_key, :sealed_key, :at)"), key
        )
        row = {"sequence": 6, "at": "2020-01-01 00:00:00", "hash": hash_, "key_id": theirs.id, "signature": head.signature}
        insert = (
            "INSERT INTO audit_heads (sequence, at, hash, key_id, signature) VALUES (:sequence, :at, :hash, :key_id, :signature)"
        )
        connection.execute(text(insert), row)
    assert problem(replace(system, anchor=Anchor())) == "the head of entry 6 is signed by a key that is not ours"


@pytest.mark.parametrize(
    ("tampering", "words"),
    [
        ("UPDATE audit_heads SET hash = '" + "a" * 64 + "'", "the signature of the head of entry 6 is not right"),
        ("UPDATE audit_heads SET sequence = 7", "the signature of the head of entry 7 is not right"),
        ("UPDATE audit_heads SET signature = 'AAAA'", "the signature of the head of entry 6 is not right"),
        ("UPDATE audit_heads SET sequence = 99", "entry 99 was there when its head was signed"),
        ("DELETE FROM audit_heads", "the head of entry 6 was signed and kept outside the database"),
        ("UPDATE head SET pruned_sequence = 3", "no signed head vouches for them"),
        ("UPDATE head SET pruned_hash = '" + "a" * 64 + "'", "entry 1 does not begin the record"),
    ],
)
def test_heads_that_were_tampered_with_show(system: System, engine: Engine, tampering: str, words: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(tampering))
    assert words in problem(system)


def test_an_end_that_was_cut_off_shows_though_the_database_agrees_with_itself(system: System, engine: Engine) -> None:
    heads.sign(system)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM audit WHERE sequence > 8"))
        connection.execute(text("DELETE FROM audit_heads WHERE sequence > 8"))
        connection.execute(text("UPDATE head SET audit_sequence = 8, audit_hash = (SELECT hash FROM audit WHERE sequence = 8)"))
    assert problem(system) == "the head of entry 11 was signed and kept outside the database; it is not in the record"


def test_a_damaged_file_outside_the_database_is_said(system: System) -> None:
    assert system.anchor.file is not None
    system.anchor.file.write_text("[]")
    assert problem(system) == "the file that keeps the last signed head outside the database is damaged"


def test_heads_are_signed_every_few_minutes_and_only_where_the_record_moved_on(system: System, clock: FakeClock) -> None:
    assert heads.sign_due(system) == 0
    clock.advance(minutes=6)
    assert heads.sign_due(system) == 1
    clock.advance(hours=1)
    assert heads.sign_due(system) == 0
    assert [head.sequence for head in heads.find(system, OLGA)] == [11, 6]
    a_balancer(system, name="later")
    clock.advance(days=-1)  # whoever puts the clock back stops nothing
    assert heads.sign_due(system) == 1


# What is old.


def days_of(system: System, clock: FakeClock, count: int) -> None:
    for number in range(count):
        clock.advance(days=1)
        a_balancer(system, name=f"day{number}")
        heads.sign_due(system)


def test_what_is_old_is_removed_and_the_rest_stays_provable(system: System, clock: FakeClock) -> None:
    days_of(system, clock, 40)
    assert heads.prune_due(system) == 0  # nothing is 400 days old
    house_settings.update(system, ADMIN, {"audit_retention_days": 30})
    removed = heads.prune_due(system)
    assert removed >= 18
    verified = audit.verify(system, ADMIN)
    assert verified.problem is None
    assert verified.begins_after == removed
    assert verified.entries + removed == verified.reached
    (entry,) = audit.search(system, OLGA, AuditSearch(action="audit:prune"))
    assert (entry["after"]["first"], entry["after"]["last"], entry["after"]["entries"]) == (1, removed, removed)
    assert heads.prune_due(system) == 0  # each day once
    days_of(system, clock, 3)
    assert heads.prune_due(system) == 3
    assert audit.verify(system, ADMIN).problem is None
    assert Checked(system).verdict.problem is None


def test_more_than_one_piece_is_removed_in_pieces(system: System, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_AT_ONCE", 4)
    days_of(system, clock, 50)
    house_settings.update(system, ADMIN, {"audit_retention_days": 30})
    removed = heads.prune_due(system)
    entries = audit.search(system, OLGA, AuditSearch(action="audit:prune"))
    assert sum(entry["after"]["entries"] for entry in entries) == removed
    assert len(entries) > 3
    assert audit.verify(system, ADMIN).problem is None


def test_whoever_removes_more_than_that_is_found_out(system: System, engine: Engine, clock: FakeClock) -> None:
    days_of(system, clock, 40)
    house_settings.update(system, ADMIN, {"audit_retention_days": 30})
    removed = heads.prune_due(system)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM audit WHERE sequence <= :last"), {"last": removed + 2})
        take = "UPDATE head SET pruned_sequence = :last, pruned_hash = (SELECT previous_hash FROM audit WHERE sequence = :next)"
        connection.execute(text(take), {"last": removed + 2, "next": removed + 3})
        connection.execute(text("DELETE FROM audit_heads WHERE sequence <= :last"), {"last": removed + 2})
    assert "no signed head vouches for them" in problem(system)


# The verifier that is alone.


class Checked:
    """An export, and what the verifier says of it."""

    def __init__(self, system: System, wanted: AuditSearch = audit.EVERYTHING) -> None:
        self.lines = b"".join(audit.export(system, OLGA, wanted)).splitlines(keepends=True)
        self.key = heads.keys(system, OLGA)[-1].id

    @property
    def verdict(self) -> Verdict:
        return audit_verifier.verify(self.lines, keys=[self.key])

    def edited(self, number: int, **fields: object) -> None:
        self.lines[number] = json.dumps({**json.loads(self.lines[number]), **fields}).encode() + b"\n"

    def place(self, kind: str) -> int:
        return next(number for number, line in enumerate(self.lines) if json.loads(line).get("ostiary") == kind)


@pytest.fixture
def checked(system: System) -> Checked:
    made = Checked(system)
    assert made.verdict.problem is None
    return made


def test_an_export_is_verified_with_nothing_of_ours(checked: Checked, tmp_path: Path) -> None:
    verdict = checked.verdict
    assert (verdict.first, verdict.last, verdict.entries, verdict.heads) == (1, 12, 12, 2)
    export, program = tmp_path / "record.jsonl", tmp_path / "verify_audit.py"
    export.write_bytes(b"".join(checked.lines))
    program.write_text(Path(audit_verifier.__file__).read_text())
    command = [sys.executable, "-I", str(program), str(export), "--key", checked.key]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "entries 1 to 12 (12) are as they were written, none is missing" in done.stdout
    assert "ostiary" not in {name.split(".")[0] for name in _imported(program)}
    export.write_bytes(b"".join(checked.lines[:-1]))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert (done.returncode, "its end was cut off" in done.stdout) == (1, True)


def _imported(program: Path) -> list[str]:
    lines = (line.split() for line in program.read_text().splitlines())
    return [words[1] for words in lines if words and words[0] in {"import", "from"} and len(words) > 1]


def test_that_it_was_handed_out_is_on_record_and_in_the_export(system: System, checked: Checked) -> None:
    (entry,) = audit.search(system, OLGA, AuditSearch(action="audit:export"))
    assert entry["actor"] == "olga"
    assert any(json.loads(line).get("action") == "audit:export" for line in checked.lines)


def test_whatever_is_changed_in_an_export_shows(checked: Checked) -> None:
    """Any field of any line, to something else."""
    original = list(checked.lines)
    for number, line in enumerate(original):
        for name, value in json.loads(line).items():
            if name in {"wanted", "at"} and number == 0:
                continue  # who asked for what: said, and not proven
            checked.lines = list(original)
            checked.edited(number, **{name: value + 1 if isinstance(value, int) else "x" if value != "x" else "y"})
            assert checked.verdict.problem is not None, (number, name)


def test_removal_order_insertion_and_truncation_show(checked: Checked) -> None:
    original = list(checked.lines)
    for number in range(len(original)):
        for tampered in (
            [*original[:number], *original[number + 1 :]],
            [*original[:number], original[number], *original[number:]],
            original[:number],
            [*original[:number], *original[number + 1 : number + 2], original[number], *original[number + 2 :]],
        ):
            if tampered == original:
                continue
            checked.lines = tampered
            assert checked.verdict.problem is not None, (number, len(tampered))


def test_a_line_that_is_cut_or_not_ours_or_too_long_shows(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    original = list(checked.lines)
    for line, words in [
        (original[3][:-1], "cut off"),
        (b"[]\n", "no object"),
        (b"\xff\n", "not JSON"),
        (b"[" * 100_000 + b"\n", "not JSON"),
        (b'{"sequence": NaN}\n', "not JSON"),
        (original[3].replace(b'{"', b'{"sequence": 1, "', 1), "not JSON"),  # a name given twice
        (b'{"ostiary": "news"}\n', "what is 'news'?"),
    ]:
        checked.lines = [*original[:3], line, *original[4:]]
        assert words in (checked.verdict.problem or "")
    monkeypatch.setattr(audit_verifier, "LONGEST_LINE", 100)
    checked.lines = original
    assert "longer than 100 bytes" in (checked.verdict.problem or "")


def test_a_record_that_another_key_signed_shows_to_who_knows_the_key(system: System, checked: Checked) -> None:
    """Whoever writes a record of their own, with a key of their own, is right in everything but the key."""
    theirs = head_signing.new_key()
    begin = checked.place("audit-export")
    checked.edited(begin, keys=[{"id": theirs.id, "public_key": theirs.public_key}])
    for number, line in enumerate(checked.lines):
        said = json.loads(line)
        if said.get("ostiary") == "audit-head":
            head = head_signing.signed(theirs.private, said["sequence"], said["hash"], system.clock())
            checked.edited(number, at=head.at.isoformat(), key_id=head.key_id, signature=head.signature)
    assert audit_verifier.verify(checked.lines).problem is None
    assert "is none of those to trust" in (checked.verdict.problem or "")


def test_a_head_known_from_elsewhere_shows_a_record_written_anew_by_whoever_has_the_key(
    system: System, engine: Engine, checked: Checked
) -> None:
    known = json.loads(checked.lines[checked.place("audit-head")])
    pair = [(known["sequence"], known["hash"])]
    assert audit_verifier.verify(checked.lines, known_heads=pair).problem is None
    with engine.begin() as connection:
        rewritten(connection, without_a_trace)
        connection.execute(text("DELETE FROM audit_heads"))
    anew = Checked(replace(system, anchor=Anchor()))
    assert anew.verdict.problem is None
    problem = audit_verifier.verify(anew.lines, known_heads=pair).problem
    assert "is another one than the one that is known from elsewhere" in (problem or "")
    assert "is not in it" in (audit_verifier.verify(checked.lines, known_heads=[(99, GENESIS)]).problem or "")


def test_a_selection_is_said_to_be_one(system: System) -> None:
    some = Checked(system, AuditSearch(action="loadbalancer:create"))
    verdict = some.verdict
    assert (verdict.problem, verdict.is_selection, verdict.entries) == (None, True, 10)
    assert "That none was left out of it cannot be shown" in audit_verifier.told(verdict)
    some.edited(4, actor="nobody")
    assert "was changed" in (some.verdict.problem or "")


def test_the_two_that_know_the_form_agree(system: System) -> None:
    """The verifier shares no code with what writes: what is hashed and signed is written down twice."""
    assert audit_verifier.link(GENESIS, '{"a":"ö"}') == link(GENESIS, '{"a":"ö"}')
    at = system.clock()
    ours = head_signing.statement(7, GENESIS, at, "key")
    assert audit_verifier.statement(7, GENESIS, at.isoformat(), "key") == ours


def test_whoever_may_not_read_the_record_gets_no_heads(system: System) -> None:
    nobody = Caller(name="eve", role="enrolling")
    for asked in (heads.find, heads.keys):
        with pytest.raises(Denied):
            asked(system, nobody)
