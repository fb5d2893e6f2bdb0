"""Is our load generator to be believed? Beside a second one, that others wrote, at the same server.

    .venv/bin/python benchmarks/two_generators.py

`ab` (Debian's apache2-utils) presents client certificates, but speaks HTTP/1.1 alone. `h2load` (nghttp2-client) presents none:
for HTTP/2 the server asks for none. What a request costs the *server* must not depend on who asks; it is told as a ratio of turns
in the same round. `ab` asks in HTTP/1.0 with `Connection: Keep-Alive`, and ends a connection with FIN where ours resets it.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

from benchmarks.generator import Target, Work, run  # noqa: E402 (after the path is set)
from benchmarks.lab import ROUNDS, Notebook  # noqa: E402 (likewise)
from benchmarks.peers.house import PATHS, house  # noqa: E402 (likewise)
from benchmarks.peers.peer import Served  # noqa: E402 (likewise)

from benchmarks import peers  # noqa: E402 (likewise)
from support.wait import eventually  # noqa: E402 (likewise)

CONNECTIONS: Final = 16
OURS: Final = "load_generator"

Ask = Callable[[Served, int], None]  # So many requests. Raises unless all are answered.


@dataclass(frozen=True)
class Kind:
    """One kind of request, and who can make it."""

    what: str
    requests: int
    ask: dict[str, Ask]
    with_certificate: bool = True


def ours(work: Work) -> Ask:
    """Our own generator."""

    def ask(served: Served, requests: int) -> None:
        target = Target(served.port, served.client, served.server_ca, path=PATHS["100 B"])
        run(target, Work(work.mode, CONNECTIONS, requests=requests, protocol=work.protocol, streams=work.streams), cpu=0).sound()

    return ask


def ab(*options: str) -> Ask:
    """Apache's."""

    def ask(served: Served, requests: int) -> None:
        words = ("ab", "-q", *options, "-c", CONNECTIONS, "-n", requests, "-E", served.client, _url(served))
        said = _said(words)
        if f"Complete requests:      {requests}\n" not in said or "Failed requests:        0\n" not in said or "Non-2xx" in said:
            raise RuntimeError(said)

    return ask


def h2load(streams: int) -> Ask:
    """nghttp2's."""

    def ask(served: Served, requests: int) -> None:
        said = _said(("h2load", "-c", CONNECTIONS, "-m", streams, "-n", requests, _url(served)))
        if not re.search(rf"\b{requests} succeeded, 0 failed, 0 errored", said):
            raise RuntimeError(said)

    return ask


def _url(served: Served) -> str:
    return f"https://localhost:{served.port}{PATHS['100 B']}"


def _said(words: tuple[object, ...]) -> str:
    command = ["taskset", "--cpu-list", "0", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def h2(streams: int) -> dict[str, Ask]:
    return {OURS: ours(Work("keepalive", CONNECTIONS, protocol="h2", streams=streams)), "h2load": h2load(streams)}


KINDS: Final = (
    Kind("full handshake", 1_000, {OURS: ours(Work("handshake", CONNECTIONS)), "ab": ab()}),
    Kind("keep-alive request, HTTP/1.1", 20_000, {OURS: ours(Work("keepalive", CONNECTIONS)), "ab": ab("-k")}),
    Kind("request, HTTP/2, one stream", 20_000, h2(1), with_certificate=False),
    Kind("request, HTTP/2, ten streams", 20_000, h2(10), with_certificate=False),
)


def turn(book: Notebook, served: Served, kind: Kind, name: str) -> Callable[[int], None]:
    """One generator's turn with one kind of request."""

    def take(round_: int) -> None:
        cpu, began = served.cpu_seconds(), time.monotonic()
        kind.ask[name](served, kind.requests)
        seconds, cpu = time.monotonic() - began, served.cpu_seconds() - cpu
        book.note(f"server's CPU, {kind.what}", "µs", name, cpu / kind.requests * 1e6, round_=round_)
        book.note(f"as fast as it goes, {kind.what}", "1/s", name, kind.requests / seconds, round_=round_)

    return take


def demands_one(served: Served, demands: bool) -> None:  # noqa: FBT001 (as its name says)
    """Have it demand a client certificate, or ask for none; wait until it does."""
    if served.lets_in(None) is demands:
        processes = len(served.pids())
        served.switch("MANDATORY" if demands else "NONE")
        eventually(lambda: served.lets_in(None) is not demands)
        eventually(lambda: len(served.pids()) == processes)  # One that goes would take what it has used out of the sum.


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--peer", choices=peers.ALL, default="nginx (Debian)", metavar="PEER", help="which server")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    book = Notebook("two_generators")
    with (
        tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder,
        house(Path(folder)) as place,
        peers.ALL[given.peer].running(Path(folder) / "peer", place) as served,
    ):
        for kind in KINDS:
            demands_one(served, kind.with_certificate)
            book.interleaved({name: turn(book, served, kind, name) for name in kind.ask}, given.rounds)
    book.tell(OURS)
    book.save()


if __name__ == "__main__":
    main()
