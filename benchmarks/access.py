"""How soon a revocation is in force, and what revocations and groups cost, in a whole ostiary.

    .venv/bin/python benchmarks/access.py
    .venv/bin/python benchmarks/access.py --revoked 0 10000 --revocations 50 --members 0 1000

For each number of revoked certificates there is an `ostiary up` of its own, with as many issuing CAs as the product would have
rolled to; whoever is let in has a certificate of one that is full of revoked ones. Their rows are written into its store, and the
product signs the lists. A revocation is in force with the first request that is refused on a connection that was open before. CPU
is Envoy's own, user and system, the median of some rounds. Compare within one run: other work on the machine disturbs all alike.
"""

import argparse
import json
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

import psutil  # noqa: E402 (after the path is set)
from cryptography import x509  # noqa: E402 (likewise)
from sqlalchemy import select, update  # noqa: E402 (likewise)

from ostiary.clock import now  # noqa: E402 (likewise)
from ostiary.ids import new_id  # noqa: E402 (likewise)
from ostiary.ops import series  # noqa: E402 (likewise)
from ostiary.pki import crl  # noqa: E402 (likewise)
from ostiary.pki.names import whole_octets  # noqa: E402 (likewise)
from ostiary.store import tables  # noqa: E402 (likewise)
from ostiary.store.engine import open_engine  # noqa: E402 (likewise)
from support.backend import Backend  # noqa: E402 (likewise)
from support.certs import csr, key_pem, new_key  # noqa: E402 (likewise)
from support.stack import Ostiary  # noqa: E402 (likewise)
from support.tls_clients import TLSClient  # noqa: E402 (likewise)
from support.wait import eventually  # noqa: E402 (likewise)

PATIENCE: Final = 1800.0
ROWS_AT_ONCE: Final = 5000
GROUP: Final = "members"
PARTS: Final = ("Envoy", "keeper", "control plane")


@dataclass
class Place:
    """A whole ostiary with one door, and who may come in."""

    house: Ostiary
    authority: dict[str, Any]
    listener: dict[str, Any]
    _made: int = 0

    def person(self, **fields: Any) -> "Person":
        """Somebody with a certificate of the authority."""
        self._made += 1
        key, name = new_key(), f"person-{self._made}"
        wanted = {"authority_id": self.authority["id"], "csr": csr(key, name), **fields}
        made = self.house.call("POST", "/v1/certificates", {"certificate": wanted})["certificate"]
        chain, key_file = self.house.folder / f"{name}.pem", self.house.folder / f"{name}.key"
        chain.write_text(made["certificate"] + made["chain"])
        key_file.write_text(key_pem(key))
        return Person(
            made["id"], TLSClient(int(self.listener["protocol_port"]), ca=self.house.server_ca, cert=chain, key=key_file)
        )

    def processes(self) -> tuple[psutil.Process, ...]:
        """As in `PARTS`."""
        assert self.house.process is not None
        run = self.house.data_dir / "run"
        files = (run / "envoy.pid", run / "keeper.pid")
        pids = [int(json.loads(file.read_text())["pid"]) for file in files]
        return tuple(map(psutil.Process, (*pids, self.house.process.pid)))

    def memory(self) -> tuple[float, ...]:
        """In MiB."""
        return tuple(process.memory_info().rss / 2**20 for process in self.processes())

    def cpu(self, work: Callable[[], object], times: int) -> float:
        """Envoy's CPU for each time, µs."""
        before = self.processes()[0].cpu_times()
        for _ in range(times):
            work()
        after = self.processes()[0].cpu_times()
        return (after.user + after.system - before.user - before.system) / times * 1e6


@dataclass(frozen=True)
class Person:
    """Somebody with a certificate."""

    id: str
    client: TLSClient

    def is_let_in(self) -> bool:
        return self.client.get("/").status == 200

    def shakes_hands(self) -> None:
        """A full handshake: with client certificates on there is no other."""
        with self.client.connect():
            pass


@dataclass
class Row:
    """What was seen with so many revoked, or so many members."""

    size: int
    called: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    micros: list[float] = field(default_factory=list)
    memory: tuple[float, ...] = ()
    authorities: int = 1


@contextmanager
def place(folder: Path, *, kind: str) -> Iterator[Place]:
    """`ostiary up` with a door that demands certificates of an authority of this kind."""
    with Backend() as backend, Ostiary(folder) as house:
        authority = new_authority(house, "Root")
        if kind == "intermediate":
            authority = new_authority(house, "Clients", kind=kind, parent_id=authority["id"])
        on = {"client_authentication": "MANDATORY", "client_ca_tls_container_ref": authority["href"]}
        yield Place(house, authority, house.door(backend.port, **on).listener)


def new_authority(house: Ostiary, name: str, **fields: Any) -> dict[str, Any]:
    return dict(house.call("POST", "/v1/authorities", {"authority": {"name": name, **fields}})["authority"])


# Revocations.


def revocations(size: int, options: argparse.Namespace) -> Row:
    """Time to effect, handshakes and memory with so many revoked."""
    row = Row(size)
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder, place(Path(folder), kind="intermediate") as here:
        people = [here.person() for _ in range(options.revocations)]
        guest = here.person()
        row.authorities = max(1, -(-size // series.LARGEST))
        say(f"{size:,} revoked: {row.authorities} issuing CAs")
        roll = f"/v1/authorities/{here.authority['id']}/roll"
        rolled = [here.house.call("POST", roll)["authority"]["id"] for _ in range(row.authorities - 1)]
        say(f"{size:,} revoked: writing them down")
        here.house.stop()  # SQLite has one writer at a time
        write_revoked(here, [here.authority["id"], *rolled], size)
        here.house.start()
        say(f"{size:,} revoked: lists are signed, and handed to Envoy")
        have_lists_handed_out(here, size)
        eventually(guest.is_let_in, within=PATIENCE)
        say(f"{size:,} revoked: {options.revocations} revocations")
        for person in people:
            called, answered = time_to_effect(here, person)
            row.called.append(called)
            row.answered.append(answered)
        say(
            f"{size:,} revoked: in force {1000 * percentile(row.called, 0.5):.0f} ms after the call, p99 "
            f"{1000 * percentile(row.called, 0.99):.0f} ms"
        )
        row.micros = [here.cpu(guest.shakes_hands, options.handshakes) for _ in range(options.rounds)]
        row.memory = here.memory()
    return row


def write_revoked(here: Place, ids: Sequence[str], size: int) -> None:
    """Spread over the issuing CAs, the first full: it is the one whose list those see who come in."""
    engine, at = open_engine(f"sqlite:///{here.house.data_dir / 'ostiary.db'}"), now()
    left = size
    for authority_id in ids:
        some = min(left, series.LARGEST)
        left -= some
        with engine.begin() as connection:
            # As a revocation does: its number is the next of what gateways must hear of.
            first = connection.execute(select(tables.head.c.status_sequence)).scalar_one()
            connection.execute(update(tables.head).values(status_sequence=first + some))
            for start in range(0, some, ROWS_AT_ONCE):
                numbers = range(start, min(some, start + ROWS_AT_ONCE))
                rows = [revoked(authority_id, first + number + 1, at) for number in numbers]
                connection.execute(tables.revocations.insert(), rows)
    engine.dispose()


def revoked(authority_id: str, sequence: int, at: Any) -> dict[str, Any]:
    """Revoked longer ago than any connection lasts: refused by the list alone. With a reason, for that is the longest entry."""
    serial, since = x509.random_serial_number(), at - timedelta(days=30)
    return {
        "authority_id": authority_id,
        "serial": whole_octets(serial),
        "sequence": sequence,
        "fingerprint_sha256": secrets.token_hex(32),
        "revoked_at": since,
        "reason": "keyCompromise",
        "invalidity_date": None,
        "expires_at": at + timedelta(days=300),
        "entry": crl.entry(serial, since, "keyCompromise"),
    }


def have_lists_handed_out(here: Place, size: int) -> None:
    """Wait until all are signed; a control plane that starts hands out the newest lists, however long they are."""
    engine = open_engine(f"sqlite:///{here.house.data_dir / 'ostiary.db'}")

    def listed() -> int:
        with engine.connect() as connection:
            entries = select(tables.crls.c.entries).where(tables.crls.c.kind == "complete")
            return sum(connection.execute(entries).scalars())

    eventually(lambda: listed() >= size, within=PATIENCE)
    engine.dispose()
    # It ends once it is done with what it has in hand, and a million entries are in hand for a while.
    assert here.house.process is not None
    here.house.process.process.terminate()
    here.house.process.wait(PATIENCE)
    here.house.start()
    eventually(lambda: here.house.read(here.listener["id"])["provisioning_status"] == "ACTIVE", within=PATIENCE)


def time_to_effect(here: Place, person: Person) -> tuple[float, float]:
    """Seconds until a connection that is open is refused: from the call, and from its answer."""
    with person.client.connect() as connection:
        assert connection.get("/").status == 200
        began = time.monotonic()
        here.house.call("POST", f"/v1/certificates/{person.id}/revoke", {"reason": "keyCompromise"})
        answered = time.monotonic()
        while connection.get("/").status != 403:
            time.sleep(0.001)  # A client asks now and then; one that never rests takes the CPU that is to be measured.
        over = time.monotonic()
    return over - began, max(0.0, over - answered)


# Groups.


def members(size: int, options: argparse.Namespace) -> Row:
    """What a request costs where a rule asks for a group that so many are in."""
    row = Row(size)
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder, place(Path(folder), kind="root") as here:
        guest = here.person(groups=[GROUP])
        if size:
            say(f"{size:,} members")
            here.house.stop()
            write_members(here, guest, size - 1)
            here.house.start()
            rule = {"listener_id": here.listener["id"], "name": "members", "action": "ALLOW", "certificate": {"groups": [GROUP]}}
            here.house.call("POST", "/v1/access-rules", {"access_rule": rule})
        here.house.until_active(here.listener["id"])
        eventually(guest.is_let_in, within=PATIENCE)
        with guest.client.connect() as connection:
            row.micros = [here.cpu(lambda: connection.get("/"), options.requests) for _ in range(options.rounds)]
        row.memory = here.memory()
    return row


def write_members(here: Place, guest: Person, others: int) -> None:
    """As many certificates more as the guest's, but for what has to differ."""
    engine = open_engine(f"sqlite:///{here.house.data_dir / 'ostiary.db'}")
    table = tables.certificates
    with engine.begin() as connection:
        like = dict(connection.execute(select(table).where(table.c.id == guest.id)).mappings().one())
        for start in range(0, others, ROWS_AT_ONCE):
            rows = [another(like) for _ in range(start, min(others, start + ROWS_AT_ONCE))]
            connection.execute(table.insert(), rows)
    engine.dispose()


def another(like: dict[str, Any]) -> dict[str, Any]:
    own = {"id": new_id(), "serial": secrets.token_hex(20), "fingerprint_sha256": secrets.token_hex(32)}
    return {**like, **own, "key_sha256": secrets.token_hex(32)}


# Words.


def say(words: str) -> None:
    """What is going on, for who waits."""
    print(f"… {words}", file=sys.stderr, flush=True)


def percentile(values: Sequence[float], part: float) -> float:
    """The value that so large a part does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def show_effects(rows: Sequence[Row]) -> None:
    percentiles = f"{'p50':>9}{'p99':>9}{'max':>9}"
    print(f"\n{'revoked':>10}{'CAs':>6}{'in force, from the call:':>27}{percentiles}{'from its answer:':>20}{percentiles}")
    for row in rows:
        times = [
            f"{1000 * value:>6.0f} ms"
            for values in (row.called, row.answered)
            for value in (percentile(values, 0.5), percentile(values, 0.99), max(values))
        ]
        print(f"{row.size:>10,}{row.authorities:>6}{'':27}{''.join(times[:3])}{'':20}{''.join(times[3:])}")


def show_costs(name: str, size: str, rows: Sequence[Row]) -> None:
    base = statistics.median(rows[0].micros)
    print(f"\n{size:>10}{name:>34}{'least':>9}{'ratio':>8}{''.join(f'{part:>19}' for part in PARTS)}")
    for row in rows:
        middle = statistics.median(row.micros)
        memory = "".join(f"{part:>15.0f} MiB" for part in row.memory)
        print(f"{row.size:>10,}{middle:>31.0f} µs{min(row.micros):>6.0f} µs{middle / base:>8.2f}{memory}")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--revoked", type=int, nargs="*", default=[0, 10_000, 1_000_000], help="how many are revoked already")
    parser.add_argument("--revocations", type=int, default=200, help="how many are timed in each (default 200)")
    parser.add_argument("--handshakes", type=int, default=300, help="handshakes in each round (default 300)")
    parser.add_argument("--members", type=int, nargs="*", default=[0, 1000, 100_000], help="how many are in a group")
    parser.add_argument("--requests", type=int, default=5000, help="requests in each round (default 5000)")
    parser.add_argument("--rounds", type=int, default=5, help="how often CPU is measured in each (default 5)")
    options = parser.parse_args()
    if options.revoked:
        rows = [revocations(size, options) for size in options.revoked]
        show_effects(rows)
        show_costs("Envoy CPU per full handshake", "revoked", rows)
    if options.members:
        show_costs("Envoy CPU per request", "members", [members(size, options) for size in options.members])


if __name__ == "__main__":
    main()
