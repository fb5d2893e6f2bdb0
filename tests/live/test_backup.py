"""A backup restored: the same clients get in and the same are refused, those too that were revoked after it was made."""

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from support.backend import Backend
from support.certs import Authority, csr, key_pem, new_key
from support.commands import run
from support.processes import Running
from support.stack import Door, Ostiary
from support.tls_clients import Refused, TLSClient
from support.wait import eventually

pytestmark = pytest.mark.live

PASSPHRASE: Final = "correct horse battery staple"
# What each of them meets, whatever became of the control plane.
MEETS: Final = {
    "alice": 200,
    "revoked before": "refused",
    "revoked since": "refused",
    "not by rule": 403,
    "stranger": "refused",
    "nobody": "refused",
}


@dataclass
class Place:
    """A house with a door, and who comes to it. The gateway stays when the control plane goes."""

    house: Ostiary
    authority: dict[str, Any]
    door: Door
    clients: dict[str, TLSClient] = field(default_factory=dict)
    certificates: dict[str, str] = field(default_factory=dict)

    def person(self, name: str) -> None:
        key = new_key()
        wanted = {"authority_id": self.authority["id"], "csr": csr(key, name)}
        made = self.house.call("POST", "/v1/certificates", {"certificate": wanted})["certificate"]
        chain, key_file = self.house.folder / f"{name}.pem", self.house.folder / f"{name}.key"
        chain.write_text(made["certificate"] + made["chain"])
        key_file.write_text(key_pem(key))
        self.certificates[name] = made["id"]
        self.clients[name] = TLSClient(self.door.port, ca=self.house.server_ca, cert=chain, key=key_file)

    def revoke(self, name: str) -> None:
        self.house.call("POST", f"/v1/certificates/{self.certificates[name]}/revoke", {"reason": "keyCompromise"})
        eventually(lambda: self.meets()[name] == "refused")

    def meets(self) -> dict[str, int | str]:
        return {name: knock(client) for name, client in self.clients.items()}


def knock(client: TLSClient) -> int | str:
    """The status, or that the handshake was refused; why is test_revocation's, and not each client waits to hear it."""
    try:
        return client.get("/").status
    except ConnectionRefusedError:
        return "nobody listens"
    except Refused:
        return "refused"


@pytest.fixture
def place(tmp_path: Path, inside: Backend, start_process: Callable[..., Running]) -> Iterator[Place]:
    def leaving(*words: object, **options: Any) -> Running:
        return start_process(*words, "--leave-gateway", **options)

    (tmp_path / "first").mkdir()
    with Ostiary(tmp_path / "first", leaving) as house:
        authority = house.call("POST", "/v1/authorities", {"authority": {"name": "Clients"}})["authority"]
        door = house.door(inside.port, client_authentication="MANDATORY", client_ca_tls_container_ref=authority["href"])
        for rule in ({"action": "DENY", "certificate": {"subject_cn": ["not by rule"]}}, {"action": "ALLOW"}):
            house.call("POST", "/v1/access-rules", {"access_rule": {"listener_id": door.id, "name": "r", **rule}})
        place = Place(house, authority, door)
        for name in ("alice", "revoked before", "revoked since", "not by rule"):
            place.person(name)
        stranger = Authority.root("Nobody knows").client("alice").write(tmp_path, "stranger")
        place.clients["stranger"] = TLSClient(door.port, ca=house.server_ca, cert=stranger.chain, key=stranger.key)
        place.clients["nobody"] = place.clients["alice"].without_certificate()
        yield place
    run("down", "--data-dir", house.data_dir, folder=tmp_path)


def test_whatever_becomes_of_the_database_the_same_get_in_and_the_same_are_refused(
    place: Place, tmp_path: Path, start_process: Callable[..., Running]
) -> None:
    house = place.house
    place.revoke("revoked before")
    out, passphrase = tmp_path / "a.backup", tmp_path / "passphrase"
    passphrase.write_text(PASSPHRASE)
    where = {"OSTIARY_URL": f"http://{house.listen}", "OSTIARY_DATA_DIR": str(house.data_dir)}
    made = run("backup", "--out", out, "--passphrase-file", passphrase, folder=tmp_path, env=where)
    assert made.exit_code == 0, made.err
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(house.data_dir / "ostiary.db")) as now, closing(sqlite3.connect(old)) as then:
        now.backup(then)
    place.revoke("revoked since")
    newest = tmp_path / "newest.crl"
    newest.write_bytes(house.request("GET", f"/pki/{place.authority['id']}.crl").content)
    eventually(lambda: place.meets() == MEETS)

    # Somebody puts an old copy of the database back, by hand; the gateway knows better.
    house.stop()
    lose_database(house)
    shutil.copy(old, house.data_dir / "ostiary.db")
    with never_let_in(place.clients["revoked since"]):
        house.start()
        assert place.meets() == MEETS
    assert house.process is not None
    assert "the gateway has a newer revocation list than the database" in house.process.output()
    status = house.call("GET", f"/v1/certificates/{place.certificates['revoked since']}")["certificate"]["status"]
    assert status == "REVOKED"

    # The same machine: its database is lost, its gateway goes on serving.
    house.stop()
    lose_database(house)
    for name in ("kek", "admin.token"):
        (house.data_dir / name).unlink()
    using = (out, "--passphrase-file", passphrase, "--data-dir")
    done = run("restore", *using, house.data_dir, folder=tmp_path)
    assert done.exit_code == 0, done.err
    assert "Revoked since the backup, by list" in done.out
    with never_let_in(place.clients["revoked since"]):
        house.start()
        assert place.meets() == MEETS
    place.person("late")
    assert knock(place.clients["late"]) == 200
    assert house.call("GET", "/v1/audit/verify")["verification"]["problem"] is None
    del place.clients["late"]
    house.stop()
    run("down", "--data-dir", house.data_dir, folder=tmp_path)

    # Another machine, with nothing but the backup and a list that anybody could fetch.
    (tmp_path / "second").mkdir()
    second = Ostiary(tmp_path / "second", start_process)
    done = run("restore", *using, second.data_dir, "--newer-crl", newest, folder=tmp_path)
    assert done.exit_code == 0, done.err
    with second:
        eventually(lambda: place.meets() == MEETS, within=60)
        second.until_active(place.door.id)


@contextmanager
def never_let_in(client: TLSClient) -> Iterator[None]:
    """Somebody who tries it over and over, while the control plane comes back."""
    over, met = threading.Event(), list[int | str]()

    def knock_on() -> None:
        while not over.wait(0.1):
            met.append(knock(client))

    thread = threading.Thread(target=knock_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert set(met) == {"refused"}


def lose_database(house: Ostiary) -> None:
    for file in house.data_dir.glob("ostiary.db*"):
        file.unlink()
