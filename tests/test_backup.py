"""A backup holds everything, from one moment; and a restore is all of it, into an empty place, or nothing."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ostiary import holding, home, restoring
from ostiary.clock import now
from ostiary.errors import Conflict, Denied, Invalid, Unavailable
from ostiary.model.fields import Private
from ostiary.model.house import HouseSettings
from ostiary.model.secret import Secret
from ostiary.ops import audit, backups, heads, house, secrets, setup
from ostiary.ops.anchor import Anchor
from ostiary.ops.caller import Caller
from ostiary.ops.signing import open_issuer
from ostiary.ops.system import System
from ostiary.paths import Paths
from ostiary.pki import kek
from ostiary.settings import Settings
from ostiary.store import kinds
from ostiary.store.store import Store
from support.commands import run
from support.made import an_authority
from support.systems import ADMIN

PASSPHRASE: Final = b"correct horse battery staple"
OTHER: Final = b"wrong zebra generator paperclip"
SECRET: Final = b"a very private payload"
CHEAP: Final = kek.Cost(iterations=1, lanes=1, memory=64)


@pytest.fixture(autouse=True)
def _a_passphrase_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.fixture
def there(tmp_path: Path) -> Settings:
    """Another machine."""
    return Settings(tmp_path / "there")


def a_system(settings: Settings, store: Store, passphrase: bytes | None = None) -> System:
    anchor = Anchor(Paths(settings.data_dir).audit_head)
    keepsakes = lambda: home.keepsakes(settings)  # noqa: E731 (as `serve` gives it)
    return System(store, home.open_sealer(settings, store, passphrase), keepsakes=keepsakes, anchor=anchor)


def fill(settings: Settings, store: Store) -> System:
    """A secret, an authority and a signed head."""
    system = a_system(settings, store)
    an_authority(system)
    secrets.create(system, ADMIN, Secret(payload=Private(SECRET)))
    heads.sign(system)
    return system


def a_backup(settings: Settings, store: Store, file: Path, *, with_kek: bool = True) -> restoring.Given:
    what = backups.What(now(), setup.of(settings, passphrase=False), home.keepsakes(settings))
    file.write_bytes(b"".join(backups.stream(store, ADMIN, PASSPHRASE, what, with_kek=with_kek)))
    return restoring.Given(file, PASSPHRASE)


def opens_all(settings: Settings, passphrase: bytes | None = None) -> bool:
    """Whether everything that is sealed opens, as at a start, and the record is whole."""
    store = home.open_store(settings)
    system = a_system(settings, store, passphrase)
    with store.read() as reader:
        (authority,) = reader.all(kinds.AUTHORITY)
        (secret_id,) = reader.ids(kinds.SECRET)
    open_issuer(system, authority)
    found = secrets.payload(system, ADMIN, secret_id) == SECRET
    problem = audit.verify(system, ADMIN).problem
    store.close()
    assert problem is None
    return found


def restored(settings: Settings, given: restoring.Given) -> restoring.Done:
    done = restoring.restore(settings, given)
    assert done is not None
    return done


def what_is_in(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def entries(store: Store) -> list[dict[str, Any]]:
    with store.read() as reader:
        return [json.loads(row.entry) for row in reader.audit_entries()]


def the_restore(settings: Settings) -> dict[str, Any]:
    """What the record says of it."""
    store = home.open_store(settings)
    (said,) = (entry for entry in entries(store) if entry["action"] == "backup:restore")
    store.close()
    return said


def test_what_was_backed_up_is_restored_on_another_machine(
    tmp_path: Path, settings: Settings, store: Store, there: Settings
) -> None:
    fill(settings, store)
    backup = a_backup(settings, store, tmp_path / "a.backup")
    made, finished = entries(store)[-2:]
    done = restored(there, backup)
    assert opens_all(there)
    assert there.kek_file.stat().st_mode & 0o777 == 0o600
    assert (there.data_dir / "ostiary.db").stat().st_mode & 0o777 == 0o600
    assert not there.token_file.exists(), "a new one is made"
    assert (made["action"], finished["action"]) == ("backup:make", "backup:finish")
    assert finished["after"]["sha256"] == done.outcome.backup_sha256
    said = the_restore(there)
    assert (said["actor"], said["resource_id"]) == ("ostiary", done.outcome.id)
    assert said["after"]["backup_sha256"] == done.outcome.backup_sha256
    assert said["after"]["by"]
    assert done.manifest.setup["data_dir"] == str(settings.data_dir)


def test_to_postgresql_and_back(tmp_path: Path, settings: Settings, store: Store, there: Settings, postgres_url: str) -> None:
    fill(settings, store)
    first = a_backup(settings, store, tmp_path / "a.backup")
    server = replace(there, database=postgres_url)
    restored(server, first)
    assert opens_all(server)
    opened = home.open_store(server)
    second = a_backup(server, opened, tmp_path / "b.backup")
    opened.close()
    with pytest.raises(Conflict, match="the database is not empty"):
        restoring.restore(replace(there, data_dir=tmp_path / "another", database=postgres_url), first)
    back = Settings(tmp_path / "back")
    restored(back, second)
    assert opens_all(back)


def test_a_backup_is_of_one_moment_while_three_write(tmp_path: Path, settings: Settings, store: Store, there: Settings) -> None:
    system = fill(settings, store)
    over, failed = threading.Event(), list[Exception]()

    def write(number: int) -> None:
        try:
            while not over.is_set():
                made = secrets.create(system, ADMIN, Secret(name=str(number), payload=Private(SECRET)))
                secrets.delete(system, ADMIN, made.id)
        except Exception as error:  # noqa: BLE001 (told below)
            failed.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    try:
        made = [a_backup(settings, store, tmp_path / f"{number}.backup") for number in range(2)]
    finally:
        over.set()
        for writer in writers:
            writer.join()
    assert not failed
    first = restoring.verify(made[0])
    assert first.opens
    assert restored(there, made[1]).outcome.entries > first.outcome.entries


def test_a_place_that_is_not_empty_is_left_alone(tmp_path: Path, settings: Settings, store: Store, there: Settings) -> None:
    fill(settings, store)
    backup = a_backup(settings, store, tmp_path / "a.backup")
    with pytest.raises(Conflict, match="the database is not empty"):
        restoring.restore(settings, backup)
    assert opens_all(settings)
    there.data_dir.mkdir()
    for file in (there.token_file, there.kek_file):
        file.write_text("somebody's")
        with pytest.raises(Conflict, match=f"is not empty: it has {file.name}.*Move that aside"):
            restoring.restore(there, backup)
        assert file.read_text() == "somebody's"
        file.unlink()
    there.kek_file.write_bytes(settings.kek_file.read_bytes())
    restored(there, backup)
    assert opens_all(there)


def test_without_the_key_encryption_key_it_has_to_be_there(
    tmp_path: Path, settings: Settings, store: Store, there: Settings
) -> None:
    fill(settings, store)
    backup = a_backup(settings, store, tmp_path / "a.backup", with_kek=False)
    assert not restoring.verify(backup).opens
    with pytest.raises(Conflict, match="is not in this backup; put it at"):
        restoring.restore(there, backup)
    there.kek_file.write_bytes(kek.plain([b"k" * 32]))
    with pytest.raises(Invalid, match="that of another ostiary"):
        restoring.restore(there, backup)
    there.kek_file.write_bytes(settings.kek_file.read_bytes())
    restored(there, backup)
    assert opens_all(there)


def test_a_key_encryption_key_under_a_passphrase_stays_so(
    tmp_path: Path, settings: Settings, store: Store, there: Settings
) -> None:
    fill(settings, store)
    home.protect(settings, store, ADMIN, None, OTHER)
    backup = a_backup(settings, store, tmp_path / "a.backup")
    assert not restoring.verify(backup).opens
    assert restoring.verify(replace(backup, kek_passphrase=lambda: OTHER)).opens
    with pytest.raises(Unavailable, match="does not open with this passphrase"):
        restoring.restore(there, replace(backup, kek_passphrase=lambda: PASSPHRASE))
    restored(there, replace(backup, kek_passphrase=lambda: OTHER))
    assert opens_all(there, OTHER)


def test_the_signed_head_that_was_kept_here_is_on_record_and_lies_no_longer(
    tmp_path: Path, settings: Settings, store: Store
) -> None:
    """The same machine: the database is lost, and the newest head outside of it tells of entries that are gone."""
    system = fill(settings, store)
    backup = a_backup(settings, store, tmp_path / "a.backup")
    secrets.create(system, ADMIN, Secret(payload=Private(SECRET)))
    lost = heads.sign(system)
    store.close()
    for file in settings.data_dir.glob("ostiary.db*"):
        file.unlink()
    restored(settings, backup)
    assert opens_all(settings)
    assert the_restore(settings)["after"]["record_before"] == {"sequence": lost.sequence, "hash": lost.hash}
    opened = home.open_store(settings)
    heads.sign(a_system(settings, opened))
    opened.close()
    assert opens_all(settings)


def test_another_passphrase_changes_nothing(tmp_path: Path, there: Settings, hostile: bytes) -> None:
    file = tmp_path / "a.backup"
    file.write_bytes(hostile)
    with pytest.raises(Invalid, match="does not open with this passphrase"):
        restoring.restore(there, restoring.Given(file, OTHER))
    assert set(what_is_in(there.data_dir)) == {holding.LOCK}


@hypothesis_settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_that_is_not_as_it_was_written_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, hostile: bytes, data: st.DataObject
) -> None:
    tmp_path = tmp_path_factory.mktemp("hostile")
    at = data.draw(st.integers(0, len(hostile) - 1))
    changed = bytearray(hostile)
    if data.draw(st.booleans()):
        del changed[at:]
    else:
        changed[at] ^= data.draw(st.integers(1, 255))
    file = tmp_path / "a.backup"
    file.write_bytes(changed)
    with pytest.raises((Invalid, Unavailable)):
        restoring.restore(Settings(tmp_path / "there"), restoring.Given(file, PASSPHRASE))
    assert set(what_is_in(tmp_path / "there")) == {holding.LOCK}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound backup, to be made unsound."""
    settings = Settings(tmp_path_factory.mktemp("hostile"))
    store = home.open_store(settings)
    fill(settings, store)
    what = backups.What(now(), setup.of(settings, passphrase=False), home.keepsakes(settings))
    content = b"".join(backups.stream(store, ADMIN, PASSPHRASE, what, with_kek=True))
    store.close()
    return content


def test_only_administrators_make_one_and_none_makes_off_with_the_keys_alone(
    tmp_path: Path, settings: Settings, store: Store
) -> None:
    system = fill(settings, store)
    for role in ("operator", "auditor", "enrolling", "public"):
        with pytest.raises(Denied, match="may not backup:make"):
            backups.make(system, Caller(name="tom", role=role), PASSPHRASE, with_kek=True)
    assert not [entry for entry in entries(store) if entry["action"] == "backup:make"]
    with pytest.raises(Invalid, match="passphrase"):
        backups.make(system, ADMIN, b"short", with_kek=True)
    with store.write() as transaction:
        decided = HouseSettings(id=house.ID, approval_needed_for=("KEY_EXPORT",))
        transaction.insert(kinds.HOUSE_SETTINGS, decided)
    with pytest.raises(Conflict, match="another person must agree here before a key is exported"):
        backups.make(system, ADMIN, PASSPHRASE, with_kek=True)
    file = tmp_path / "a.backup"
    file.write_bytes(b"".join(backups.make(system, ADMIN, PASSPHRASE, with_kek=False)))
    assert not restoring.verify(restoring.Given(file, PASSPHRASE)).manifest.has_kek


def test_nothing_can_be_read_in_it(tmp_path: Path, settings: Settings, store: Store) -> None:
    fill(settings, store)
    backup = a_backup(settings, store, tmp_path / "a.backup")
    content = backup.file.read_bytes()
    assert not any(word in content for word in (b"Test CA", b"BEGIN", b"backup:make", settings.kek_file.read_bytes()))


def test_the_commands_make_it_prove_it_and_restore_it(tmp_path: Path, settings: Settings, store: Store, there: Settings) -> None:
    fill(settings, store)
    store.close()
    passphrase, out = tmp_path / "passphrase", tmp_path / "a.backup"
    passphrase.write_bytes(PASSPHRASE + b"\n")
    using = ("--passphrase-file", passphrase)
    made = run("backup", "--out", out, *using, "--data-dir", settings.data_dir, folder=tmp_path)
    assert made.exit_code == 0, made.err
    assert "Prove that it is good" in made.out
    assert out.stat().st_mode & 0o777 == 0o600
    proven = run("backup", "verify", out, *using, "--json", folder=tmp_path).json()
    assert (proven["with_kek"], proven["kek_opens_it"], proven["rows"] > 5) == (True, True, True)
    done = run("restore", out, *using, "--data-dir", there.data_dir, folder=tmp_path)
    assert done.exit_code == 0, done.err
    assert "The record is whole" in done.out
    assert "A new admin token is made" in done.out
    assert opens_all(there)
    before = out.read_bytes()
    with holding.held(settings.data_dir):
        forced = run("backup", "--out", out, "--force", *using, "--data-dir", settings.data_dir, folder=tmp_path)
    assert "no token" in forced.err, "one that runs is asked"
    assert out.read_bytes() == before
    assert list(tmp_path.glob(".a.backup*")) == []


def test_killed_at_any_point_of_a_restore_it_is_done_or_can_be_done_again(
    tmp_path: Path, settings: Settings, store: Store, there: Settings
) -> None:
    fill(settings, store)
    backup = a_backup(settings, store, tmp_path / "a.backup")
    passphrase = tmp_path / "passphrase"
    passphrase.write_bytes(PASSPHRASE)
    marker = there.data_dir / home.RESTORING
    arguments = ["restore", str(backup.file), "--passphrase-file", str(passphrase), "--data-dir", str(there.data_dir)]
    command = [sys.executable, "-m", "support.killed_at", str(marker), *arguments]
    environment = {"PATH": os.defpath, "PYTHONPATH": str(Path(__file__).parent)}
    statuses, was_refused = list[int](), False
    with subprocess.Popen(command, env=environment, stdin=PIPE, stdout=PIPE, text=True) as runs:
        assert runs.stdin is not None
        assert runs.stdout is not None
        for line in runs.stdout:
            if not line.startswith("{"):
                continue  # what the command itself says
            statuses.append(json.loads(line)["status"])
            if marker.exists():
                was_refused = True
                with pytest.raises(Unavailable, match="was cut short; run ostiary restore"):
                    home.open_store(there)
            elif there.kek_file.exists() and there.data_dir.joinpath("ostiary.db").exists():
                assert opens_all(there), f"killed at step {len(statuses)}"
                break
            runs.stdin.write("\n")
            runs.stdin.flush()
        runs.stdin.close()
    assert was_refused
    assert statuses[:-1] == [-signal.SIGKILL] * (len(statuses) - 1)
    assert opens_all(there)
