"""Changes while requests flow: how soon a switch and a revocation are in force, and what breaks meanwhile; ostiary and the peers.

    .venv/bin/python benchmarks/reloads.py
    .venv/bin/python benchmarks/reloads.py --times 10 --revocations 3 --only ostiary "nginx (wheel)"

ostiary is told through its API. The peers are told as their operators do: nginx by a new configuration and SIGHUP, HAProxy by a
new configuration and SIGUSR2 to its master (and, for revocation lists, by its runtime API), Envoy by new files that it watches,
Traefik by its file provider, Caddy by its admin API. Times run from the beginning of the call, or of the writing of the new
configuration. What runs on which processor is left to the kernel; each peer has one worker.

*Switches*: Client CA off and on again. One is in force with the first of eight probes in a row, each a new connection without
a certificate, that are treated as the new mode says. Meanwhile four clients ask (benchmarks/load.py): two with a connection for
each request, two that keep theirs and ask nothing twice. None of their requests ought to fail, for they have a certificate.
Each time the demand for certificates is back, somebody who connected without one while nobody had to asks again there.

*Revocations*: of a client with three connections: a new one for each probe, one that asks every 10 ms, and one with a download
that lasts. What is told is when each is refused or ended.
"""

import argparse
import http.client
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

from benchmarks.peers.house import house  # noqa: E402 (likewise)
from benchmarks.peers.peer import Mode, Served, Victim  # noqa: E402 (likewise)

from benchmarks import lab, load, peers  # noqa: E402 (after the path is set)
from support.tls_clients import Connection, Refused, TLSClient  # noqa: E402 (likewise)

STEADY: Final = 8  # as many probes in a row must agree: old and new workers both answer for a while
PATIENCE: Final = 30.0
WATCHED: Final = 12.0  # seconds: what is open and served so long after a revocation counts as never ended
PAUSE: Final = 0.01  # seconds between requests on an open connection
SHOWN: Final = 3

IN_FORCE: Final = {"NONE": "a switch is in force, off", "MANDATORY": "a switch is in force, on"}
FAILED: Final = "failed requests of a hundred switches"
ANSWERED: Final = "requests answered during the switches"
STRAGGLERS: Final = "open connections without a certificate, served on after it is demanded"
NEW: Final = "a revocation is in force, new connections"
OPEN: Final = "a revocation is in force, requests on an open connection"
DOWNLOAD: Final = "a revocation is in force, a running download"
SERVED_ON: Final = {OPEN: "revoked, and served on: open connections", DOWNLOAD: "revoked, and served on: running downloads"}


# Switches.


def switches(book: lab.Notebook, served: Served, times: int, hold: float) -> None:
    """So many, off and on, under load."""
    papers = served.house.papers
    both = papers.file("client.both.pem")
    stragglers: list[bool] = []
    with load.running(load.Door(served.port, papers.file("server-ca.pem"), both, both), fresh=2, keepalive=2) as clients:
        began = time.monotonic()
        for number in range(times):
            mode: Mode = "MANDATORY" if number % 2 else "NONE"
            left = served.tls_client(None).connect() if mode == "MANDATORY" else None
            if left is not None:
                left.get("/")
            book.note(IN_FORCE[mode], "ms", served.name, 1000 * switch(served, mode), round_=number)
            if left is not None:
                stragglers.append(is_served(left))
                left.close()
            time.sleep(hold)
        seconds = time.monotonic() - began
        fresh, kept = clients.stop()
    book.note(FAILED, "", served.name, (fresh.failed + kept.failed) * 100 / times)
    book.note(ANSWERED, "1/s", served.name, (fresh.answered + kept.answered) / seconds)
    book.note(STRAGGLERS, "%", served.name, 100 * sum(stragglers) / len(stragglers))
    for kind, tally in (("a connection for each request", fresh), ("kept connections", kept)):
        for what in dict.fromkeys(what for _, what in tally.failures[:SHOWN]):
            print(f"    {served.name}, {kind}: {tally.failed} failed, such as: {what}")


def switch(served: Served, mode: Mode) -> float:
    """Switch, and find out when it is in force: seconds from the call."""
    began = time.monotonic()
    served.switch(mode)
    return first_steady(lambda: served.lets_in(None) is (mode == "NONE"), began)


def first_steady(check: Callable[[], bool], began: float) -> float:
    """When this was true first and then remained so; seconds."""
    agreed, first = 0, 0.0
    while agreed < STEADY:
        asked = time.monotonic()
        if check():
            first = first if agreed else asked
            agreed += 1
        else:
            agreed = 0
        if time.monotonic() - began > PATIENCE:
            raise RuntimeError(f"it was not in force after {PATIENCE:g} s")
    return first - began


def is_served(connection: Connection) -> bool:
    """Whether a request on this connection is answered 200; not so when it was closed before that."""
    try:
        return connection.get("/").status == 200
    except (Refused, OSError, http.client.HTTPException):
        return False


# Revocations.


@dataclass
class Watch:
    """Something that goes on in a thread until it ends by itself, or until `enough`."""

    goes_on: Callable[[], bool]
    pause: float
    enough: threading.Event
    ended: float | None = None

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self) -> None:
        while not self.enough.is_set():
            if not self.goes_on():
                self.ended = time.monotonic()
                return
            time.sleep(self.pause)


def revocation(book: lab.Notebook, name: str, victim: Victim, round_: int) -> None:
    """One, from the call to what it ends."""
    enough = threading.Event()
    asking, loading = victim.client.connect(), victim.client.connect()
    loading.tls.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
    loading.tls.recv(1)
    watched = {
        OPEN: Watch(lambda: is_served(asking), PAUSE, enough),
        DOWNLOAD: Watch(lambda: reads_on(loading), 0, enough),
    }
    began = time.monotonic()
    victim.revoke()
    book.note(NEW, "ms", name, 1000 * first_steady(lambda: not is_let_in(victim.client), began), round_=round_)
    while time.monotonic() - began < WATCHED and any(one.ended is None for one in watched.values()):
        time.sleep(PAUSE)
    enough.set()
    for what, one in watched.items():
        book.note(SERVED_ON[what], "%", name, 100.0 * (one.ended is None), round_=round_)
        if one.ended is not None:
            book.note(what, "ms", name, 1000 * (one.ended - began), round_=round_)
        one.thread.join(PATIENCE)
    asking.close()
    loading.close()
    victim.restore()


def reads_on(connection: Connection) -> bool:
    """Whether there is more of a download."""
    try:
        return bool(connection.tls.recv(65_536))
    except OSError:
        return False


def is_let_in(client: TLSClient) -> bool:
    """Whether a new connection is served."""
    try:
        return client.get("/").status == 200
    except Refused:
        return False


def revocations(book: lab.Notebook, served: Served, times: int) -> None:
    """So many, each of somebody who was let in before; by all means that this peer has."""
    for name, somebody in served.peer.means_to_revoke(served).items():
        for number in range(times):
            victim = somebody()
            first_steady(partial(is_let_in, victim.client), time.monotonic())
            revocation(book, name, victim, number)


# All of it.


def table(samples: list[lab.Sample]) -> Iterator[str]:
    """For each measure a line for each: median, p99 and most."""
    for measure in dict.fromkeys(one.measure for one in samples):
        chosen = [one for one in samples if one.measure == measure]
        unit = f" [{chosen[0].unit}]" if chosen[0].unit else ""
        yield f"\n{f'{measure}{unit}':<76}{'median':>10}{'p99':>10}{'most':>10}{'of':>6}"
        for subject in dict.fromkeys(one.subject for one in chosen):
            values = [one.value for one in chosen if one.subject == subject]
            of = (lab.percentile(values, 0.5), lab.percentile(values, 0.99), max(values))
            yield f"  {subject:<74}" + "".join(f"{value:>10,.1f}" for value in of) + f"{len(values):>6}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("--times", type=int, default=100, help="how many switches (default 100)")
    parser.add_argument("--hold", type=float, default=0.05, help="seconds to stay in each mode then (default 0.05)")
    parser.add_argument("--revocations", type=int, default=5, help="how many revocations (default 5)")
    parser.add_argument("--only", nargs="+", choices=peers.ALL, default=list(peers.ALL), metavar="PEER", help="not all of them")
    given = parser.parse_args()
    if given.times < 2:
        parser.error("--times: at least 2, once off and once on")
    book = lab.Notebook("reloads")
    with (
        tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder,
        house(Path(folder), core=None, other_core=None) as place,
    ):
        for name in given.only:
            with peers.ALL[name].running(Path(folder) / name.replace(" ", "-"), place) as served:
                print(f"{name}: {peers.ALL[name].version()}", flush=True)
                revocations(book, served, given.revocations)
                switches(book, served, given.times, given.hold)
    print(*table(book.samples), sep="\n")
    book.save()
    return 0


if __name__ == "__main__":
    sys.exit(main())
