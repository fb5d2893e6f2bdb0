"""What it costs to tell of each request and to look each certificate up in a deny set, and how soon an entry bites.

    .venv/bin/python benchmarks/deny.py
    .venv/bin/python benchmarks/deny.py --entries 0 1000 --rounds 20

One Envoy worker with a listener that demands certificates and answers by itself; a client on one open connection. CPU is Envoy's
own, user and system, for each request, the median of so many rounds in which every case has its turn, because other work on the
machine disturbs them all alike. Times to effect are from handing the configuration over (ADS) to the first request refused on a
connection that was open before.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

import psutil  # noqa: E402 (likewise)
from cryptography.hazmat.primitives import hashes  # noqa: E402 (likewise)
from envoy.config.listener.v3 import listener_pb2  # noqa: E402 (likewise)
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2  # noqa: E402 (likewise)

from ostiary.envoy.resources import LISTENER, Snapshot, pack  # noqa: E402 (likewise)
from ostiary.envoy.snapshot import snapshot  # noqa: E402 (likewise)
from ostiary.model.desired import Desired  # noqa: E402 (likewise)
from ostiary.model.tls import Trust  # noqa: E402 (likewise)
from support.certs import Authority  # noqa: E402 (likewise)
from support.desired import listener  # noqa: E402 (likewise)
from support.ports import free_port  # noqa: E402 (likewise)
from support.tiny_ads import Engine  # noqa: E402 (likewise)
from support.tls_clients import Connection, TLSClient  # noqa: E402 (likewise)

REQUEST: Final = b"GET /some/path HTTP/1.1\r\nHost: localhost\r\n\r\n"
SERVED: Final = b"503"  # Nobody stands behind the listener, and it says so.
REFUSED: Final = b"403"
CA: Final = Authority.root("Deny benchmark")
ALICE: Final = CA.client("alice", sans=("URI:spiffe://bench/alice", "DNS:alice.test"))
FINGERPRINT: Final = ALICE.certificate.fingerprint(hashes.SHA256()).hex()


@dataclass
class Case:
    """A configuration, and what it was seen to cost."""

    name: str
    made: Snapshot
    micros: list[float] = field(default_factory=list)


def denied(entries: int) -> frozenset[str]:
    """So many fingerprints of nobody."""
    return frozenset(f"{number:064x}" for number in range(entries))


def desired(port: int, entries: frozenset[str] = frozenset()) -> Desired:
    """One listener that demands certificates."""
    trust = Trust(name="trust/clients", certificates=CA.cert_pem)
    door = listener(trust=trust, client_authentication="MANDATORY", protocol_port=port)
    return Desired(listeners=(door,), denied=entries)


def without(made: Snapshot, *, log: bool, deny: bool) -> Snapshot:
    """The same without the access log, or without the deny set's filters."""
    resources = dict(made.resources)
    for key, resource in made.resources.items():
        if key[0] == LISTENER:
            message = listener_pb2.Listener.FromString(resource.body)
            chain = message.filter_chains[0].filters[-1]
            manager = http_connection_manager_pb2.HttpConnectionManager()
            chain.typed_config.Unpack(manager)
            if log:
                del manager.access_log[:]
                del message.access_log[:]
                manager.ClearField("access_log_options")
            if deny:
                kept = [one for one in manager.http_filters if not one.name.startswith("ostiary.")]
                del manager.http_filters[:]
                manager.http_filters.extend(kept)
            chain.typed_config.Pack(manager, deterministic=True)
            resources[key] = pack(LISTENER, key[1], message, resource.owners)
    return Snapshot(made.revision, MappingProxyType(resources))


def ask(connection: Connection) -> bytes:
    """One request; the status."""
    connection.tls.sendall(REQUEST)
    answer = connection.tls.recv(65_536)
    while b"\r\n\r\n" not in answer:
        answer += connection.tls.recv(65_536)
    return answer[9:12]


def apply(engine: Engine, made: Snapshot) -> None:
    """Hand it over; Envoy must take it."""
    refused = engine.apply(made)
    if refused:
        raise RuntimeError(f"Envoy refused: {refused}")


def cost(engine: Engine, client: TLSClient, requests: int) -> float:
    """Envoy's CPU for each request on an open connection, µs."""
    process = psutil.Process(engine.pid)
    with client.connect() as connection:
        for _ in range(200):
            ask(connection)
        before = process.cpu_times()
        for _ in range(requests):
            ask(connection)
        after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / requests * 1e6


def measure(engine: Engine, client: TLSClient, cases: Sequence[Case], rounds: int, requests: int) -> None:
    """Each case in turn, again and again."""
    for _ in range(rounds):
        for case in cases:
            apply(engine, case.made)
            engine.listens_on(client.port)
            case.micros.append(cost(engine, client, requests))


def effects(engine: Engine, client: TLSClient, port: int, entries: int, times: int) -> tuple[list[float], float, int]:
    """Seconds until an entry more refuses an open connection; to translate; Envoy's memory, octets."""
    others = denied(entries)
    before, began = snapshot(desired(port, others)), time.monotonic()
    after = snapshot(desired(port, others | {FINGERPRINT}))
    translated = time.monotonic() - began
    seconds = []
    for _ in range(times):
        apply(engine, before)
        with client.connect() as connection:
            while ask(connection) != SERVED:
                pass
            began = time.monotonic()
            apply(engine, after)
            while ask(connection) != REFUSED:
                pass
            seconds.append(time.monotonic() - began)
    return seconds, translated, psutil.Process(engine.pid).memory_info().rss


def report(cases: Sequence[Case], rows: Sequence[tuple[int, list[float], float, int]]) -> None:
    """Print what was seen."""
    base = statistics.median(cases[0].micros)
    print(f"{'Envoy CPU per keep-alive request':<44}{'least':>9}{'median':>9}{'ratio':>8}")
    for case in cases:
        middle = statistics.median(case.micros)
        print(f"{case.name:<44}{min(case.micros):>6.0f} µs{middle:>6.0f} µs{middle / base:>8.2f}")
    print(f"\n{'entries':>9}{'bites after (p50)':>20}{'max':>10}{'to translate':>15}{'Envoy RSS':>12}")
    for entries, seconds, translated, memory in rows:
        times = f"{1000 * statistics.median(seconds):.0f} ms", f"{1000 * max(seconds):.0f} ms", f"{1000 * translated:.0f} ms"
        print(f"{entries:>9,}{times[0]:>20}{times[1]:>10}{times[2]:>15}{memory / 2**20:>8.0f} MiB")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--entries", type=int, nargs="+", default=[0, 1000, 100_000], help="sizes of the deny set")
    parser.add_argument("--rounds", type=int, default=9, help="how often each case is measured (default 9)")
    parser.add_argument("--requests", type=int, default=5000, help="requests in each round (default 5000)")
    parser.add_argument("--times", type=int, default=10, help="how often an entry is added (default 10)")
    options = parser.parse_args()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder:
        paths = ALICE.write(Path(folder), "alice")
        client = TLSClient(port, cert=paths.chain, key=paths.key)
        plain = snapshot(desired(port))
        cases: list[Any] = [
            Case("neither log nor deny set", without(plain, log=True, deny=True)),
            Case("deny filters, no entry", without(plain, log=True, deny=False)),
            Case("access log, no deny filters", without(plain, log=False, deny=True)),
            *(
                Case(f"access log and {entries:,} denied", snapshot(desired(port, denied(entries))))
                for entries in options.entries
            ),
        ]
        with Engine(Path(folder)) as engine:
            measure(engine, client, cases, options.rounds, options.requests)
            rows = [(entries, *effects(engine, client, port, entries, options.times)) for entries in sorted(options.entries)]
    report(cases, rows)


if __name__ == "__main__":
    main()
