"""How long clients wait for an answer: at half of what each peer can do, and at a rate common to all.

    .venv/bin/python benchmarks/latency.py
    .venv/bin/python benchmarks/latency.py --rounds 1 --seconds 0.5 --only ostiary "Envoy (bare)"

Requests are due at fixed times over kept connections, and latency counts from when one was due: a peer that stalls is not asked
less. What a peer can do is what its one processor has time for, a second divided by the CPU time of a request as it is when many
ask as fast as they can: that does not depend on how much else the machine has to do, as the rate that is reached does. A request
that comes alone costs more, for whoever serves it has to be woken up for it: so CPU is told again at these rates.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

from benchmarks.data_plane import all_running  # noqa: E402 (after the path is set)
from benchmarks.generator import Protocol, Target, Work, run  # noqa: E402 (likewise)
from benchmarks.lab import ROUNDS, Notebook  # noqa: E402 (likewise)
from benchmarks.peers.house import PATHS, house  # noqa: E402 (likewise)
from benchmarks.peers.peer import Served  # noqa: E402 (likewise)

from benchmarks import peers  # noqa: E402 (likewise)

CONNECTIONS: Final = 32
ENOUGH: Final = 0.4  # seconds, to see what a request costs
COMMON: Final = 2_000.0  # requests a second, which all of them can do
REFERENCE: Final = "nginx (wheel)"
NAMES: Final[dict[Protocol, str]] = {"h1": "HTTP/1.1", "h2": "HTTP/2"}


def capacity(served: Served, target: Target, protocol: Protocol) -> float:
    """How many requests a second its processor has time for."""
    flat_out = Work("keepalive", CONNECTIONS, seconds=ENOUGH, protocol=protocol)
    return 1 / run(target, flat_out, cpu=served.house.other_core, meter=served.cpu_seconds).sound().metered_each


def turn(book: Notebook, served: Served, round_: int, seconds: float, protocol: Protocol) -> None:
    """One peer, at its own rate and at the common one."""
    target = Target(served.port, served.client, served.server_ca, path=PATHS["100 B"])
    half = capacity(served, target, protocol) / 2
    book.note(f"half of what it can do, {NAMES[protocol]}", "1/s", served.name, half, round_=round_)
    for at, rate in (("half of what it can do", half), (f"{COMMON:,.0f} requests a second", COMMON)):
        work = Work("keepalive", CONNECTIONS, seconds=seconds, rate=rate, protocol=protocol)
        load = run(target, work, cpu=served.house.other_core, meter=served.cpu_seconds).sound()
        for name, value in {"p50": load.p50, "p99": load.p99}.items():
            book.note(f"latency, {name}, {NAMES[protocol]}, at {at}", "µs", served.name, value, round_=round_)
        book.note(f"CPU per request, {NAMES[protocol]}, at {at}", "µs", served.name, load.metered_each * 1e6, round_=round_)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each has its turn (default {ROUNDS})")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long at each rate (default 1)")
    parser.add_argument("--protocols", nargs="+", choices=NAMES, default=list(NAMES), help="(default both)")
    parser.add_argument("--only", nargs="+", choices=peers.ALL, default=list(peers.ALL), metavar="PEER", help="not all of them")
    given = parser.parse_args()
    book = Notebook("latency")
    with (
        tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder,
        house(Path(folder)) as place,
        all_running(Path(folder), place, given.only) as served,
    ):
        for protocol in given.protocols:
            turns = {
                name: lambda round_, one=one, protocol=protocol: turn(book, one, round_, given.seconds, protocol)
                for name, one in served.items()
            }
            book.interleaved(turns, given.rounds)
    book.tell(REFERENCE)
    book.save()


if __name__ == "__main__":
    main()
