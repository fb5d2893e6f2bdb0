"""Certificates a second over the network, and what each costs the server: ostiary beside cfssl and pebble.

    .venv/bin/python benchmarks/issuing_peers.py [--certificates 3000] [--rounds 5]

Each gets the same requests (P-256, made beforehand) over 40 kept-alive connections and signs with a P-256 key.

* **ostiary**: `POST /v1/certificates` of `ostiary up`; certificate and audit entry are in SQLite (WAL, `synchronous=FULL`) before
  it answers, batches share a commit. Possession is proven, policy asked, each certificate compared with its approval. EST and
  ACME are not there yet.
* **cfssl** (Debian, 1.2.0): `POST /api/v1/cfssl/sign`, with its certificate database in SQLite (rollback journal,
  `synchronous=FULL`): a transaction each. No audit record, no policy beyond usages and lifetime. "in memory": without a
  database, so nothing is durable and nothing can be revoked.
* **pebble** (Debian, 2.4.0): a test server for ACME clients, which keeps nothing on disk. An order takes four signed requests or
  more over TLS, from 4 clients; authorizations are granted beforehand. It does another job: it is here because it is the ACME
  server that can be had.

The client shares the machine, so a rate is of both; the CPU that the server and all its processes took is the better number.
"""

import argparse
import base64
import json
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

import trustme  # noqa: E402 (after the path is set)
from benchmarks.acme_client import Account  # noqa: E402 (likewise)
from benchmarks.house import a_request  # noqa: E402 (likewise)
from benchmarks.http_load import request, send  # noqa: E402 (likewise)
from benchmarks.lab import ROUNDS, Notebook, percentile  # noqa: E402 (likewise)
from benchmarks.peers.programs import cpu_seconds, tree  # noqa: E402 (likewise)

from support.ports import free_port  # noqa: E402 (likewise)
from support.processes import start  # noqa: E402 (likewise)
from support.stack import Ostiary  # noqa: E402 (likewise)
from support.wait import eventually  # noqa: E402 (likewise)

CONNECTIONS: Final = 40
# As cfssl's own migrations make them (certdb/sqlite in its source).
_TABLES: Final = """
CREATE TABLE certificates (serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, ca_label blob,
  status blob NOT NULL, reason int, expiry timestamp, revoked_at timestamp, pem blob NOT NULL,
  PRIMARY KEY(serial_number, authority_key_identifier));
CREATE TABLE ocsp_responses (serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, body blob NOT NULL,
  expiry timestamp, PRIMARY KEY(serial_number, authority_key_identifier),
  FOREIGN KEY(serial_number, authority_key_identifier) REFERENCES certificates(serial_number, authority_key_identifier));
"""


# Has certificates made for these requests, and says how long it took in all and each.
Issue = Callable[[Sequence[str]], tuple[float, list[float]]]


@dataclass(frozen=True)
class Contender:
    """A server that issues."""

    pid: int
    issue: Issue


@contextmanager
def ostiary(folder: Path) -> Iterator[Contender]:
    """`ostiary up`, with a gateway that has nothing to do, and its processes that sign."""
    with Ostiary(folder, launch=lambda *words, **options: start(*words, by_itself=True, **options)) as house:
        assert house.process is not None
        authority = house.call("POST", "/v1/authorities", {"authority": {"name": "Bench"}})["authority"]["id"]
        headers = {"X-Auth-Token": (house.data_dir / "admin.token").read_text(), "Content-Type": "application/json"}

        def body(csr: str) -> bytes:
            return json.dumps({"certificate": {"authority_id": authority, "csr": csr}}).encode()

        host, port = house.listen.split(":")
        yield Contender(house.process.pid, _posted((host, int(port)), "/v1/certificates", headers, body))


@contextmanager
def cfssl(folder: Path, *, on_disk: bool) -> Iterator[Contender]:
    """`cfssl serve`."""
    folder.mkdir()
    key = {"CN": "Bench", "key": {"algo": "ecdsa", "size": 256}}
    (folder / "csr.json").write_text(json.dumps(key))
    usages = {"usages": ["digital signature", "client auth"], "expiry": "2160h"}
    (folder / "config.json").write_text(json.dumps({"signing": {"default": usages}}))
    made = json.loads(_output("cfssl", "genkey", "-loglevel=5", "-initca", folder / "csr.json", folder=folder))
    (folder / "ca.pem").write_text(made["cert"])
    (folder / "ca-key.pem").write_text(made["key"])
    options: list[str] = []
    if on_disk:
        with sqlite3.connect(folder / "cfssl.db") as database:
            database.executescript(_TABLES)
        database.close()
        place = f"file:{folder / 'cfssl.db'}?_busy_timeout=60000"  # else all but one of those that write at once are refused
        (folder / "db.json").write_text(json.dumps({"driver": "sqlite3", "data_source": place}))
        options = ["-db-config", "db.json"]
    port = free_port()
    files = ("-ca", "ca.pem", "-ca-key", "ca-key.pem", "-config", "config.json")
    server = start("cfssl", "serve", "-loglevel=3", "-address=127.0.0.1", f"-port={port}", *files, *options, folder=folder)
    try:
        eventually(lambda: _answers(port))
        yield Contender(
            server.pid,
            _posted(("127.0.0.1", port), "/api/v1/cfssl/sign", {}, lambda csr: json.dumps({"certificate_request": csr}).encode()),
        )
    finally:
        server.stop()


@contextmanager
def pebble(folder: Path) -> Iterator[Contender]:
    """`pebble`, which believes each challenge, at once, and remembers authorizations."""
    folder.mkdir()
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    leaf.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "cert.pem").write_bytes(b"".join(one.bytes() for one in leaf.cert_chain_pems))
    port, management = free_port(), free_port()
    places = {"listenAddress": f"127.0.0.1:{port}", "managementListenAddress": f"127.0.0.1:{management}"}
    files = {"certificate": str(folder / "cert.pem"), "privateKey": str(folder / "key.pem")}
    (folder / "config.json").write_text(json.dumps({"pebble": {**places, **files, "httpPort": 5002, "tlsPort": 5001}}))
    ways = {"PEBBLE_VA_ALWAYS_VALID": "1", "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "100"}
    server = start("pebble", "-config", "config.json", folder=folder, env=ways)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    try:
        eventually(lambda: _answers(port))
        accounts = [
            Account(port, context) for _ in range(CONNECTIONS // 10)
        ]  # Python's, so few: they would only wait for each other
        yield Contender(server.pid, lambda csrs: _ordered(accounts, csrs))
    finally:
        server.stop()


def _posted(address: tuple[str, int], path: str, headers: dict[str, str], body: Callable[[str], bytes]) -> Issue:
    def issue(csrs: Sequence[str]) -> tuple[float, list[float]]:
        requests = [request("POST", "127.0.0.1", path, headers, body(csr)) for csr in csrs]
        done = send(address, requests, CONNECTIONS)
        assert not done.refused, done.refused[0]
        return done.seconds, done.latencies

    return issue


def _ordered(accounts: Sequence[Account], csrs: Sequence[str]) -> tuple[float, list[float]]:
    """All of them, by whichever account has time, and all for one name."""
    latencies: list[float] = []
    waiting = iter([base64.b64decode("".join(csr.splitlines()[1:-1])) for csr in csrs])
    lock = threading.Lock()

    def work(account: Account) -> None:
        while True:
            with lock:
                following = next(waiting, None)
            if following is None:
                return
            began = time.perf_counter()
            assert account.issue("device.test", following).startswith("-----BEGIN CERTIFICATE-----")
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    crew = [threading.Thread(target=work, args=(account,)) for account in accounts]
    for each in crew:
        each.start()
    for each in crew:
        each.join()
    return time.perf_counter() - began, latencies


def _answers(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def _output(*words: object, folder: Path) -> str:
    return subprocess.run([str(word) for word in words], check=True, cwd=folder, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--certificates", type=int, default=3000, help="of each in each round")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    wanted = parser.parse_args()
    print(f"making {wanted.certificates * wanted.rounds} requests …", flush=True)
    devices = iter([a_request(f"device-{number}") for number in range(wanted.certificates * wanted.rounds + 1000)])
    ours = [next(devices) for _ in range(1000)]
    portions = [[next(devices) for _ in range(wanted.certificates)] for _ in range(wanted.rounds)]
    named = [a_request("device.test", dns=True) for _ in range(max(200, wanted.certificates // 10))]
    notebook = Notebook("issuing")
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as made, ExitStack() as running:
        folder = Path(made)
        contenders = {
            "ostiary": running.enter_context(ostiary(folder / "ostiary")),
            "cfssl": running.enter_context(cfssl(folder / "cfssl", on_disk=True)),
            "cfssl (in memory)": running.enter_context(cfssl(folder / "cfssl-memory", on_disk=False)),
            "pebble": running.enter_context(pebble(folder / "pebble")),
        }
        # What is started or made for the first of all: processes that sign, connections, the lint of the first of a shape.
        for name, one in contenders.items():
            one.issue(named[:50] if name == "pebble" else ours)

        def turn(name: str) -> Callable[[int], None]:
            def measured(round_: int) -> None:
                one, csrs = contenders[name], named if name == "pebble" else portions[round_]
                pids = tree(one.pid)
                before = cpu_seconds(pids)
                seconds, latencies = one.issue(csrs)
                spent = cpu_seconds(pids) - before
                notebook.note("certificates a second over the network", "1/s", name, len(csrs) / seconds, round_=round_)
                notebook.note("server CPU per certificate", "µs", name, 1e6 * spent / len(csrs), round_=round_)
                notebook.note(
                    "time to the answer, all connections busy, p50", "ms", name, 1000 * percentile(latencies, 0.5), round_=round_
                )
                notebook.note(
                    "time to the answer, all connections busy, p99", "ms", name, 1000 * percentile(latencies, 0.99), round_=round_
                )

            return measured

        notebook.interleaved({name: turn(name) for name in contenders}, wanted.rounds)
    notebook.tell("ostiary")
    notebook.save()


if __name__ == "__main__":
    main()
