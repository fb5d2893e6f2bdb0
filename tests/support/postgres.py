"""A throw-away PostgreSQL server: Debian's own binaries, a Unix socket, no durability, gone when the tests are."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from support.wait import eventually

_FILLED: Final = "filled"
UNPRIVILEGED: Final = "nobody"  # PostgreSQL refuses to run as root.
_SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
}


def binaries() -> Path | None:
    """The folder of the newest installed server's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


@dataclass(frozen=True)
class Postgres:
    """A running server, reached through the socket in `folder`."""

    folder: Path
    _numbers: Iterator[int]

    def url(self, database: str) -> str:
        """Where SQLAlchemy finds a database of it."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def fresh_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"test_{next(self._numbers)}"
        with self._connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True)


def fill(url: str, how: Callable[[str], None]) -> None:
    """Have `how` fill an empty database, or copy one that it filled before. One with something in it is left as it is."""
    address, _, query = url.partition("?")
    server, _, name = address.rpartition("/")
    folder = query.removeprefix("host=")
    with psycopg.connect(host=folder, user="postgres", dbname=name) as connection:
        if connection.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public'").fetchone():
            return
    with psycopg.connect(host=folder, user="postgres", dbname="postgres", autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_FILLED]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_FILLED)))
            how(f"{server}/{_FILLED}?{query}")
        connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(copy.format(sql.Identifier(name), sql.Identifier(_FILLED)))


@contextmanager
def server(programs: Path) -> Iterator[Postgres]:
    """Run a server for as long as the block lasts."""
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    # Not pytest's tmp_path: a socket's path may be 107 bytes long, and the unprivileged user must be able to enter.
    folder = Path(tempfile.mkdtemp(prefix="ostiary-pg-"))
    try:
        if user:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        with _running(programs, folder, user) as postgres:
            yield postgres
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(programs: Path, folder: Path, user: str | None) -> Iterator[Postgres]:
    data, log = folder / "data", folder / "log"
    initdb = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    made = subprocess.run(
        initdb, user=user, extra_groups=[] if user else None, cwd=folder, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    settings = {**_SETTINGS, "unix_socket_directories": str(folder)}
    postgres = [str(programs / "postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in settings.items())]
    with log.open("w") as output:
        process = subprocess.Popen(
            postgres, user=user, extra_groups=[] if user else None, cwd=folder, stdout=output, stderr=output
        )
    running = Postgres(folder, count(1))
    try:
        eventually(lambda: process.poll() is not None or running.is_ready())
        assert process.poll() is None, log.read_text()
        yield running
    finally:
        process.send_signal(signal.SIGQUIT)  # "Immediate" shutdown: nothing here is worth a checkpoint.
        process.wait(30)
