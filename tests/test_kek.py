"""The key-encryption key of a data directory: protected, changed, and never lost, whenever the machine goes down."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import Final

import pytest
from sqlalchemy import LargeBinary

from ostiary import holding, home
from ostiary.errors import Invalid, Unavailable
from ostiary.model.fields import Private
from ostiary.model.secret import Secret
from ostiary.ops import secrets
from ostiary.ops.caller import Caller
from ostiary.ops.signing import open_issuer
from ostiary.ops.system import System
from ostiary.pki import kek
from ostiary.settings import Settings
from ostiary.store import kinds, sealed, tables
from ostiary.store.store import Store
from support.made import an_authority
from support.systems import ADMIN

PROGRAM: Final = Path(sys.executable).with_name("ostiary")
OLD: Final = b"correct horse battery staple"
NEW: Final = b"wrong zebra generator paperclip"
SECRET: Final = b"a very private payload"
CHEAP: Final = kek.Cost(iterations=1, lanes=1, memory=64)


@pytest.fixture(autouse=True)
def _a_passphrase_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process; what it costs in truth is pki/test_kek's, and commands pay it."""
    real = kek.Cost
    monkeypatch.setattr(kek, "Cost", lambda *given: real(*(given or (CHEAP.iterations, CHEAP.lanes, CHEAP.memory))))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "data").mkdir()
    return Settings(tmp_path / "data")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    store = home.open_store(settings)
    yield store
    store.close()


def fill(settings: Settings, store: Store) -> str:
    """A secret and an authority; the secret's id."""
    system = System(store, home.open_sealer(settings, store))
    an_authority(system)
    return secrets.create(system, ADMIN, Secret(payload=Private(SECRET))).id


def opens_all(settings: Settings, store: Store, passphrase: bytes | None = None) -> bool:
    """Whether everything that is sealed opens, as at a start."""
    system = System(store, home.open_sealer(settings, store, passphrase))
    with store.read() as reader:
        (authority,) = reader.all(kinds.AUTHORITY)
        (secret_id,) = reader.ids(kinds.SECRET)
    open_issuer(system, authority)
    return secrets.payload(system, ADMIN, secret_id) == SECRET


def actions(store: Store) -> list[str]:
    with store.read() as reader:
        every = [str(json.loads(row.entry)["action"]) for row in reader.audit_entries()]
    return [action for action in every if action.startswith("kek:")]


def ostiary(*arguments: object, data_dir: Path, passphrase_file: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.defpath} | ({"OSTIARY_PASSPHRASE_FILE": str(passphrase_file)} if passphrase_file else {})
    command = [str(PROGRAM), *map(str, arguments), "--data-dir", str(data_dir)]
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def test_every_sealed_column_is_known_to_whoever_changes_the_key() -> None:
    public = {("revocations", "entry"), ("crls", "der"), ("foreign_statuses", "der")}
    unused = {("idempotency", "sealed_reply")}  # nobody writes it
    found = {
        (table.name, column.name)
        for table in tables.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert found - public - unused == {(place.table.name, place.column) for place in sealed.PLACES}


def test_a_passphrase_is_set_changed_and_taken_off(settings: Settings, store: Store) -> None:
    fill(settings, store)
    home.protect(settings, store, ADMIN, None, OLD)
    assert opens_all(settings, store, OLD)
    home.protect(settings, store, ADMIN, OLD, NEW)
    assert opens_all(settings, store, NEW)
    with pytest.raises(Unavailable, match="does not open with this passphrase"):
        home.open_sealer(settings, store, OLD)
    home.unprotect(settings, store, ADMIN, NEW)
    assert opens_all(settings, store)
    assert actions(store)[-3:] == ["kek:protect", "kek:protect", "kek:unprotect"]
    assert settings.kek_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("passphrase", [None, OLD])
def test_a_new_key_opens_everything_and_the_old_one_nothing(settings: Settings, store: Store, passphrase: bytes | None) -> None:
    fill(settings, store)
    if passphrase is not None:
        home.protect(settings, store, ADMIN, None, passphrase)
    before = settings.kek_file.read_bytes()
    assert home.rotate(settings, store, ADMIN, passphrase) == 2
    assert opens_all(settings, store, passphrase)
    assert actions(store)[-1] == "kek:rotate"
    settings.kek_file.write_bytes(before)
    with pytest.raises(Unavailable, match="cannot be decrypted"):
        home.open_sealer(settings, store, passphrase)


def test_a_key_is_changed_for_everything_or_for_nothing(settings: Settings, store: Store) -> None:
    fill(settings, store)
    with store.write() as transaction:
        transaction.connection.execute(tables.authorities.update().values(sealed_key=b"damaged"))
    before = settings.kek_file.read_bytes()
    with pytest.raises(Unavailable, match="cannot be decrypted"):
        home.rotate(settings, store, ADMIN, None)
    home.open_sealer(settings, store)
    assert settings.kek_file.read_bytes() == before


def test_only_who_may_changes_the_key(settings: Settings, store: Store) -> None:
    fill(settings, store)
    nobody = Caller(name="nobody", role="reader")
    before = settings.kek_file.read_bytes()
    for change in (
        lambda: home.protect(settings, store, nobody, None, OLD),
        lambda: home.unprotect(settings, store, nobody, None),
        lambda: home.rotate(settings, store, nobody, None),
    ):
        with pytest.raises(Exception, match=r"nobody .* may not kek:"):
            change()
    home.open_sealer(settings, store)
    assert settings.kek_file.read_bytes() == before


def test_a_passphrase_comes_from_the_file_or_is_asked_for(tmp_path: Path, settings: Settings, store: Store) -> None:
    fill(settings, store)
    assert home.passphrase(settings) is None
    home.protect(settings, store, ADMIN, None, OLD)
    with pytest.raises(Unavailable, match="set OSTIARY_PASSPHRASE_FILE"):
        home.passphrase(settings)
    assert home.passphrase(settings, lambda _prompt: OLD.decode()) == OLD
    file = tmp_path / "passphrase"
    file.write_bytes(OLD + b"\n")
    assert home.passphrase(Settings(settings.data_dir, passphrase_file=file)) == OLD
    with pytest.raises(Unavailable, match=r"passphrase file .* cannot be read"):
        home.passphrase(Settings(settings.data_dir, passphrase_file=tmp_path / "nowhere"))


def test_the_commands_do_it_and_say_so_but_never_say_the_passphrase(tmp_path: Path, settings: Settings, store: Store) -> None:
    fill(settings, store)
    store.close()
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(OLD)
    new.write_bytes(NEW)

    def done(*arguments: object, passphrase_file: Path | None = None) -> str:
        ran = ostiary("kek", *arguments, data_dir=settings.data_dir, passphrase_file=passphrase_file)
        assert ran.returncode == 0, ran.stderr
        assert not any(secret.decode() in ran.stdout + ran.stderr for secret in (OLD, NEW))
        return ran.stdout

    assert "is protected" in done("protect", "--new-passphrase-file", old)
    assert "Re-encrypted 2 things" in done("rotate", passphrase_file=old)
    assert "is protected" in done("protect", "--new-passphrase-file", new, passphrase_file=old)
    refused = ostiary("kek", "rotate", data_dir=settings.data_dir)
    assert refused.returncode == 1
    assert "set OSTIARY_PASSPHRASE_FILE" in refused.stderr
    wrong = ostiary("kek", "rotate", data_dir=settings.data_dir, passphrase_file=old)
    assert wrong.returncode == 1
    assert "does not open with this passphrase" in wrong.stderr
    assert "no longer protected" in done("unprotect", passphrase_file=new)
    assert opens_all(settings, store)


def test_the_commands_leave_a_running_ostiary_alone(settings: Settings, store: Store) -> None:
    fill(settings, store)
    with holding.held(settings.data_dir):
        for command in ("protect", "unprotect", "rotate"):
            refused = ostiary("kek", command, data_dir=settings.data_dir)
            assert refused.returncode == 1
            assert "stop it first" in refused.stderr


def test_there_must_be_somebody_or_something_to_ask(tmp_path: Path, settings: Settings, store: Store) -> None:
    fill(settings, store)
    assert "no terminal to ask" in ostiary("kek", "protect", data_dir=settings.data_dir).stderr
    assert "there is no data directory" in ostiary("kek", "rotate", data_dir=tmp_path / "nowhere").stderr


@pytest.mark.parametrize("passphrase", [None, OLD])
def test_killed_at_any_point_of_a_change_the_old_key_or_the_new_one_works(
    tmp_path: Path, settings: Settings, store: Store, passphrase: bytes | None
) -> None:
    fill(settings, store)
    if passphrase is not None:
        settings.kek_file.write_bytes(kek.protected(kek.read(settings.kek_file.read_bytes(), None), passphrase, CHEAP))
    file = tmp_path / "passphrase"
    file.write_bytes(passphrase or b"")
    environment = {"PATH": os.defpath, "PYTHONPATH": str(Path(__file__).parent)}
    if passphrase is not None:
        environment["OSTIARY_PASSPHRASE_FILE"] = str(file)
    arguments = ["kek", "rotate", "--data-dir", str(settings.data_dir)]
    command = [sys.executable, "-m", "support.killed_at", str(settings.kek_file), *arguments]
    left_with, statuses = [], []
    with subprocess.Popen(command, env=environment, stdin=PIPE, stdout=PIPE, text=True) as runs:
        assert runs.stdin is not None
        assert runs.stdout is not None
        for line in runs.stdout:
            if not line.startswith("{"):
                continue  # what the command itself says
            told = json.loads(line)
            statuses.append(told["status"])
            left_with.append(len(kek.read(told["file"].encode(), passphrase)))
            assert opens_all(settings, store, passphrase), f"killed at step {len(statuses)}"
            assert len(kek.read(settings.kek_file.read_bytes(), passphrase)) == 1, "the start settles it"
            runs.stdin.write("\n")
            runs.stdin.flush()
    assert statuses == [-signal.SIGKILL] * (len(statuses) - 1) + [0]
    assert left_with[0] == left_with[-1] == 1
    assert 2 in left_with, "no run was cut short between the two keys"


def test_a_short_passphrase_is_refused_before_anything_is_written(settings: Settings, store: Store) -> None:
    fill(settings, store)
    before, said = settings.kek_file.read_bytes(), actions(store)
    with pytest.raises(Invalid, match="passphrase"):
        home.protect(settings, store, ADMIN, None, b"short")
    assert (settings.kek_file.read_bytes(), actions(store)) == (before, said)
