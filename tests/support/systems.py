"""A system to call use cases on: real store, real encryption, no servers."""

import sqlite3
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from sqlalchemy import Engine, event

from ostiary.clock import now
from ostiary.ops.caller import Caller
from ostiary.ops.system import System
from ostiary.pki.sealing import Sealer, new_kek
from ostiary.store.engine import migrate, open_engine
from ostiary.store.store import Store
from support import postgres

ADMIN = Caller(name="admin", role="admin", source="127.0.0.1", request_id="req-test")


class FakeClock:
    """A time that moves only when told to, or by a microsecond so that no two moments are the same."""

    def __init__(self, at: datetime | None = None) -> None:
        self.at = at or now()

    def __call__(self) -> datetime:
        self.at += timedelta(microseconds=1)
        return self.at

    def advance(self, **by: float) -> None:
        self.at += timedelta(**by)


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'ostiary.db'}"


def a_store(url: str, clock: FakeClock | None = None) -> Store:
    """A migrated store. A new database is a copy of one that was migrated: to migrate each takes longer than most tests."""
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///"))
        if not file.exists():
            migrated(file)
    else:
        postgres.fill(url, _migrate)
    engine = open_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _without_waiting_for_the_disk)
        _with_what_was_compiled(engine)
    return Store(engine, clock or FakeClock(now().astimezone(UTC)))


def migrated(file: Path) -> None:
    """Write a database that was migrated and holds nothing, ours alone as `ostiary up` would write it."""
    file.touch(mode=0o600)
    file.write_bytes(_migrated_file())


_engines: list[Engine] = []


def _with_what_was_compiled(engine: Engine) -> None:
    """What SQL is made of is compiled once for all stores of this process, rather than for each: that was half of what SQL costs.

    SQLAlchemy keeps it by the dialect's identity, so they have one dialect; all are made with the same settings.
    """
    if not _engines:
        with engine.connect():
            pass  # the dialect learns the database's version with the first connection
        _engines.append(engine)
    engine.dialect = _engines[0].dialect
    engine._compiled_cache = _engines[0]._compiled_cache


def _without_waiting_for_the_disk(connection: sqlite3.Connection, _record: object) -> None:
    """Only a machine that loses its power loses what was not waited for (live/test_survival kills processes)."""
    connection.execute("PRAGMA synchronous=OFF")


@cache
def _migrated_file() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        _migrate(sqlite_url(Path(folder)))
        return (Path(folder) / "ostiary.db").read_bytes()


def _migrate(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()


def a_system(url: str, clock: FakeClock | None = None) -> System:
    """A system on a migrated store, with a key-encryption key of its own."""
    clock = clock or FakeClock()
    return System(store=a_store(url, clock), sealer=Sealer(new_kek()), clock=clock)
