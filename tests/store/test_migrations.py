"""The schema that migrations make is the one the code expects, and starting again changes nothing."""

import re
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import bindparam, select, text

from ostiary.errors import Invalid, Unavailable
from ostiary.store import engine as engine_module
from ostiary.store.engine import migrate, open_engine
from ostiary.store.tables import UTCDateTime, metadata
from support.systems import sqlite_url

AT = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def test_the_migrated_schema_is_that_of_the_tables(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    migrate(engine)
    with engine.connect() as connection:
        # What is said of the document is in no index that can be read back alike, and an index of words is made where it can be.
        apart = re.compile(r"certificate_(words|groups|ends)|ix_certificates_(words|not_before|reason|seen_or_made)")
        opts = {"compare_type": True, "include_name": lambda name, _kind, _of: name is None or not apart.match(name)}
        context = MigrationContext.configure(connection, opts=opts)
        with warnings.catch_warnings(action="ignore"):
            assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_sqlite_waits_until_the_disk_has_what_is_committed(tmp_path: Path) -> None:
    engine = open_engine(sqlite_url(tmp_path))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL; most tests do without (support.systems)
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar() == 8000  # else a batch is moved as it comes
    engine.dispose()


def test_the_newest_is_the_one_that_alembic_calls_so() -> None:
    config = Config()
    config.set_main_option("script_location", str(engine_module.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [engine_module.newest()]


def test_a_database_of_a_newer_ostiary_is_refused_not_guessed_at(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    with engine.execution_options(writes=True).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from-the-future'"))
    with pytest.raises(Unavailable, match="another version"):
        migrate(engine)
    engine.dispose()


@pytest.mark.parametrize("bad", ["", "nonsense", "mysql://host/db"])
def test_an_unsupported_database_is_named(bad: str) -> None:
    with pytest.raises(Invalid, match="--database"):
        open_engine(bad)


def test_addresses_of_before_come_along_with_the_last_time_of_all(url: str) -> None:
    engine = open_engine(url)
    migrate(engine, "0004")
    added = text(
        "INSERT INTO sightings (fingerprint_sha256, listener_id, serial, subject, issuer, first_seen, last_seen, requests,"
        " addresses) VALUES (:fingerprint, 'l1', '', '', '', :at, :at, 1, :addresses)"
    ).bindparams(bindparam("at", type_=UTCDateTime()))
    with engine.execution_options(writes=True).begin() as connection:
        for fingerprint, addresses in (("a", '["192.0.2.1", "2001:db8::1"]'), ("b", "[]")):
            connection.execute(added, {"fingerprint": fingerprint, "at": AT, "addresses": addresses})
    migrate(engine)
    with engine.connect() as connection:
        seen = metadata.tables["sightings"].c
        rows = connection.execute(select(seen.places, seen.address_count).order_by(seen.fingerprint_sha256)).all()
    engine.dispose()
    (both, two), (none, zero) = rows
    assert {address: datetime.fromisoformat(at) for address, at in both.items()} == {"192.0.2.1": AT, "2001:db8::1": AT}
    assert (none, two, zero) == ({}, 2, 0)


def test_what_certificates_of_before_renewed_is_found_too(url: str) -> None:
    engine = open_engine(url)
    migrate(engine, "0014")
    usual = {"project_id": "", "name": "", "revision": 0, "created_at": AT, "not_after": AT}
    authority = {"id": "ca", "series_id": "ca", "fingerprint_sha256": "a", "sealed_key": b"", "document": {}, **usual}
    kind = {"authority_id": "ca", "key_sha256": "", "profile": "client", "subject": "", "owner": "", "groups": ()}
    with engine.execution_options(writes=True).begin() as connection:
        connection.execute(metadata.tables["authorities"].insert().values(authority))
        for name, replaces in (("old", None), ("new", "old")):
            document = {"replaces": replaces}
            row = {"id": name, "serial": name, "fingerprint_sha256": name, "document": document, **kind, **usual}
            connection.execute(metadata.tables["certificates"].insert().values(row))
    migrate(engine)
    with engine.connect() as connection:
        known = metadata.tables["certificates"].c
        rows = dict(connection.execute(select(known.id, known.replaces)).all())
    engine.dispose()
    assert rows == {"old": None, "new": "old"}
