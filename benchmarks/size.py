"""What a change costs, from the call to what the gateway's keeper hands on, against how many listeners there are.

    .venv/bin/python benchmarks/size.py                       # 10, 100, 500, 1,000, 5,000 and 10,000 listeners
    .venv/bin/python benchmarks/size.py --listeners 10 1000

Each listener has a certificate of its own, and demands client certificates of one of ten authorities. No Envoy: a keeper's own
parts, in this process, stand at the other end and accept at once (benchmarks/effect.py has the whole way, with an Envoy). Told
are wall time and CPU of one switch, part by part, and what the API takes to list, to read and to change with so many there.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import httpx  # noqa: E402 (after the path is set)
from benchmarks.lab import Notebook, percentile  # noqa: E402 (likewise)

from ostiary.api.app import create_app  # noqa: E402 (likewise)
from ostiary.envoy.resources import Snapshot  # noqa: E402 (likewise)
from ostiary.gateway.last_good import LastGood  # noqa: E402 (likewise)
from ostiary.gateway.ledger import Ledger  # noqa: E402 (likewise)
from ostiary.publisher import Publisher  # noqa: E402 (likewise)
from ostiary.xds.source import StreamState  # noqa: E402 (likewise)
from support.many import Many, many_listeners  # noqa: E402 (likewise)

SIZES: Final = (10, 100, 500, 1_000, 5_000, 10_000)
SUBJECT: Final = "ostiary"
TOKEN: Final = "a-token-for-the-benchmark"  # noqa: S105 (of this process only)


@dataclass
class Clock:
    """Wall and CPU milliseconds of what was done between; CPU of this whole process."""

    wall: float = 0.0
    cpu: float = 0.0
    _began: tuple[float, float] = field(default=(0.0, 0.0))

    def __enter__(self) -> Self:
        self._began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = 1000 * (time.perf_counter() - self._began[0])
        self.cpu = 1000 * (time.process_time() - self._began[1])


class Gateway:
    """A keeper's ledger and its file, with an Envoy that accepts whatever it is given."""

    def __init__(self, folder: Path) -> None:
        self._ledger = Ledger()
        self._kept = LastGood(folder / "last-good", folder / "key")
        self._before = Snapshot()
        self._ledger.told_all()

    def takes(self, snapshot: Snapshot) -> dict[Any, str]:
        """Hear what is new, keep it, and have it accepted. What it has by version."""
        was, now = self._before.resources, snapshot.resources
        news = [one for key, one in now.items() if was.get(key) is not one]
        for resource in news:
            self._ledger.want(resource)
        for key in was.keys() - now.keys():
            self._ledger.drop(key)
        with Clock() as self.clock:
            self._keep()
        accepted = {key: one.version for key, one in now.items()}
        self._ledger.note(StreamState(True, accepted=accepted, changed=frozenset(one.key for one in news)), time.monotonic())
        self._before = snapshot
        return accepted

    def _keep(self) -> None:
        self._kept.keep(dict(self._ledger.wanted), self._ledger.standing_in())


async def measured(many: Many, size: int, notes: Notebook, options: argparse.Namespace) -> None:
    """Everything, with so many listeners there."""
    system, gateway = many.system, Gateway(many.folder)
    out: list[Snapshot] = []
    publisher = Publisher(system, out.append)

    async def publish() -> None:
        await publisher._round()  # noqa: SLF001 (one round at a time, so that it can be timed)
        accepted = gateway.takes(out[-1])
        system.fleet.heard("gateway", system.clock(), connected=True, accepted=accepted, rejected={})

    with Clock() as cold:
        await publish()
    notes.note("start: build and publish everything", "ms", SUBJECT, cold.wall, size=size)
    notes.note("resources", "", SUBJECT, len(out[-1].resources), size=size)
    http = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=create_app(system, token=TOKEN)),
        base_url="http://ostiary.test",
        headers={"X-Auth-Token": TOKEN},
        timeout=600,
    )

    async def call(method: str, path: str, body: Any = None) -> Any:
        answer = await http.request(method, f"/v2/lbaas{path}", json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    calls: dict[str, list[float]] = {}

    async def timed(name: str, method: str, path: str, body: Any = None) -> Clock:
        with Clock() as clock:
            await call(method, path, body)
        calls.setdefault(name, []).append(clock.wall)
        return clock

    for round_ in range(options.rounds):
        one = many.listener_ids[(7919 * round_) % size]
        mode = "NONE" if (await call("GET", f"/listeners/{one}"))["listener"]["client_authentication"] != "NONE" else "MANDATORY"
        switched = await timed("PUT one", "PUT", f"/listeners/{one}", {"listener": {"client_authentication": mode}})
        with Clock() as published:
            await publisher._round()  # noqa: SLF001 (likewise)
        accepted = gateway.takes(out[-1])
        system.fleet.heard("gateway", system.clock(), connected=True, accepted=accepted, rejected={})
        parts = {"call": switched, "build and publish": published, "keep": gateway.clock}
        for name, clock in parts.items():
            notes.note(f"one switch: {name}", "ms", SUBJECT, clock.wall, size=size, round_=round_)
            notes.note(f"one switch: {name}, CPU", "ms", SUBJECT, clock.cpu, size=size, round_=round_)
    for round_ in range(options.calls):
        one = many.listener_ids[(104729 * round_) % size]
        await timed("GET one", "GET", f"/listeners/{one}")
        await timed("GET page", "GET", f"/listeners?limit=50&marker={one}")
        if round_ % 4 == 0:
            await timed("PUT one", "PUT", f"/listeners/{one}", {"listener": {"description": f"round {round_}"}})
    for name, values in calls.items():
        notes.note(f"API: {name}, p50", "ms", SUBJECT, percentile(values, 0.5), size=size)
        notes.note(f"API: {name}, p99", "ms", SUBJECT, percentile(values, 0.99), size=size)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--listeners", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=7, help="how many switches (default 7)")
    parser.add_argument("--calls", type=int, default=200, help="how many calls of each kind (default 200)")
    parser.add_argument("--name", default="size", help="of the file with the raw samples")
    options = parser.parse_args()
    notes = Notebook(options.name)
    for size in options.listeners:
        with tempfile.TemporaryDirectory(prefix="ostiary-bench-") as folder, many_listeners(Path(folder), size) as many:
            asyncio.run(measured(many, size, notes, options))
    notes.save()
    notes.tell(SUBJECT)


if __name__ == "__main__":
    main()
