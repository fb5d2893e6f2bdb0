"""How soon a switch and a revocation are in force, from the call on, and what they cost, against how many listeners there are.

    .venv/bin/python benchmarks/effect.py                              # 1, 100, 500 and 1,000 listeners
    .venv/bin/python benchmarks/effect.py --listeners 1 --revocations 300

The whole way, with an Envoy: `ostiary up`, one door that is asked, and so many others beside it, each with a certificate and a
Client CA, that wait on addresses of their own. A switch, and a revocation, is in force with the first request on an open
connection that is answered by it. CPU is that of all threads of each process, as the kernel counts it.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import httpx  # noqa: E402 (after the path is set)
from benchmarks.lab import Notebook, percentile  # noqa: E402 (likewise)
from benchmarks.peers import programs  # noqa: E402 (likewise)
from sqlalchemy import update  # noqa: E402 (likewise)

from ostiary.pki import kek  # noqa: E402 (likewise)
from ostiary.pki.sealing import Sealer  # noqa: E402 (likewise)
from ostiary.store import tables  # noqa: E402 (likewise)
from ostiary.store.engine import open_engine  # noqa: E402 (likewise)
from support.backend import Backend  # noqa: E402 (likewise)
from support.certs import csr, key_pem, new_key  # noqa: E402 (likewise)
from support.many import write_listeners  # noqa: E402 (likewise)
from support.stack import Ostiary  # noqa: E402 (likewise)
from support.tls_clients import Refused, TLSClient  # noqa: E402 (likewise)
from support.wait import eventually  # noqa: E402 (likewise)

SIZES: Final = (1, 100, 500, 1_000)
SUBJECT: Final = "ostiary"
PATIENCE: Final = 300.0


@dataclass
class Place:
    """An ostiary with the door that is asked."""

    house: Ostiary
    authority: dict[str, Any]
    listener: dict[str, Any]
    api: httpx.Client

    def call(self, method: str, path: str, body: Any) -> Any:
        """One call of the API, on a connection that is open already."""
        answer = self.api.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def person(self, name: str) -> tuple[str, TLSClient]:
        """Somebody with a certificate of the authority: its id, and a client."""
        key = new_key()
        wanted = {"authority_id": self.authority["id"], "csr": csr(key, name)}
        made = self.call("POST", "/v1/certificates", {"certificate": wanted})["certificate"]
        chain, key_file = self.house.folder / f"{name}.pem", self.house.folder / f"{name}.key"
        chain.write_text(made["certificate"] + made["chain"])
        key_file.write_text(key_pem(key))
        return made["id"], TLSClient(self.port, ca=self.house.server_ca, cert=chain, key=key_file)

    @property
    def port(self) -> int:
        return int(self.listener["protocol_port"])

    def cpu(self) -> dict[str, float]:
        """Milliseconds that each process ran so far."""
        assert self.house.process is not None
        run = self.house.data_dir / "run"
        pids = {name: int(json.loads((run / f"{name}.pid").read_text())["pid"]) for name in ("keeper", "envoy")}
        return {
            name: 1000 * programs.cpu_seconds([pid]) for name, pid in {"control plane": self.house.process.pid, **pids}.items()
        }


@contextmanager
def place(folder: Path, size: int) -> Iterator[Place]:
    """`ostiary up` with a door that demands certificates, and so many listeners in all."""
    with Backend() as backend, Ostiary(folder) as house:
        authority = house.call("POST", "/v1/authorities", {"authority": {"name": "Clients"}})["authority"]
        on = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": authority["href"]}
        door = house.door(backend.port, **on)
        if size > 1:
            house.stop()  # SQLite has one writer at a time
            _write(house, size - 1, authority["href"])
            house.start()
        headers = {"X-Auth-Token": (house.data_dir / "admin.token").read_text()}
        with httpx.Client(base_url=f"http://{house.listen}", headers=headers, timeout=PATIENCE, trust_env=False) as api:
            here = Place(house, authority, door.listener, api)
            eventually(lambda: _all_active(here, size), PATIENCE)
            yield here


def _write(house: Ostiary, count: int, client_ca: str) -> None:
    sealer = Sealer(kek.read((house.data_dir / "kek").read_bytes(), None)[0])
    engine = open_engine(f"sqlite:///{house.data_dir / 'ostiary.db'}")
    with engine.begin() as connection:
        write_listeners(connection, sealer, count, [client_ca])
        connection.execute(update(tables.head).values(revision=tables.head.c.revision + 1))
    engine.dispose()


def _all_active(here: Place, size: int) -> bool:
    found: list[Any] = []
    path = "/v2/lbaas/listeners?limit=1000"
    while path:
        page = here.api.get(path).raise_for_status().json()
        found += page["listeners"]
        path = next((one["href"] for one in page.get("listeners_links", ()) if one["rel"] == "next"), "")
    return len(found) == size and all(one["provisioning_status"] == "ACTIVE" for one in found)


def switches(here: Place, size: int, times: int, notes: Notebook) -> None:
    """Client CA off and on, seen on a connection without a certificate."""
    path, taken = f"/v2/lbaas/listeners/{here.listener['id']}", []
    here.call("PUT", path, {"listener": {"client_authentication": "OPTIONAL"}})
    client = TLSClient(here.port, ca=here.house.server_ca)
    eventually(lambda: _lets_in(client), PATIENCE)
    for number in range(times):
        mode = "MANDATORY" if number % 2 == 0 else "OPTIONAL"
        with _asking(client, mode) as is_in_force:
            before, began = here.cpu(), time.monotonic()
            here.call("PUT", path, {"listener": {"client_authentication": mode}})
            answered = time.monotonic()
            while not is_in_force():
                time.sleep(0.001)  # who never rests takes the CPU that is to be measured
            over = time.monotonic()
        taken.append(1000 * (over - began))
        notes.note("a switch: answered", "ms", SUBJECT, 1000 * (answered - began), size=size, round_=number)
        notes.note("a switch: in force", "ms", SUBJECT, taken[-1], size=size, round_=number)
        time.sleep(0.3)  # whatever follows on it
        for name, ran in here.cpu().items():
            notes.note(f"a switch: CPU of {name}", "ms", SUBJECT, ran - before[name], size=size, round_=number)
    _sum(notes, "a switch: in force", taken, size)
    here.call("PUT", path, {"listener": {"client_authentication": "MANDATORY"}})


@contextmanager
def _asking(client: TLSClient, mode: str) -> Iterator[Callable[[], bool]]:
    """Whether this mode is in force, for who has no certificate: on an open connection, or on new ones."""
    if mode == "OPTIONAL":
        yield lambda: _lets_in(client)
        return
    eventually(lambda: _lets_in(client), PATIENCE)
    with client.connect() as connection:
        assert connection.get("/").status == 200

        def refuses() -> bool:
            try:
                return connection.get("/").status != 200
            except (OSError, HTTPException, Refused):
                return True  # it was closed before it could be told

        yield refuses


def revocations(here: Place, size: int, times: int, notes: Notebook) -> None:
    """Of somebody whose connection is open."""
    people = [here.person(f"person-{number}") for number in range(times)]
    taken = []
    for number, (certificate_id, client) in enumerate(people):
        eventually(partial(_lets_in, client), PATIENCE)
        with client.connect() as connection:
            assert connection.get("/").status == 200
            began = time.monotonic()
            here.call("POST", f"/v1/certificates/{certificate_id}/revoke", {"reason": "keyCompromise"})
            answered = time.monotonic()
            while connection.get("/").status != 403:
                time.sleep(0.001)
            over = time.monotonic()
        taken.append(1000 * (over - began))
        notes.note("a revocation: answered", "ms", SUBJECT, 1000 * (answered - began), size=size, round_=number)
        notes.note("a revocation: in force", "ms", SUBJECT, taken[-1], size=size, round_=number)
        time.sleep(0.25)  # its list is signed and handed out: what the next one waits for is told by benchmarks/access.py
    _sum(notes, "a revocation: in force", taken, size)


def _lets_in(client: TLSClient) -> bool:
    try:
        return client.get("/").status == 200
    except (OSError, Refused):
        return False


def _sum(notes: Notebook, measure: str, taken: list[float], size: int) -> None:
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        notes.note(f"{measure}, {name}", "ms", SUBJECT, percentile(taken, share), size=size)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--listeners", type=int, nargs="+", default=SIZES)
    parser.add_argument("--switches", type=int, default=40, help="how many of each size (default 40)")
    parser.add_argument("--revocations", type=int, default=100, help="how many of each size (default 100)")
    parser.add_argument("--name", default="effect", help="of the file with the raw samples")
    options = parser.parse_args()
    notes = Notebook(options.name)
    for size in options.listeners:
        with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder, place(Path(folder), size) as here:
            switches(here, size, options.switches, notes)
            revocations(here, size, options.revocations, notes)
    notes.save()
    notes.tell(SUBJECT)


if __name__ == "__main__":
    main()
