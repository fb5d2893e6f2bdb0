"""All that is measured, one after the other: what `make bench` does.

    .venv/bin/python benchmarks/run.py                                   # all of it, about an hour
    .venv/bin/python benchmarks/run.py --quick                           # all of it, little of each: does it still work?
    .venv/bin/python benchmarks/run.py data_plane --rounds 9 --seconds 2 # one of them, with its own options
    .venv/bin/python benchmarks/run.py --list

Goes on when one fails, and exits 1 in the end.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
QUICK: Final = HERE.parent / ".venv" / "bench" / "quick"  # what a quick run says replaces nothing that was measured well
sys.path[:0] = [str(HERE.parent)]  # Run as a script, from anywhere.

from benchmarks.lab import FOLDER, RESULTS  # noqa: E402 (after the path is set)


@dataclass(frozen=True)
class Step:
    """A program of this folder, and the options with which it takes little time."""

    name: str
    quick: str = ""

    @property
    def program(self) -> Path:
        return HERE / f"{self.name}.py"

    @property
    def what(self) -> str:
        """What it says of itself, in one line."""
        return self.program.read_text(encoding="utf-8").split('"""')[1].splitlines()[0]

    def run(self, *options: str, results: Path = RESULTS) -> bool:
        """Whether it was all right."""
        print(f"\n=== {self.name}: {self.what}", flush=True)
        told = {**os.environ, FOLDER: str(results)}  # noqa: TID251 (a child inherits the environment)
        return subprocess.run([sys.executable, self.program, *options], env=told, check=False).returncode == 0


STEPS: Final = (
    Step("machine"),
    # Beside the peers.
    Step("same_job"),
    Step("two_generators", "--rounds 1"),
    Step("data_plane", "--rounds 1 --seconds 0.2"),
    Step("latency", "--rounds 1 --seconds 0.3"),
    Step("idle", "--rounds 1 --connections 500"),
    Step("reloads", "--times 4 --revocations 1"),
    Step("starting", "--rounds 1"),
    Step("issuing_peers", "--rounds 1 --certificates 200"),
    # By itself.
    Step("switch", "--times 4"),
    Step("survival", "--rounds 1"),
    Step("streams", "--clients 2 --others 5"),
    Step("access", "--revoked 0 1000 --revocations 5 --handshakes 20 --members 0 100 --requests 200 --rounds 1"),
    Step("request_cost", "--rounds 2 --requests 200 --handshakes 20"),
    Step("growth_data_plane", "--rounds 1"),
    Step("size", "--listeners 10 100 --rounds 2 --calls 20"),
    Step("effect", "--listeners 1 10 --switches 4 --revocations 4"),
    Step("million", "--sizes 1000 --times 5"),
    Step("deny", "--entries 0 1000 --rounds 1 --requests 500 --times 2"),
    Step("issuance", "--seconds 2 --requests 2000"),
    Step("crl", "1000 --rounds 1"),
    Step("ocsp", "--sizes 1000 --seconds 0.3 --rounds 1"),
    Step("lint"),
    Step("console", "--times 2"),
    Step("metrics"),
    Step("record", "--entries 10000"),
)

# From the samples to docs/performance.md and its pictures.
TOLD: Final = (Step("page"), Step("draw"))


def main(words: list[str]) -> int:
    named = {step.name: step for step in (*STEPS, *TOLD)}
    if words == ["--list"]:
        for step in STEPS:
            print(f"{step.name:<20}{step.what}")
        return 0
    if words and words[0] in named:
        return 0 if named[words[0]].run(*words[1:]) else 1
    if words not in ([], ["--quick"]):
        print(f"there is no {words[0]}; there are: {', '.join(named)}; or --quick, --list", file=sys.stderr)
        return 2
    if words:
        failed = [step.name for step in STEPS if not step.run(*step.quick.split(), results=QUICK)]
    else:
        failed = [step.name for step in (*STEPS, *TOLD) if not step.run()]
    if failed:
        print(f"\nthese failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
