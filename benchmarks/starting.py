"""How long starting takes and what it leaves in memory: commands, a whole ostiary, its keeper, and the peers.

    .venv/bin/python benchmarks/starting.py
    .venv/bin/python benchmarks/starting.py --rounds 1 --only ostiary "nginx (Debian)"

Commands and modules are started by themselves, from their source's compiled form as installed. Of a command, seconds from its
start to its end are told, and what it used of a processor; `python -c pass` stands beside them: what Python takes for nothing.

An ostiary is there when its API answers, when its gateway is connected to it, and when a door that it had before lets in who
may come in. The last is what peers are compared by: each is started with the job that all of them do (benchmarks/peers), and
asked every few milliseconds. ostiary's time runs from `ostiary up`, so three processes start in it. What runs on which
processor is left to the kernel. Memory (PSS) is told of each process, two seconds after it was there.
"""

import argparse
import http.client
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

from benchmarks.peers import programs  # noqa: E402 (likewise)
from benchmarks.peers.house import House, house  # noqa: E402 (likewise)
from benchmarks.peers.peer import Program, Served  # noqa: E402 (likewise)

from benchmarks import lab, peers  # noqa: E402 (after the path is set)
from support.ports import free_port  # noqa: E402 (likewise)
from support.processes import OSTIARY, Running  # noqa: E402 (likewise)
from support.stack import Ostiary  # noqa: E402 (likewise)

COMMAND: Final = "a command, from its start to its end"
COMMAND_CPU: Final = "CPU of a command"
ANSWERS_NEW: Final = "`ostiary up` on an empty folder, until the API answers"
CONNECTED_NEW: Final = "`ostiary up` on an empty folder, until its gateway is connected"
ANSWERS: Final = "`ostiary up` on a folder with a door, until the API answers"
SERVES: Final = "start, until the first client is let in"
KEEPER: Final = "the keeper killed, until another is connected"
MEMORY: Final = "memory at rest"

PAUSE: Final = 0.003  # seconds between two looks
PATIENCE: Final = 60.0
AT_REST: Final = 2.0  # seconds after which nothing is left to do

LOADING: Final = "from ostiary.loading import many_modules\nwith many_modules():"  # as programs that serve load theirs
COMMANDS: Final[dict[str, tuple[object, ...]]] = {
    "python -c pass": (sys.executable, "-c", "pass"),
    "ostiary --help": (OSTIARY, "--help"),
    "ostiary version": (OSTIARY, "version"),
    "ostiary listener list": (OSTIARY, "listener", "list"),
    "import ostiary.gateway.keeper": (sys.executable, "-c", f"{LOADING} import ostiary.gateway.keeper"),
    "import ostiary.serve": (sys.executable, "-c", f"{LOADING} import ostiary.up, ostiary.serve"),
}


def first(check: Callable[[], bool], since: float, process: Running | None = None) -> float:
    """Seconds from `since` until the answer is yes. Raises `RuntimeError` when that takes too long, or the process has ended."""
    while time.monotonic() - since < PATIENCE:
        if process is not None and not process.is_alive:
            raise RuntimeError(f"{process.name} ended:\n{process.output()}")
        with suppress(OSError, http.client.HTTPException):
            if check():
                return time.monotonic() - since
        time.sleep(PAUSE)
    raise RuntimeError(f"not so after {PATIENCE:g} s")


# Commands.


def command(book: lab.Notebook, words: tuple[object, ...], env: dict[str, str], name: str, round_: int) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    since = time.monotonic()
    subprocess.run([str(word) for word in words], env=env, stdout=subprocess.DEVNULL, check=True)
    book.note(COMMAND, "s", name, time.monotonic() - since, round_=round_)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    book.note(COMMAND_CPU, "s", name, spent, round_=round_)


def commands(book: lab.Notebook, folder: Path, rounds: int) -> None:
    with Ostiary(folder / "asked") as running:
        env = {"PATH": "/usr/bin:/bin", "OSTIARY_DATA_DIR": str(running.data_dir), "OSTIARY_LISTEN": running.listen}
        book.interleaved({name: partial(command, book, words, env, name) for name, words in COMMANDS.items()}, rounds)


# A whole ostiary.


@dataclass
class Starting(Ostiary):
    """An ostiary whose start is watched; each start is by itself, not of a process that has loaded it."""

    def begin(self) -> float:
        """Start, and go on at once; when that was."""
        since = time.monotonic()
        self.process = programs.start_on(
            None, OSTIARY, "up", "--data-dir", self.data_dir, "--listen", self.listen, folder=self.folder, name="ostiary"
        )
        return since

    def gateways(self) -> list[dict[str, Any]]:
        """What the API says of them; asked for by the least that asks. Raises `OSError` while nobody answers."""
        host, _, port = self.listen.partition(":")
        asking = http.client.HTTPConnection(host, int(port), timeout=5)
        try:
            asking.request("GET", "/v1/gateways", headers={"X-Auth-Token": (self.data_dir / "admin.token").read_text().strip()})
            found: list[dict[str, Any]] = json.loads(asking.getresponse().read())["gateways"]
        finally:
            asking.close()
        return found

    def answers(self) -> bool:
        return self.gateways() is not None

    def is_connected(self) -> bool:
        return any(gateway["connected"] for gateway in self.gateways())

    def pid(self, name: str) -> int:
        return int(json.loads((self.data_dir / "run" / f"{name}.pid").read_text())["pid"])

    def parts(self) -> dict[str, int]:
        """Its processes."""
        assert self.process is not None
        return {"control plane": self.process.pid, "keeper": self.pid("keeper"), "Envoy": self.pid("envoy")}


def on_an_empty_folder(book: lab.Notebook, folder: Path, round_: int) -> None:
    one = Starting(folder / f"empty-{round_}")
    try:
        since = one.begin()
        book.note(ANSWERS_NEW, "s", "ostiary", first(one.answers, since, one.process), round_=round_)
        book.note(CONNECTED_NEW, "s", "ostiary", first(one.is_connected, since, one.process), round_=round_)
        time.sleep(AT_REST)
        for name, pid in one.parts().items():
            book.note(MEMORY, "MiB", f"ostiary: {name}", programs.rss([pid]), round_=round_)
        _kill_the_keeper(book, one, round_)
    finally:
        one.stop()


def _kill_the_keeper(book: lab.Notebook, one: Starting, round_: int) -> None:
    """Another one finds the Envoy that serves on. Whoever notices looks once a second."""
    gone = one.pid("keeper")

    def another() -> bool:
        with suppress(ValueError, KeyError):  # half-written
            return one.pid("keeper") != gone and one.is_connected()
        return False

    os.kill(gone, signal.SIGKILL)
    book.note(KEEPER, "s", "ostiary", first(another, time.monotonic()), round_=round_)


class Prepared:
    """A folder in which an ostiary has a door that does the job of all peers; started and stopped in each round."""

    def __init__(self, folder: Path, place: House) -> None:
        self._place = place
        with peers.ALL["ostiary"].running(folder, place) as served:
            self._served = served
        self._one = Starting(folder)

    def __call__(self, book: lab.Notebook, round_: int) -> None:
        """Its door is looked at beside its API: a gateway serves what it knows, whether or not there is a control plane yet."""
        lets_in = partial(self._served.lets_in, "client")
        with ThreadPoolExecutor(1) as looking:
            try:
                since = self._one.begin()
                serves = looking.submit(first, lets_in, since, self._one.process)
                book.note(ANSWERS, "s", "ostiary", first(self._one.answers, since, self._one.process), round_=round_)
                book.note(SERVES, "s", "ostiary", serves.result(), round_=round_)
            finally:
                self._one.stop()


# The peers.


def peer(book: lab.Notebook, one: Program, folder: Path, place: House, round_: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    served = Served(one, place, folder, free_port())
    one.write(served)
    with _started(one, served) as since:
        book.note(SERVES, "s", one.name, first(partial(served.lets_in, "client"), since, served.process), round_=round_)
        time.sleep(AT_REST)
        book.note(MEMORY, "MiB", one.name, served.rss(), round_=round_)


@contextmanager
def _started(one: Program, served: Served) -> Any:
    since = time.monotonic()
    served.process = programs.start_on(None, *one.command(served), folder=served.folder, name=one.name.split()[0].lower())
    try:
        yield since
    finally:
        served.process.stop()


def turns(book: lab.Notebook, names: list[str], folder: Path, place: House) -> dict[str, Callable[[int], None]]:
    """Whoever is started in each round."""
    found: dict[str, Callable[[int], None]] = {}
    for number, name in enumerate(names):
        one = peers.ALL[name]
        if isinstance(one, Program):
            found[name] = partial(peer, book, one, folder / f"peer-{number}", place)
        else:
            found["ostiary, new"] = partial(on_an_empty_folder, book, folder)
            found[name] = partial(Prepared(folder / "prepared", place), book)
    return found


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rounds", type=int, default=lab.ROUNDS)
    asked.add_argument("--only", nargs="*", default=list(peers.ALL), choices=list(peers.ALL), metavar="PEER")
    given = asked.parse_args()
    book = lab.Notebook("starting")
    with tempfile.TemporaryDirectory(prefix="starting-") as name:
        folder = Path(name)
        commands(book, folder, given.rounds)
        with house(folder / "house", core=None, other_core=None) as place:
            book.interleaved(turns(book, given.only, folder, place), given.rounds)
    book.save()
    book.tell("ostiary")


if __name__ == "__main__":
    main()
