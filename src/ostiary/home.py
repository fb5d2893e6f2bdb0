"""What lies in a data directory: the database, the key-encryption key, the admin token."""

import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from ostiary.clock import now
from ostiary.errors import Unavailable
from ostiary.files import replace_private, write_private
from ostiary.ops import backups, rekey, start
from ostiary.ops.caller import Caller
from ostiary.ops.custodians import Custodians
from ostiary.paths import Paths
from ostiary.pki import kek
from ostiary.pki.sealing import Sealer, new_kek
from ostiary.settings import Settings
from ostiary.store.engine import migrate, open_engine
from ostiary.store.store import Store

RESTORING: Final = "restoring"

log = structlog.get_logger(source="ostiary")


def open_store(settings: Settings) -> Store:
    """The database, brought to the newest schema. Raises `Invalid` or `Unavailable`."""
    if (settings.data_dir / RESTORING).exists():
        raise Unavailable(
            f"a restore into {settings.data_dir} was cut short; run ostiary restore with the same backup again, which ends it."
        )
    engine = open_engine(settings.database_url)
    migrate(engine)
    if engine.dialect.name == "sqlite" and engine.url.database:
        Path(engine.url.database).chmod(0o600)  # wherever --database puts it
    return Store(engine, now)


def passphrase(settings: Settings, ask: Callable[[str], str] | None = None) -> bytes | None:
    """What the key-encryption key is protected by; None when it is not. From the file in the settings, else `ask` a person.

    Raises `Unavailable` when there is nobody to ask.
    """
    file = settings.kek_file
    if not (file.exists() and kek.needs_passphrase(_content(file))):
        return None
    if settings.passphrase_file is not None:
        return passphrase_in(settings.passphrase_file)
    if ask is None:
        raise Unavailable(f"{file} is protected by a passphrase; set OSTIARY_PASSPHRASE_FILE to a file that holds it.")
    return ask(f"Passphrase of {file}: ").encode()


def passphrase_in(file: Path) -> bytes:
    """The passphrase in a file, without the line's end. Raises `Unavailable`."""
    try:
        with file.open("rb") as handle:
            content = handle.read(kek.LONGEST + 2)
    except OSError as error:
        raise Unavailable(f"the passphrase file {file} cannot be read: {error.strerror}.") from None
    return content.rstrip(b"\r\n")


def open_sealer(settings: Settings, store: Store, secret: bytes | None = None) -> Sealer:
    """The key-encryption key, made at first start, but never over data that needs the old one; `secret` is the passphrase."""
    return Sealer(_key(settings, store, secret))


def protect(settings: Settings, store: Store, caller: Caller, old: bytes | None, new: bytes) -> None:
    """Protect the key-encryption key by a passphrase, or by another one: `old` is the one before."""
    key = _key(settings, store, old)
    content = kek.protected([key], new)
    rekey.say(store, caller, "kek:protect")
    replace_private(settings.kek_file, content)


def unprotect(settings: Settings, store: Store, caller: Caller, old: bytes | None) -> None:
    """Take the passphrase off: from then on, whoever can read the file has the key."""
    key = _key(settings, store, old)
    rekey.say(store, caller, "kek:unprotect")
    replace_private(settings.kek_file, kek.plain([key]))


def rotate(settings: Settings, store: Store, caller: Caller, secret: bytes | None) -> int:
    """Make a new key-encryption key and re-seal everything with it; says how many things. Nothing else may use the database.

    However it ends, the file holds the key that the database was written with: until that is known to be the new one, it holds
    both. The next start takes the right one and drops the other.
    """
    old, new = _key(settings, store, secret), new_kek()
    write = partial(kek.protected, passphrase=secret) if secret is not None else kek.plain
    replace_private(settings.kek_file, write([old, new]))
    count = rekey.rotate(store, caller, old, new)
    replace_private(settings.kek_file, write([new]))
    return count


def _key(settings: Settings, store: Store, secret: bytes | None) -> bytes:
    file = settings.kek_file
    if not file.exists():
        if start.holds_sealed(store):
            raise start.missing_key(file)
        write_private(file, kek.plain([new_kek()]))
    _only_ours(file)
    try:
        keys = kek.read(_content(file), secret)
    except Unavailable as refused:
        raise Unavailable(f"{file}: {refused}") from None
    key = start.key_of(store, keys)
    if len(keys) > 1:
        # A rotation was cut short, before or after its one commit; now it is known which.
        replace_private(file, kek.protected([key], secret) if secret is not None else kek.plain([key]))
        log.warning("a change of the key-encryption key was cut short; it is settled now", file=str(file))
    return key


def _content(file: Path) -> bytes:
    with file.open("rb") as handle:
        return handle.read(kek.FILE_LIMIT)


def keepsakes(settings: Settings) -> dict[str, bytes]:
    """The small files that belong into a backup, by the names they have there. Not the admin token: a new one is made."""
    files = {backups.KEK: settings.kek_file, backups.GATEWAY_ID: Paths(settings.data_dir).gateway_id}
    return {name: _content(file) for name, file in files.items() if file.exists()}


def custodians(settings: Settings) -> Custodians:
    """Who keeps the keys of authorities here. A token is not asked before it is needed: without it, all but signing goes on."""
    if settings.token is None:
        return Custodians()
    from ostiary.custody.token import Location, Token  # noqa: PLC0415 (slow to load, and only for who has a token)

    token = settings.token
    return Custodians(Token(Location(token.module, token.label, token.pin_file)))


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
