"""Write the tables of docs/performance.md anew from the raw samples.

    .venv/bin/python benchmarks/page.py

The prose is written by hand; a table stands between `<!-- … -->` and `<!-- end -->`, and the first of these says what it shows:

    <!-- side by side: data_plane: CPU per full handshake -->   one measure, each contender beside ours
    <!-- over size: million: p99 -->                            what grew in one file, of which the name holds this (or all)
    <!-- bounds -->                                             what we set out to reach, and whether we did
    <!-- machine -->                                            what was measured on

A test holds that the page is what this makes of it, so no figure in a table is anything but what was measured.
"""

import csv
import re
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]  # Run as a script, from anywhere.

from benchmarks.bounds import BOUNDS, Bound  # noqa: E402 (after the path is set)
from benchmarks.growth import curves, fitted  # noqa: E402 (after the path is set)

from benchmarks import lab  # noqa: E402 (after the path is set)

PAGE: Final = ROOT / "docs/performance.md"
OURS: Final = "ostiary"
_BLOCK: Final = re.compile(
    r"(<!-- (side by side|over size|bounds|machine)(?:: ([\w-]+))?(?:: (.+?))? -->\n).*?(<!-- end -->)", re.DOTALL
)


def written(page: str, folder: Path = lab.RESULTS) -> str:
    """The page with its tables made anew. Raises `FileNotFoundError` or `ValueError` for a table of what was not measured."""

    def table(found: re.Match[str]) -> str:
        opening, kind, name, measure, closing = found.groups()
        match kind:
            case "side by side":
                rows = side_by_side([one for one in lab.read(folder / f"{name}.csv") if one.measure == measure])
            case "over size":
                rows = over_size([one for one in lab.read(folder / f"{name}.csv") if (measure or "") in one.measure])
            case "bounds":
                rows = bounds(BOUNDS, folder)
            case _:
                rows = machine(folder)
        if len(rows) < 3:
            raise ValueError(f"nothing was measured for the table '{opening.strip()}'")
        return f"{opening}{chr(10).join(rows)}\n{closing}"

    return _BLOCK.sub(table, page)


def side_by_side(samples: Sequence[lab.Sample]) -> list[str]:
    """Each contender's median, and ours beside it."""
    if not samples:
        return []
    rows = [f"| {samples[0].measure} | {samples[0].unit} | ostiary beside it |", "|---|---:|---:|"]
    subjects = dict.fromkeys(one.subject for one in samples)
    for subject in sorted(subjects, key=lambda each: lab.median(samples, each)):
        beside = "" if subject == OURS else lab.ratio(samples, OURS, subject) or ""
        name = f"**{subject}**" if subject == OURS else subject
        rows.append(f"| {name} | {number(lab.median(samples, subject))} | {beside} |")
    return rows


def over_size(samples: Sequence[lab.Sample]) -> list[str]:
    """What was measured at three sizes or more: medians at each, and the growth."""
    found = curves(samples)
    sizes = sorted({size for points in found.values() for size, _ in points})
    rows = [f"| | | {' | '.join(f'{size:,.0f}' for size in sizes)} | grows |", f"|---|---|{'---:|' * len(sizes)}---|"]
    for (measure, unit, subject), points in found.items():
        cells = [[cost for at, cost in points if at == size] for size in sizes]
        medians = [number(statistics.median(costs)) if costs else "" for costs in cells]
        rows.append(f"| {measure} [{unit}] | {subject} | {' | '.join(medians)} | {fitted(points).name} |")
    return rows


def bounds(wanted: Sequence[Bound], folder: Path) -> list[str]:
    """What we set out to reach, what was measured, and whether that is enough."""
    rows = ["| what | bound | measured | |", "|---|---:|---:|---|"]
    for bound in wanted:
        value, words = bound.measured(folder)
        rows.append(f"| {bound.what} | {bound.words} | {words} | {'reached' if bound.holds(value) else '**not reached**'} |")
    return rows


def grown(page: str) -> list[tuple[str, str]]:
    """What the page tells the growth of: files of results, and what the names of their measures hold."""
    return [(name, of or "") for _, kind, name, of, _ in _BLOCK.findall(page) if kind == "over size"]


def machine(folder: Path) -> list[str]:
    """What was measured on, and which versions."""
    with (folder / "machine.csv").open(newline="", encoding="utf-8") as file:
        return ["| | |", "|---|---|", *(f"| {row['what']} | {row['value']} |" for row in csv.DictReader(file))]


def number(value: float) -> str:
    """Three digits that mean something, and no more."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
