"""What is asked about certificates day by day is answered from an index: among a million it takes as long as among ten."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import event

from ostiary.model.inventory import Wanted
from ostiary.model.query import Query
from ostiary.ops.system import System
from ostiary.store import few, inventory, matching, revocations, statuses, watched
from ostiary.store.kinds import CERTIFICATE
from ostiary.store.store import Reader, Store
from support.made import a_certificate, an_authority
from support.systems import a_system, sqlite_url

AT: Final = datetime(2026, 11, 26, tzinfo=UTC)
IN_ORDER: Final = "SCAN certificates USING COVERING INDEX ix_certificates_created_at_id"  # ends as soon as the page is full
OLDEST_FIRST: Final = "SCAN certificates USING INDEX ix_certificates_created_at_id"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return a_system(sqlite_url(tmp_path)).store


def plans(reader: Reader, ask: Any) -> list[str]:
    """How SQLite goes about each statement that is made while `ask` runs."""
    asked: list[tuple[str, tuple[Any, ...]]] = []

    def note(*told: Any) -> None:
        asked.append((told[2], told[3]))

    event.listen(reader.connection, "before_cursor_execute", note)
    ask()
    event.remove(reader.connection, "before_cursor_execute", note)
    return [
        str(row[-1])
        for statement, parameters in asked
        for row in reader.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    ]


def wanted(query: Query | None = None, **fields: Any) -> Wanted:
    return Wanted(query or Query(limit=100), AT, **fields)


@pytest.mark.parametrize(
    ("asked", "by"),
    [
        (wanted(), IN_ORDER),
        (wanted(Query(limit=100, reverse=True)), IN_ORDER),
        (wanted(Query(limit=100, filters=(("name", "door"),))), "ix_certificates_name (name=?)"),
        (wanted(Query(limit=100, filters=(("owner", "ann"),))), "ix_certificates_owner (owner=?)"),
        (wanted(Query(limit=100, filters=(("key_sha256", "00"),))), "ix_certificates_key_sha256 (key_sha256=?)"),
        (wanted(Query(limit=100, sort=(("not_after", False),))), "ix_certificates_not_after"),
        (wanted(Query(limit=100, sort=(("not_after", True),))), "ix_certificates_not_after"),
        (wanted(Query(limit=100, sort=(("name", False),))), "ix_certificates_name"),
        (wanted(serial="0a"), "ix_certificates_serial (serial=?)"),
        (wanted(fingerprint_sha256="0a"), "(fingerprint_sha256>? AND fingerprint_sha256<?)"),
        (wanted(status="VALID"), OLDEST_FIRST),
        (wanted(status="EXPIRED"), OLDEST_FIRST),
        (wanted(status="ON_HOLD"), "ix_revocations_held"),
        (wanted(Query(limit=100, sort=(("not_after", False),)), status="VALID"), "ix_certificates_not_after"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_page_is_found_by_an_index(store: Store, asked: Wanted, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(few, "MOST", -1)  # as where there are many
    with store.read() as reader:
        found = plans(reader, lambda: inventory.page(reader, asked))
    assert any(by in step for step in found), found
    assert "SCAN certificates" not in found


def by_filter(name: str, value: str) -> Wanted:
    return wanted(Query(limit=100, filters=((name, value),)))


@pytest.mark.parametrize(
    ("asked", "by"),
    [
        (wanted(search=("door",)), ("certificate_words VIRTUAL TABLE INDEX", "ix_certificates_created_at_id (created_at=?)")),
        (by_filter("subject", "CN=door"), ("certificate_words VIRTUAL TABLE INDEX",)),
        (by_filter("groups", "x"), ("certificate_groups VIRTUAL TABLE INDEX",)),
        (by_filter("profile", "x"), ("ix_certificates_live (profile=?)", "ix_certificates_revoked_profile (profile=?)")),
        (by_filter("project_id", "x"), ("ix_certificates_project_id (project_id=?)",)),
        (by_filter("revocation_reason", "x"), ("ix_certificates_reason (<expr>=?)",)),
        (wanted(status="NOT_YET_VALID"), ("ix_certificates_not_before (<expr>>?)",)),
        (wanted(status="VALID"), ("ix_certificates_not_after (not_after>?)",)),
        (wanted(status="EXPIRED"), ("ix_certificates_not_after (not_after<?)",)),
        (wanted(status="REVOKED"), ("ix_certificates_revoked_at",)),
        (wanted(expires_after=AT, expires_before=AT), ("ix_certificates_not_after (not_after>? AND not_after<?)",)),
        (wanted(seen_after=AT), ("ix_certificates_last_seen (last_seen>?)",)),
        (wanted(Query(limit=100, sort=(("last_seen", True),))), ("SCAN certificates USING INDEX ix_certificates_seen_or_made",)),
    ],
    ids=lambda value: value[0][:40] if isinstance(value, tuple) else "",
)
def test_the_few_that_can_match_are_found_by_an_index(store: Store, asked: Wanted, by: tuple[str, ...]) -> None:
    with store.read() as reader:
        found = plans(reader, lambda: inventory.page(reader, asked))
    assert all(any(one in step for step in found) for one in by), found
    if not asked.query.sort:
        assert not [step for step in found if step.startswith("SCAN certificates")], found


def test_a_page_far_in_begins_where_the_one_before_ended(tmp_path: Path) -> None:
    system = a_system(sqlite_url(tmp_path))
    last = a_certificate(system, an_authority(system))
    with system.store.read() as reader:
        for query in (Query(limit=100, marker=last.id), Query(limit=100, marker=last.id, reverse=True)):
            found = plans(reader, lambda query=query: inventory.page(reader, wanted(query)))
            assert any("ix_certificates_created_at_id (created_at" in step for step in found), found


def test_of_one_authority_none_is_sorted(system_of_one: tuple[System, str]) -> None:
    system, authority_id = system_of_one
    with system.store.read() as reader:
        found = plans(reader, lambda: inventory.page(reader, wanted(authority_id=authority_id)))
    assert any("ix_certificates_authority_id_created_at_id (authority_id=?)" in step for step in found), found


@pytest.fixture
def system_of_one(tmp_path: Path) -> tuple[System, str]:
    system = a_system(sqlite_url(tmp_path))
    return system, an_authority(system).id


def test_what_is_asked_for_each_certificate_and_each_answer_is_looked_up(store: Store) -> None:
    def ask(reader: Reader) -> None:
        reader.get(CERTIFICATE, "x")
        reader.count(CERTIFICATE, authority_id="x")
        matching.with_key(reader, "00")
        statuses.status(reader, ("a", "b"), "00")
        revocations.of(reader, "a", "00")
        revocations.last_change(reader, "a")
        list(revocations.entries(reader, "a", expired_since=AT))
        revocations.in_force_since(reader, AT, AT)
        watched.ours_in_use(reader, AT, AT, AT)

    with store.read() as reader:
        found = plans(reader, lambda: ask(reader))
    assert not [step for step in found if step.startswith("SCAN") and "USING" not in step and "CONSTANT" not in step], found
