"""Write down what was measured on, and which versions of all peers: results/machine.csv.

.venv/bin/python benchmarks/machine.py
"""

import csv
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # Run as a script, from anywhere.

from benchmarks import lab, peers  # noqa: E402 (after the path is set)


def main() -> None:
    """Look, and write."""
    found = lab.machine() | {name: peer.version() for name, peer in peers.ALL.items() if name != "ostiary"}
    found |= {name: version(name) for name in ("grpcio", "sqlalchemy", "fastapi", "pydantic", "uvicorn")}
    lab.RESULTS.mkdir(parents=True, exist_ok=True)
    with (lab.RESULTS / "machine.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("what", "value"), *found.items()])
    for name, value in found.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
