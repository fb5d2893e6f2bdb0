"""How fast the whole record is proven, how much memory that takes, and what an export and its check by the verifier alone take.

    .venv/bin/python benchmarks/record.py
    .venv/bin/python benchmarks/record.py --entries 100000

The record is filled directly, a head signed every 1,000 entries. Then `ostiary up` is asked by `ostiary audit verify` (with its
bar), `ostiary audit export` hands it out, and the verifier checks that file in a process of its own. Memory is the peak of the
process that does the work, above what it took before (`VmHWM`), so it must not grow with the number of entries: it is measured
with a tenth of them too.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

from sqlalchemy import insert, update  # noqa: E402 (after the path is set)

from ostiary import audit_verifier, home  # noqa: E402 (likewise)
from ostiary.ops import heads  # noqa: E402 (likewise)
from ostiary.ops.caller import SYSTEM  # noqa: E402 (likewise)
from ostiary.ops.system import System  # noqa: E402 (likewise)
from ostiary.pki import head_signing  # noqa: E402 (likewise)
from ostiary.settings import Settings  # noqa: E402 (likewise)
from ostiary.store import tables  # noqa: E402 (likewise)
from ostiary.store.heads import key_context  # noqa: E402 (likewise)
from ostiary.store.store import link  # noqa: E402 (likewise)
from support.stack import Ostiary  # noqa: E402 (likewise)

AT_ONCE: Final = 10_000
HEAD_EACH: Final = 1000
OSTIARY: Final = Path(sys.executable).with_name("ostiary")


def filled(folder: Path, entries: int) -> None:
    """A data directory whose record holds so many entries, as a listener that is changed again and again writes them."""
    settings = Settings(folder)
    folder.mkdir(parents=True)
    store = home.open_store(settings)
    system = System(store, home.open_sealer(settings, store))
    (key,) = heads.keys(system, SYSTEM)
    private = system.sealer.open(key.sealed_key, key_context(key.id))
    with store.read() as reader:
        sequence, previous = reader.audit_head()
    at = datetime.now(UTC) - timedelta(days=100)  # noqa: TID251 (a benchmark has no clock to ask)
    while sequence < entries:
        rows, signed = [], []
        for _ in range(min(AT_ONCE, entries - sequence)):
            sequence, at = sequence + 1, at + timedelta(seconds=1)
            entry = _entry(sequence, at)
            row = {
                "sequence": sequence,
                "at": at,
                "actor": "ann",
                "action": "listener:update",
                "resource_id": "r",
                "entry": entry,
            }
            previous, before = link(previous, entry), previous
            rows.append({**row, "previous_hash": before, "hash": previous})
            if sequence % HEAD_EACH == 0:
                head = head_signing.signed(private, sequence, previous, at)
                signed.append(vars(head))
        with store.write() as transaction:
            transaction.connection.execute(insert(tables.audit), rows)
            if signed:
                transaction.connection.execute(insert(tables.audit_heads), signed)
            transaction.connection.execute(update(tables.head).values(audit_sequence=sequence, audit_hash=previous))
    store.close()


def _entry(sequence: int, at: datetime) -> str:
    said: dict[str, Any] = {
        "sequence": sequence,
        "at": at.isoformat(),
        "actor": "ann",
        "role": "operator",
        "source": "192.0.2.7",
        "request_id": f"req-{sequence:032x}",
        "action": "listener:update",
        "kind": "listener",
        "resource_id": "6f8a7f2e-6f0f-4a53-8d0f-2f6f0a9a7f10",
        "revision": sequence,
        "before": {"client_authentication": "OPTIONAL", "connection_limit": sequence},
        "after": {"client_authentication": "MANDATORY", "connection_limit": sequence + 1},
    }
    return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def peak(pid: int) -> int:
    """The most memory a process has had, in KiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


def measured(folder: Path) -> Iterator[tuple[str, float, int]]:
    """What was done, how long it took in seconds, and how much more memory it took than before, in KiB."""
    with Ostiary(folder) as ostiary:
        assert ostiary.process is not None
        pid = ostiary.process.process.pid
        env = {**os.environ, "OSTIARY_URL": f"http://{ostiary.listen}", "OSTIARY_DATA_DIR": str(ostiary.data_dir)}  # noqa: TID251
        before, begun = peak(pid), time.monotonic()
        subprocess.run([OSTIARY, "audit", "verify"], check=True, env=env)
        yield "ostiary audit verify", time.monotonic() - begun, peak(pid) - before
        export = folder / "record.jsonl"
        before, begun = peak(pid), time.monotonic()
        subprocess.run([OSTIARY, "audit", "export", "--out", export], check=True, env=env)
        yield f"ostiary audit export ({export.stat().st_size / 1e6:.0f} MB)", time.monotonic() - begun, peak(pid) - before
    # How much memory it needs besides what its modules take: it is run once on nothing.
    program = [sys.executable, audit_verifier.__file__]
    begun = time.monotonic()
    most = _peak_of([*program, str(export)])
    yield "the verifier alone", time.monotonic() - begun, most - _peak_of([*program, "--help"])


def _peak_of(command: list[str]) -> int:
    wrapped = "import resource,subprocess,sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
    wrapped += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", wrapped, *command], check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    entries = parser.parse_args().entries
    print(f"{'':42} {'entries':>10} {'s':>8} {'entries/s':>10} {'KiB more':>9}")
    for count in (entries // 10, entries):
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            filled(folder / "data", count)
            for what, seconds, more in measured(folder):
                print(f"{what:42} {count:10,} {seconds:8.1f} {count / seconds:10,.0f} {more:9,}", flush=True)


if __name__ == "__main__":
    main()
