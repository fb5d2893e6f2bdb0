"""Open the database: SQLite in WAL mode by default, PostgreSQL when several control planes share it."""

from pathlib import Path
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from ostiary import loading
from ostiary.errors import Invalid, Unavailable
from ostiary.store import words

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_SECONDS = 30
# As many as the API has threads (Starlette's 40) and some for our own chores: whoever finds none left would open one for a
# single use, which costs more than most uses. Of a server's, which others need too, fewer are kept.
_CONNECTIONS = 48
# Pages in the log before they are moved into the file: 32 MiB. A certificate touches a page of each of a dozen indices, and what
# many touch is moved once. At SQLite's own 1,000 that is done, and waited for, after every other batch: 15 % more CPU for each
# certificate, and on a busy disk two thirds of the rate (benchmarks/issuing_peers.py).
_LOG_PAGES = 8000
_SERVER_CONNECTIONS = 10


def open_engine(url: str) -> Engine:
    """An engine whose connections are set up for us. Raises `Invalid` for a database we do not support."""
    try:
        backend = make_url(url).get_backend_name()
    except Exception as error:
        raise Invalid("--database", "not a database URL, such as postgresql://user@host/name") from error
    if backend == "sqlite":
        if make_url(url).database in {None, "", ":memory:"}:
            raise Invalid(
                "--database", "a database in memory would be gone with the process; give a file, such as sqlite:////var/x.db"
            )
        return _sqlite(url)
    if backend == "postgresql":
        return create_engine(
            url,
            pool_pre_ping=True,
            pool_size=_SERVER_CONNECTIONS,
            max_overflow=_CONNECTIONS - _SERVER_CONNECTIONS,
            connect_args={"options": f"-c lock_timeout={LOCK_SECONDS}s"},
        )
    raise Invalid("--database", f"'{backend}' is not supported; use sqlite or postgresql")


def described(url: str) -> tuple[str, str]:
    """What a database is and where, without the name and the password by which one gets in."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return "SQLite", str(Path(parsed.database or "").absolute())
    place = f"{parsed.host or 'localhost'}{f':{parsed.port}' if parsed.port else ''}"
    return "PostgreSQL", f"{place}/{parsed.database or ''}"


def _sqlite(url: str) -> Engine:
    # isolation_level None: pysqlite must not begin transactions of its own, `begin` below does.
    # The one used last is used next: each connection keeps pages of the file in memory, and those of few are enough.
    engine = create_engine(
        url,
        connect_args={"isolation_level": None, "timeout": LOCK_SECONDS},
        pool_size=_CONNECTIONS,
        pool_use_lifo=True,
        json_deserializer=from_json,  # a third of the time that Python's own takes
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        log = f"wal_autocheckpoint={_LOG_PAGES}"
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON", log):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer takes the lock at once: a transaction that reads first and then upgrades could fail half-way.
        immediate = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def migrate(engine: Engine, to: str = "head") -> None:
    """Bring the database to the newest schema, or `to` an older one.

    Raises `Unavailable` when it cannot be opened or was made by a newer ostiary.
    """
    try:
        _upgrade(engine, to)
    except DBAPIError as error:
        # The driver's own first line: SQLAlchemy's words would add the statement and a link.
        why = str(error.orig).strip().partition("\n")[0]
        raise Unavailable(f"--database: it cannot be used: {why}") from error


def _upgrade(engine: Engine, to: str) -> None:
    with engine.execution_options(writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7681)")  # two control planes starting together
        if to != "head" or _at(connection) != [newest()]:
            bring(connection, to)
        if to == "head":
            words.keep(connection)


def bring(connection: Connection, to: str) -> None:
    """Bring the database to a schema, within the transaction that this connection is in. Raises `Unavailable`."""
    with loading.without("pygments"):  # Its templates would draw tracebacks with it: a third of what it loads.
        from alembic import command  # noqa: PLC0415 (slow to load, and only where there is something to change)
        from alembic.config import Config  # noqa: PLC0415 (likewise)
        from alembic.util import CommandError  # noqa: PLC0415 (likewise)

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError as error:
        raise Unavailable(f"the database was made by another version of ostiary: {error}") from error


def _at(connection: Connection) -> list[str]:
    """Which migration the database is at, as Alembic writes it down; none when it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return []
    return list(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())


def newest() -> str:
    """The newest migration there is."""
    return max(versions())


def versions() -> frozenset[str]:
    """Every migration there is: files are named by their number."""
    return frozenset(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("0*.py"))
