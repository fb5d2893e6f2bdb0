"""What a handshake and a request cost each of the peers, all doing the same job (docs/decisions/0032-the-same-job.md).

    .venv/bin/python benchmarks/data_plane.py
    .venv/bin/python benchmarks/data_plane.py --rounds 1 --seconds 0.2 --only ostiary "Envoy (bare)"
    .venv/bin/python benchmarks/data_plane.py --no-record       # the peers write no access log; ostiary's is always written

All of them run, each bound to one processor, and take turns. What is told is the CPU time of all processes through which a
request goes, user and system, for each request; for a handshake that of the handshake, one request, and the end of the
connection. ostiary's keeper and control plane are told apart: they work, too, but hold up no request.

How many requests a second a peer can answer is told with how busy its processor was: below 100 % something else, the load or
the backend on the other processor, was the limit, and the peer could do more.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

from benchmarks.peers import programs  # noqa: E402 (likewise)
from benchmarks.peers.house import PATHS, House, house  # noqa: E402 (likewise)
from benchmarks.peers.peer import Served  # noqa: E402 (likewise)

from benchmarks import generator, lab, peers  # noqa: E402 (after the path is set)

REFERENCES: Final = ("nginx (wheel)", "Envoy (bare)")
RECORD_ARRIVES: Final = 1.5  # seconds: Envoy tells of requests soon, and what is summed up the keeper writes down each second
REST: Final = 5.0  # seconds
REST_NAME: Final = "CPU when nobody asks"
KEPT: Final = 32  # connections; with HTTP/2 a quarter of them with four streams each, so that as much is asked at once
Protocol = Literal["h1", "h2"]
NAMES: Final[dict[Protocol, str]] = {"h1": "HTTP/1.1", "h2": "HTTP/2"}


@dataclass(frozen=True)
class Job:
    """What is asked for in one turn, and what its cost is called."""

    cost: str
    rate: str
    work: generator.Work
    path: str

    @property
    def cost_name(self) -> str:
        return f"CPU per {self.cost}"

    @property
    def beside_name(self) -> str:
        return f"CPU beside the data plane per {self.cost}"

    @property
    def rate_name(self) -> str:
        return f"{self.rate} per second"

    @property
    def busy_name(self) -> str:
        return f"processor busy with {self.rate}"


def jobs(seconds: float) -> Iterator[Job]:
    """A handshake with each request, and requests over kept connections by protocol and size."""
    yield Job("full handshake", "handshakes", generator.Work("handshake", 16, seconds), PATHS["100 B"])
    for protocol, name in NAMES.items():
        connections, streams = (KEPT, 1) if protocol == "h1" else (KEPT // 4, 4)
        for size, path in PATHS.items():
            work = generator.Work("keepalive", connections, seconds, protocol=protocol, streams=streams)
            yield Job(f"request, {name}, {size}", f"requests, {name}, {size}", work, path)


def measured(book: lab.Notebook, served: Served, job: Job, round_: int, suffix: str) -> None:
    """One turn of one peer."""
    target = generator.Target(served.port, served.client, served.server_ca, path=job.path)
    beside = {name: programs.cpu_seconds(pids) for name, pids in served.beside().items()}
    load = _answered(served, target, job.work)
    book.note(job.cost_name + suffix, "µs", served.name, load.metered_each * 1e6, round_=round_)
    book.note(job.rate_name + suffix, "1/s", served.name, load.per_second, round_=round_)
    busy = (load.metered or 0) / load.seconds
    book.note(job.busy_name + suffix, "%", served.name, 100 * busy, round_=round_)
    if beside:
        time.sleep(RECORD_ARRIVES)
    for name, pids in served.beside().items():
        spent = (programs.cpu_seconds(pids) - beside[name]) / load.answered * 1e6
        book.note(job.beside_name + suffix, "µs", f"ostiary: {name}", spent, round_=round_)


def _answered(served: Served, target: generator.Target, work: generator.Work) -> generator.Load:
    """The work done. Once more if there was no answer, and no failure either: then the machine had no time for us at all."""
    while True:
        load = generator.run(target, work, cpu=served.house.other_core, meter=served.cpu_seconds)
        if load.answered or load.failed:
            return load.sound()


@contextmanager
def all_running(folder: Path, place: House, names: list[str]) -> Iterator[dict[str, Served]]:
    """These peers, all at once. Those whose turn it is not do nothing, or nearly so, and their time is not counted."""
    with ExitStack() as running:
        yield {name: running.enter_context(peers.ALL[name].running(folder / name.replace(" ", "-"), place)) for name in names}


def table(samples: list[lab.Sample], job: Job, suffix: str) -> Iterator[str]:
    """A line for each peer: its CPU, the ratios to the references in the same round, what it answered, how busy it was."""

    def of(measure: str) -> list[lab.Sample]:
        return [one for one in samples if one.measure == measure + suffix]

    cost, rate, busy = of(job.cost_name), of(job.rate_name), of(job.busy_name)
    yield (
        f"\n{f'{job.cost}{suffix}':<40}{'CPU, µs':>10}   "
        + "".join(f"{f'to {name}':<29}" for name in REFERENCES)
        + "  per s  busy"
    )
    for subject in dict.fromkeys(one.subject for one in cost):
        ratios = "".join(f"{lab.ratio(cost, subject, name) or ''!s:<29}" for name in REFERENCES)
        often = f"{lab.median(rate, subject):>7,.0f} {lab.median(busy, subject):>4.0f} %"
        yield f"  {subject:<38}{lab.median(cost, subject):>10,.4g}   {ratios}{often}"
    beside = of(job.beside_name)
    for subject in dict.fromkeys(one.subject for one in beside):
        yield f"  {subject:<38}{lab.median(beside, subject):>10,.4g}   (beside it)"


def at_rest(book: lab.Notebook, running: dict[str, Served]) -> None:
    """What each uses when nobody asks it anything."""
    groups = {(name, ""): one.pids() for name, one in running.items()}
    groups |= {(name, f": {what}"): pids for name, one in running.items() for what, pids in one.beside().items()}
    before = {who: programs.cpu_seconds(pids) for who, pids in groups.items()}
    time.sleep(REST)
    for (name, what), pids in groups.items():
        spent = programs.cpu_seconds(pids) - before[name, what]
        book.note(REST_NAME, "ms/s", f"{name}{what}", 1000 * spent / REST)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=lab.ROUNDS, help=f"how often each has its turn (default {lab.ROUNDS})")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each turn is (default 1)")
    parser.add_argument("--only", nargs="+", choices=peers.ALL, default=list(peers.ALL), metavar="PEER", help="not all of them")
    parser.add_argument("--jobs", default="", help="only those of which the name holds this, such as handshake or 100 B")
    parser.add_argument("--no-record", action="store_true", help="the peers write no access log")
    given = parser.parse_args()
    wanted = [job for job in jobs(given.seconds) if given.jobs in job.cost]
    suffix = ", peers without a record" if given.no_record else ""
    book = lab.Notebook("data_plane_no_record" if given.no_record else "data_plane")
    with (
        tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder,
        house(Path(folder), has_record=not given.no_record) as place,
        all_running(Path(folder), place, given.only) as served,
    ):
        for name in given.only:
            print(f"{name}: {peers.ALL[name].version()}")
        for job in wanted:
            for one in served.values():  # Each once for nothing: memory is taken, connections to the backend are opened.
                measured(lab.Notebook("warm-up"), one, job, -1, suffix)
            turns = {
                name: lambda round_, one=one, job=job: measured(book, one, job, round_, suffix) for name, one in served.items()
            }
            book.interleaved(turns, given.rounds)
        at_rest(book, served)
    for job in wanted:
        print(*table(book.samples, job, suffix), sep="\n")
    book.save()
    return 0


if __name__ == "__main__":
    sys.exit(main())
