"""Restore a backup into an empty place, or only verify it: all of it, or nothing that anybody would run on.

A file in the data directory says that a restore is under way, and is the last thing to go: `ostiary up` refuses while it is
there, and another restore ends what was cut short. The database is filled in one transaction.
"""

import json
import os
import pwd
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from ostiary import holding, home
from ostiary.clock import now
from ostiary.errors import Conflict, Unavailable
from ostiary.files import replace_private, write_private
from ostiary.gateway.known_lists import known_lists
from ostiary.ids import new_id
from ostiary.model.backup import Manifest
from ostiary.ops import recall, start
from ostiary.ops.anchor import Anchor, Anchored
from ostiary.ops.backups import GATEWAY_ID, KEK, Opened, open_backup
from ostiary.ops.caller import SYSTEM
from ostiary.ops.restoring import Outcome, Wanted, accept
from ostiary.paths import Paths
from ostiary.pki import kek
from ostiary.pki.sealing import Sealer
from ostiary.settings import Settings
from ostiary.store import dump
from ostiary.store.engine import open_engine
from ostiary.store.store import Facts

Progressed = Callable[[int], None]
# The passphrase of the key-encryption key, asked for only when it has one; None where there is nobody to ask.
Asks = Callable[[], bytes | None]

_MARKER_MAX: Final = 4096
_BESIDE: Final = ("", "-wal", "-shm", "-journal")  # the files of an SQLite database


@dataclass(frozen=True)
class Given:
    """A backup, what opens it, and what a restore is to do beside it. `newer` are revocation lists, DER."""

    file: Path
    passphrase: bytes = field(repr=False)
    newer: Sequence[bytes] = ()
    end_tokens: bool = False
    kek_passphrase: Asks = lambda: None
    progressed: Progressed = lambda _octets: None


@dataclass(frozen=True)
class Done:
    """What was restored or verified. `opens`: whether the key-encryption key was there to be tried; then it opened everything."""

    manifest: Manifest
    outcome: Outcome
    rows: int
    opens: bool


@dataclass(frozen=True)
class _Marker:
    """What the file says that is there while a restore is under way: its id, and what was kept here before."""

    id: str
    had_kek: bool
    anchored: Anchored | None


def restore(settings: Settings, given: Given) -> Done | None:
    """Fill an empty place from a backup; None when it was only left to say that one before had done so.

    Raises `Conflict` where it is not empty, `Invalid` for what is no sound backup: then all is as it was before.
    """
    recall.refuse_unusable(given.newer, "--newer-crl")
    with holding.held(settings.data_dir), _engine(settings.database_url) as engine, _opened(given.file) as file:
        marker_file = settings.data_dir / home.RESTORING
        marker = _read(marker_file)
        if marker is not None and dump.holds_restore(engine, marker.id):
            marker_file.unlink()
            return None
        if settings.database or settings.data_dir.joinpath("ostiary.db").exists():  # looking into it would make it
            dump.refuse_unless_empty(engine)
        opened = open_backup(_counted(file, given.progressed), given.passphrase)
        anchor = Anchor(Paths(settings.data_dir).audit_head)
        if marker is None:
            _refuse_over_data(settings, opened)
            marker = _Marker(new_id(), settings.kek_file.exists(), _kept(anchor))
            write_private(marker_file, _written(marker))
        try:
            done = _fill(settings, engine, given, opened, marker)
        except BaseException:
            engine.dispose()
            _undo(settings, opened, anchor, marker)
            raise
        marker_file.unlink()
        return done


def verify(given: Given) -> Done:
    """Open all of a backup and try it out, in a database that is thrown away: what can be verified can be restored."""
    with tempfile.TemporaryDirectory(prefix="ostiary-verify-") as folder, _opened(given.file) as file:
        opened = open_backup(_counted(file, given.progressed), given.passphrase)
        with _engine(f"sqlite:///{folder}/ostiary.db") as engine:
            at = max(now(), opened.manifest.made_at)
            with dump.filled(engine, opened.manifest.schema_version, opened.lines, at) as facts:
                sealer = _sealer(facts, opened.keepsakes.get(KEK), given)
                rows = sum(dump.counts(facts).values())
                outcome = accept(facts, Wanted(new_id(), at, opened.manifest), sealer, opened.digest(), SYSTEM)
    return Done(opened.manifest, outcome, rows, sealer is not None)


def _fill(settings: Settings, engine: Any, given: Given, opened: Opened, marker: _Marker) -> Done:
    paths, at = Paths(settings.data_dir), now()
    ders = (*given.newer, *known_lists(paths))
    wanted = Wanted(marker.id, at, opened.manifest, ders, given.end_tokens, marker.anchored, _who())
    with dump.filled(engine, opened.manifest.schema_version, opened.lines, at) as facts:
        content = opened.keepsakes.get(KEK) or _content(settings.kek_file)
        sealer = _sealer(facts, content, given)
        rows = sum(dump.counts(facts).values())
        outcome = accept(facts, wanted, sealer, opened.digest(), SYSTEM)
        # Before the commit, so that there is never a database here that the files beside it do not open.
        if KEK in opened.keepsakes:
            replace_private(settings.kek_file, opened.keepsakes[KEK])
        if GATEWAY_ID in opened.keepsakes and not paths.gateway_id.exists():
            write_private(paths.gateway_id, opened.keepsakes[GATEWAY_ID])
        # It is on record now; what it says of entries that are gone is no sign of anybody's doing any more.
        paths.audit_head.unlink(missing_ok=True)
    _keep_private(engine)
    return Done(opened.manifest, outcome, rows, sealer is not None)


def _refuse_over_data(settings: Settings, opened: Opened) -> None:
    """`Conflict` for a data directory in which an ostiary lived; what a gateway keeps there may stay."""
    in_the_way = [file.name for file in (settings.token_file,) if file.exists()]
    if settings.kek_file.exists() and KEK in opened.keepsakes and _content(settings.kek_file) != opened.keepsakes[KEK]:
        in_the_way.append(settings.kek_file.name)
    if in_the_way:
        raise Conflict(
            f"{settings.data_dir} is not empty: it has {' and '.join(in_the_way)}. Move that aside, or choose another "
            "--data-dir; the folders gateway and logs may stay. A new admin token is made."
        )
    if KEK not in opened.keepsakes and not settings.kek_file.exists():
        raise Conflict(f"the key-encryption key is not in this backup; put it at {settings.kek_file} first.")


def _undo(settings: Settings, opened: Opened, anchor: Anchor, marker: _Marker) -> None:
    """Have everything be as it was before; the marker goes last."""
    if KEK in opened.keepsakes and not marker.had_kek:
        settings.kek_file.unlink(missing_ok=True)
    if marker.anchored is not None:
        anchor.keep(marker.anchored.sequence, marker.anchored.hash)
    for end in _BESIDE if not settings.database else ():
        settings.data_dir.joinpath(f"ostiary.db{end}").unlink(missing_ok=True)
    (settings.data_dir / home.RESTORING).unlink(missing_ok=True)


def _sealer(facts: Facts, content: bytes | None, given: Given) -> Sealer | None:
    """The key-encryption key that the backup needs; None where it cannot be opened here and now."""
    if content is None:
        return None
    passphrase = given.kek_passphrase() if kek.needs_passphrase(content) else None
    if kek.needs_passphrase(content) and passphrase is None:
        return None
    try:
        keys = kek.read(content, passphrase)
    except Unavailable as refused:
        raise Unavailable(f"the key-encryption key: {refused}") from None
    sealers = [Sealer(key) for key in keys]
    return next((one for one in sealers if start.opens(facts, one)), sealers[0])


@contextmanager
def _engine(url: str) -> Iterator[Any]:
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _keep_private(engine: Any) -> None:
    if engine.dialect.name == "sqlite":
        Path(engine.url.database).chmod(0o600)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        handle = file.open("rb")
    except OSError as error:
        raise Unavailable(f"cannot read {file}: {error.strerror}") from None
    with handle:
        yield handle


def _counted(file: BinaryIO, progressed: Progressed) -> Callable[[int], bytes]:
    def read(size: int) -> bytes:
        content = file.read(size)
        progressed(len(content))
        return content

    return read


def _content(file: Path) -> bytes | None:
    if not file.exists():
        return None
    with file.open("rb") as handle:
        return handle.read(kek.FILE_LIMIT)


def _kept(anchor: Anchor) -> Anchored | None:
    try:
        return anchor.kept()
    except ValueError:
        return None


def _written(marker: _Marker) -> bytes:
    kept = marker.anchored
    anchored = None if kept is None else [kept.sequence, kept.hash]
    return json.dumps({"id": marker.id, "had_kek": marker.had_kek, "anchored": anchored}).encode()


def _read(file: Path) -> _Marker | None:
    """Raises `Unavailable` for one that is damaged: nobody knows then what is in the data directory."""
    if not file.exists():
        return None
    try:
        with file.open("rb") as handle:
            said = json.loads(handle.read(_MARKER_MAX))
        anchored = None if said["anchored"] is None else Anchored(*said["anchored"])
        return _Marker(str(said["id"]), bool(said["had_kek"]), anchored)
    except (ValueError, TypeError, KeyError):
        raise Unavailable(f"{file} is damaged; remove what is in {file.parent}, and restore again.") from None


def _who() -> str:
    """Who does this, by their name on this machine."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
