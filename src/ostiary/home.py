"""What lies in a data directory: the lock that only one may hold, the database, the key-encryption key, the admin token."""

import base64
import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

from ostiary import locks
from ostiary.clock import now
from ostiary.custody.token import Location, Token
from ostiary.errors import Conflict, Unavailable
from ostiary.files import write_private
from ostiary.ops import start
from ostiary.ops.custodians import Custodians
from ostiary.paths import Paths
from ostiary.pki.sealing import Sealer, new_kek
from ostiary.settings import Settings
from ostiary.store.engine import migrate, open_engine
from ostiary.store.store import Store

LOCK: Final = "ostiary.lock"
POLL_SECONDS: Final = 0.05

log = structlog.get_logger(source="ostiary")


def open_store(settings: Settings) -> Store:
    """The database, brought to the newest schema. Raises `Invalid` or `Unavailable`."""
    engine = open_engine(settings.database_url)
    migrate(engine)
    if engine.dialect.name == "sqlite" and engine.url.database:
        Path(engine.url.database).chmod(0o600)  # wherever --database puts it
    return Store(engine, now)


def open_sealer(settings: Settings, store: Store) -> Sealer:
    """The key-encryption key, made at first start. Never made anew over data that needs the old one."""
    file = settings.kek_file
    if not file.exists():
        if start.holds_sealed(store):
            raise start.missing_key(file)
        write_private(file, base64.b64encode(new_kek()))
    sealer = Sealer(_decoded(file))
    start.check_key(store, sealer)
    return sealer


def custodians(settings: Settings) -> Custodians:
    """Who keeps the keys of authorities here. A token is not asked before it is needed: without it, all but signing goes on."""
    token = settings.token
    return Custodians(Token(Location(token.module, token.label, token.pin_file)) if token else None)


def _decoded(file: Path) -> bytes:
    _only_ours(file)
    try:
        return base64.b64decode(file.read_bytes(), validate=True)
    except ValueError:
        raise Unavailable(f"{file} does not hold a key-encryption key; restore it from your backup.") from None


def token(file: Path) -> str:
    """The admin token, made at first start."""
    if not file.exists():
        write_private(file, secrets.token_urlsafe(32).encode())
    _only_ours(file)
    token = file.read_text().strip()
    if len(token) < 32:  # an empty or short token would be no lock at all
        raise Unavailable(f"{file} is too short to be a token; delete it to have a new one made.")
    return token


def _only_ours(file: Path) -> None:
    if file.stat().st_mode & 0o077:
        log.warning("others could read this file; closing it", file=str(file))
        file.chmod(0o600)


@contextmanager
def held(data_dir: Path) -> Iterator[None]:
    """Hold the data directory. The kernel lets go of the lock when the process ends, however it ends. Raises `Conflict`."""
    Paths(data_dir).prepare()
    handle = locks.opened(data_dir / LOCK)
    try:
        if not locks.taken(handle):
            raise Conflict(
                f"another ostiary (process {_holder(handle)}) runs on {data_dir}; stop it first or choose another --data-dir."
            )
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def stop_holder(data_dir: Path, timeout: float) -> bool:
    """Have the ostiary that runs on this data directory stop, and wait for it; says whether there was one.

    Raises `Unavailable` if it takes longer than `timeout` seconds.
    """
    if not (data_dir / LOCK).exists():
        return False
    handle = locks.opened(data_dir / LOCK)
    try:
        if locks.taken(handle):
            return False
        holder = _holder(handle)
        # One that has just started has not yet written its number over that of the one before.
        if not holder.isdigit() or not locks.has_open(int(holder), data_dir / LOCK):
            raise Unavailable(f"an ostiary is just starting on {data_dir}; try again.")
        os.kill(int(holder), signal.SIGTERM)
        deadline = time.monotonic() + timeout
        while not locks.taken(handle):
            if time.monotonic() > deadline:
                raise Unavailable(f"ostiary (process {holder}) is still stopping after {timeout:g} s.")
            time.sleep(POLL_SECONDS)
        return True
    finally:
        os.close(handle)


def _holder(handle: int) -> str:
    return os.pread(handle, 32, 0).decode("ascii", "replace").strip()
