"""What a connection costs that does nothing: memory with ten thousand devices connected, each let in by its certificate.

    .venv/bin/python benchmarks/idle.py
    .venv/bin/python benchmarks/idle.py --rounds 1 --connections 1000 --only ostiary Caddy

Each turn has a peer that was just started, for none of them gives memory back. Told is what its processes took (a page that they
share is counted once) and the pages of its program, counted once, too, whoever else on the machine runs the same one: of all
processes through which requests go, and for ostiary also with its keeper and control plane.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

from benchmarks.generator import Protocol, Target, idle  # noqa: E402 (after the path is set)
from benchmarks.lab import ROUNDS, Notebook  # noqa: E402 (likewise)
from benchmarks.peers.house import PATHS, House, house  # noqa: E402 (likewise)
from benchmarks.peers.peer import Served  # noqa: E402 (likewise)

from benchmarks import peers  # noqa: E402 (likewise)

CONNECTIONS: Final = 10_000
REFERENCE: Final = "nginx (wheel)"
NAMES: Final[dict[Protocol, str]] = {"h1": "HTTP/1.1", "h2": "HTTP/2"}


def memory(pids: Iterable[int]) -> float:
    """Of processes that run one program, MiB."""
    files = {pid: _fields(Path(f"/proc/{pid}/smaps_rollup")) | _fields(Path(f"/proc/{pid}/status")) for pid in pids}
    own = sum(fields["Pss_Anon"] + fields["Pss_Shmem"] for fields in files.values())
    return (own + max(fields["RssFile"] for fields in files.values())) / 1024


def _fields(file: Path) -> dict[str, int]:
    """Those that are told in kB."""
    lines = (line.split() for line in file.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if words[2:] == ["kB"]}


def whole(served: Served) -> float:
    """All that runs for it, MiB."""
    return memory(served.pids()) + sum(map(memory, served.beside().values()))


def turn(book: Notebook, name: str, place: House, folder: Path, round_: int, protocol: Protocol, connections: int) -> None:
    """Start it, connect, look, and let it go."""
    what = NAMES[protocol]

    def note(served: Served, size: int) -> float:
        now = memory(served.pids())
        book.note(f"memory, idle {what} connections", "MiB", name, now, size=size, round_=round_)
        if served.beside():
            everything = whole(served)
            book.note(
                f"memory, idle {what} connections",
                "MiB",
                f"{name}, with keeper and control plane",
                everything,
                size=size,
                round_=round_,
            )
        return now

    with peers.ALL[name].running(folder, place) as served:
        before = note(served, 0)
        target = Target(served.port, served.client, served.server_ca, path=PATHS["100 B"])
        with idle(target, connections, protocol=protocol, cpu=place.other_core):
            each = (note(served, connections) - before) * 1024 / connections
    book.note(f"memory for each idle {what} connection", "KiB", name, each, round_=round_)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each has its turn (default {ROUNDS})")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--protocols", nargs="+", choices=NAMES, default=list(NAMES), help="(default both)")
    parser.add_argument("--only", nargs="+", choices=peers.ALL, default=list(peers.ALL), metavar="PEER", help="not all of them")
    given = parser.parse_args()
    book = Notebook("idle")
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder, house(Path(folder)) as place:

        def turn_of(name: str, protocol: Protocol) -> Callable[[int], None]:
            where = Path(folder) / name.replace(" ", "-") / protocol
            return lambda round_: turn(book, name, place, where / str(round_), round_, protocol, given.connections)

        for protocol in given.protocols:
            book.interleaved({name: turn_of(name, protocol) for name in given.only}, given.rounds)
    book.tell(REFERENCE)
    book.save()


if __name__ == "__main__":
    main()
