"""A house with very many certificates: memory of the control plane, time to start, and how long it takes to answer.

    .venv/bin/python benchmarks/million.py [--sizes 1000,10000,100000,1000000] [--houses FOLDER] [--times 60]

Each size is a data directory of `benchmarks/house.py` and an `ostiary up` of its own. Houses that are in FOLDER already are used
again (the one of a million takes some minutes to write). Calls come one after the other over one connection, each for another
certificate where there is one to ask for. Memory is that of the control plane's process, without its keeper, Envoy and the
processes that sign: what it has for itself with its share of what others map too (PSS), and all that it maps (RSS).
"""

import argparse
import json
import random  # noqa: TID251 (which certificates are asked for; nothing here is a secret)
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import client as http_client
from pathlib import Path
from typing import Final
from urllib.parse import quote

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

from benchmarks.house import a_house, a_request  # noqa: E402 (after the path is set)
from benchmarks.http_load import request, send  # noqa: E402 (likewise)
from benchmarks.lab import Notebook, percentile  # noqa: E402 (likewise)
from benchmarks.peers.programs import cpu_seconds  # noqa: E402 (likewise)

from support.processes import start  # noqa: E402 (likewise)
from support.stack import Ostiary  # noqa: E402 (likewise)

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
_ROUND_SECONDS: Final = 8.0  # after which each chore has been done once


@dataclass(frozen=True)
class Some:
    """A certificate to ask for."""

    id: str
    authority_id: str
    serial: str
    fingerprint_sha256: str
    name: str
    owner: str


class Here(Ostiary):
    """`ostiary up` on a data directory that is there already."""

    house: Path

    @property
    def data_dir(self) -> Path:
        return self.house


def measured(notebook: Notebook, house: Path, size: int, times: int) -> None:
    """Everything, once."""
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as made:
        here = Here(Path(made), launch=lambda *words, **options: start(*words, by_itself=True, **options))
        here.house = house
        here.start()  # after a change of the schema the first start makes indices: that is not what is measured
        here.stop()
        began = time.perf_counter()
        with here:
            note = _noting(notebook, size)
            note("time until the API answers and a gateway is connected", "s", time.perf_counter() - began)
            assert here.process is not None
            pid = here.process.pid
            _memory(note, pid, "after start")
            time.sleep(_ROUND_SECONDS)
            _memory(note, pid, "after each chore was done once")
            for called, requests in calls(here, house, times):
                _called(note, here, pid, called, requests)
            _memory(note, pid, "after all calls")
            here.call("GET", "/v1/audit/verify")
            _memory(note, pid, "after the whole record was verified")


def calls(here: Ostiary, house: Path, times: int) -> Iterator[tuple[str, list[bytes]]]:
    """What is asked, and the requests that ask it: each about another certificate."""
    some = _some(house, times)
    token = (here.data_dir / "admin.token").read_text()

    def api(method: str, path: str, body: object = None) -> bytes:
        headers = {"X-Auth-Token": token, "Content-Type": "application/json"}
        return request(method, here.listen, path, headers, b"" if body is None else json.dumps(body).encode())

    def listed(**asked: str) -> bytes:
        return api("GET", f"/v1/certificates?limit=100&{'&'.join(f'{name}={quote(text)}' for name, text in asked.items())}")

    yield "first page of 100", [listed() for _ in some]
    yield "a page of 100 anywhere", [listed(marker=one.id) for one in some]
    yield "100, newest first", [listed(sort="created_at:desc") for _ in some]
    yield "100, the first to end first", [listed(sort="not_after:asc") for _ in some]
    yield "by name", [listed(name=one.name) for one in some]
    yield "by holder", [listed(owner=one.owner) for one in some]
    yield "by serial number", [listed(serial=one.serial) for one in some]
    yield "by fingerprint", [listed(fingerprint_sha256=one.fingerprint_sha256[:16]) for one in some]
    yield "100 of an authority", [listed(authority_id=one.authority_id) for one in some]
    for status in ("VALID", "REVOKED", "EXPIRED", "ON_HOLD", "NOT_YET_VALID"):
        yield f"100 that are {status}", [listed(status=status) for _ in some]
    yield "100 of a group that nobody is in", [listed(group="nobody") for _ in some]
    yield "100 of a profile that nobody has", [listed(profile="nobody") for _ in some]
    yield "100, seen last first", [listed(sort="last_seen:desc") for _ in some]
    yield "search for a word", [listed(q=one.name) for one in some]
    yield "search for a part of a word", [listed(q=one.name[3:-1]) for one in some]
    yield "search for a word that all have, a page anywhere", [listed(q="device", marker=one.id) for one in some]
    yield "search for a word that none has", [listed(q=f"{one.name}x") for one in some]
    yield "search for two words, in a state", [listed(q=f"shop {one.name[-4:]}", status="VALID") for one in some]
    yield "page of 1,000", [api("GET", "/v1/certificates") for _ in some[: max(3, times // 3)]]
    yield "one certificate", [api("GET", f"/v1/certificates/{one.id}") for one in some]
    yield "what ends soon", [api("GET", "/v1/warnings") for _ in some]
    yield "authorities", [api("GET", "/v1/authorities?limit=100") for _ in some[: max(3, times // 3)]]
    yield "metrics", [api("GET", "/metrics") for _ in some]
    authority = some[0].authority_id
    yield (
        "issue",
        [api("POST", "/v1/certificates", {"certificate": {"authority_id": authority, "csr": a_request("x")}}) for _ in some],
    )
    good = _some(house, times, "revoked_at IS NULL")
    yield "revoke", [api("POST", f"/v1/certificates/{one.id}/revoke", {"reason": "superseded"}) for one in good]
    cookie = _signed_in(here)

    def page(path: str) -> bytes:
        return request("GET", here.listen, path, {"Cookie": cookie, "Accept": "text/html"})

    yield "console: certificates", [page("/console/certificates") for _ in some]
    yield "console: a page of them anywhere", [page(f"/console/certificates?after={one.id}") for one in some]
    yield "console: one certificate", [page(f"/console/certificates/{one.id}") for one in some]
    yield "console: overview", [page("/console/overview") for _ in some]


def _called(note: Callable[[str, str, float], None], here: Ostiary, pid: int, called: str, requests: list[bytes]) -> None:
    host, port = here.listen.split(":")
    send((host, int(port)), requests[:1], 1)
    before = cpu_seconds([pid])
    done = send((host, int(port)), requests, 1)
    assert not done.refused, done.refused[0]
    spent = cpu_seconds([pid]) - before
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        note(f"{called}, {name}", "ms", 1000 * percentile(done.latencies, share))
    note(f"{called}, CPU", "ms", 1000 * spent / len(requests))


def _noting(notebook: Notebook, size: int) -> Callable[[str, str, float], None]:
    def note(measure: str, unit: str, value: float) -> None:
        notebook.note(measure, unit, "ostiary", value, size=size)

    return note


def _memory(note: Callable[[str, str, float], None], pid: int, when: str) -> None:
    lines = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]]
    held = {line[0]: int(line[1]) / 1024 for line in lines}
    note(f"memory {when}", "MiB", held["Pss:"])
    note(f"memory {when}, shared pages too", "MiB", held["Rss:"])


def _some(house: Path, count: int, that: str = "true") -> list[Some]:
    """Certificates from anywhere, each once; in a house that was measured before, those that are still good are others."""
    with sqlite3.connect(house / "ostiary.db") as database:
        last = database.execute("SELECT max(rowid) FROM certificates").fetchone()[0]
        chance = random.Random(7)  # noqa: S311 (see above)
        what = "id, authority_id, serial, fingerprint_sha256, name, owner"
        asked = f"SELECT {what} FROM certificates WHERE rowid >= ? AND {that} ORDER BY rowid LIMIT 1"  # noqa: S608 (ours)
        rows = {database.execute(asked, (chance.randint(1, last),)).fetchone() for _ in range(count)} - {None}
    database.close()
    return sorted((Some(*row) for row in rows), key=lambda one: one.id)


def _signed_in(here: Ostiary) -> str:
    """The cookie of a session in the console, begun by a link as a browser follows it."""
    link = here.call("POST", "/v1/sign-in-links")["sign_in_link"]["url"]
    host, port = here.listen.split(":")
    http = http_client.HTTPConnection(host, int(port))
    http.request(
        "POST", link.removeprefix(f"http://{here.listen}"), body="", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    answer = http.getresponse()
    cookie = str(answer.headers["Set-Cookie"]).partition(";")[0]
    http.close()
    return cookie


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--houses", type=Path, help="where houses are, or are to be kept")
    parser.add_argument("--times", type=int, default=60)
    wanted = parser.parse_args()
    notebook = Notebook("million")
    with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as made:
        houses = wanted.houses or Path(made)
        for size in map(int, wanted.sizes.split(",")):
            if not (houses / str(size)).exists():
                print(f"writing a house with {size:,} certificates …", flush=True)
                a_house(houses / str(size), size)
            measured(notebook, houses / str(size), size, wanted.times)
    notebook.save()


if __name__ == "__main__":
    main()
