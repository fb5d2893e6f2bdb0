"""The folder on a device that holds its key and certificate, so that at every moment the two in it belong together.

    DIR/key.pem cert.pem chain.pem fullchain.pem ca.pem    links into the current generation
    DIR/current -> generations/20261123T201947-1f3a        replaced in one step, so that a crash leaves the old or the new
    DIR/pending/                                           a key that has no certificate yet; asked for again with, never lost
    DIR/enrolment.json                                     where to renew, and what to run afterwards

Only the files with a key are closed to others. All of it belongs to whoever enrolled: an owner given for the files may read them
and can change nothing, for what is in this folder is run when it is renewed.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ostiary.errors import Conflict, Invalid, Unavailable

FILES: Final = ("key.pem", "cert.pem", "chain.pem", "fullchain.pem", "ca.pem")
_SECRET: Final = ("key.pem",)


@dataclass(frozen=True)
class Enrolment:
    """Where this certificate comes from, and how it is kept.

    `trust_ca` is False where the system's own authorities vouch for the door.
    """

    door: str
    key_type: str
    owner_user: str = ""
    hook: str = ""
    trust_ca: bool = True


@dataclass(frozen=True)
class Progress:
    """What a renewal has to remember: failures in a row, when to try again, and whether the hook has yet to run."""

    failures: int = 0
    not_before: str = ""
    hook_due: bool = False


@dataclass(frozen=True)
class Folder:
    """One such folder. Building it touches nothing."""

    path: Path

    def file(self, name: str) -> Path:
        """Where a file of the current generation is found."""
        return self.path / name

    @property
    def is_enrolled(self) -> bool:
        """Whether there is a certificate."""
        return (self.path / "current").is_symlink() and self.file("cert.pem").exists()

    def prepare(self, owner_user: str) -> None:
        """Make the folder. Others may enter it only where one of them is to read the files."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.path / "generations").mkdir(mode=0o700, exist_ok=True)
            for folder in (self.path, self.path / "generations"):
                folder.chmod(0o711 if owner_user else 0o700)
        except OSError as error:
            raise Invalid("--out", f"cannot make the folder {self.path}: {error.strerror}; choose another.") from None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else enrols or renews here meanwhile. Raises `Conflict`."""
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(f"another ostiary is at work in {self.path}; wait for it.") from None
            yield
        finally:
            os.close(handle)

    def enrolment(self) -> Enrolment:
        """How it was enrolled. Raises `Unavailable` when that is not here, or others could have written it."""
        file = self.path / "enrolment.json"
        try:
            found = file.stat()
            text = file.read_text()
        except OSError as error:
            raise Unavailable(f"{self.path} was not made by `ostiary enroll` ({file.name}: {error.strerror}).") from None
        if found.st_uid not in {0, os.geteuid()} or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Unavailable(f"others can write {file}, and what it names is run; make it yours alone.")
        try:
            return Enrolment(**json.loads(text))
        except (ValueError, TypeError):
            raise Unavailable(f"{file} is damaged; enrol anew.") from None

    def write_enrolment(self, enrolment: Enrolment) -> None:
        """Keep how it was enrolled."""
        self._write("enrolment.json", json.dumps(asdict(enrolment), indent=2) + "\n")

    def progress(self) -> Progress:
        """How renewing goes; a fresh start when nothing, or nothing readable, is kept."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Progress(**json.loads((self.path / "progress.json").read_text()))
        return Progress()

    def write_progress(self, progress: Progress) -> None:
        """Keep how renewing goes."""
        self._write("progress.json", json.dumps(asdict(progress)) + "\n")

    def pending(self) -> dict[str, bytes] | None:
        """The key and request that were sent, or about to be, and have no certificate yet."""
        folder = self.path / "pending"
        try:
            return {name: (folder / name).read_bytes() for name in ("key.pem", "request.pem")}
        except OSError:
            return None

    def write_pending(self, key: bytes, request: bytes) -> None:
        """Keep them before they are sent: an answer that is lost on its way can then be asked for again."""
        self.forget_pending()
        draft = self.path / f".pending.{secrets.token_hex(4)}"
        draft.mkdir(mode=0o700)
        _write_file(draft / "key.pem", key, 0o600)
        _write_file(draft / "request.pem", request, 0o600)
        draft.rename(self.path / "pending")
        _sync(self.path)

    def forget_pending(self) -> None:
        """They are of no more use."""
        shutil.rmtree(self.path / "pending", ignore_errors=True)

    def install(self, files: dict[str, bytes], owner: tuple[int, int] | None, at: datetime) -> None:
        """Make these the current files, all in one step, and forget those before the last."""
        name = f"{at:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
        generation = self.path / "generations" / name
        generation.mkdir(mode=0o711 if owner else 0o700)
        for file, content in files.items():
            _write_file(generation / file, content, 0o600 if file in _SECRET else 0o644, owner)
        _sync(generation)
        _sync(generation.parent)
        current = self.path / "current"
        before = current.readlink().name if current.is_symlink() else ""
        self._link("current", f"generations/{name}")
        for file in FILES:
            if not (self.path / file).is_symlink():
                self._link(file, f"current/{file}")
        _sync(self.path)
        self.forget_pending()
        for old in (self.path / "generations").iterdir():
            if old.name not in {name, before}:
                shutil.rmtree(old, ignore_errors=True)

    def _link(self, name: str, target: str) -> None:
        draft = self.path / f".{name}.{secrets.token_hex(4)}"
        draft.symlink_to(target)
        draft.replace(self.path / name)

    def _write(self, name: str, text: str) -> None:
        draft = self.path / f".{name}.{secrets.token_hex(4)}"
        _write_file(draft, text.encode(), 0o600)
        draft.replace(self.path / name)
        _sync(self.path)


def _write_file(file: Path, content: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        if owner is not None:
            os.fchown(descriptor, *owner)
        os.fchmod(descriptor, mode)
        handle.write(content)
        handle.flush()
        os.fsync(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
