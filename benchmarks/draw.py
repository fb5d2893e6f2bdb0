"""Draw what docs/performance.md tells of how costs grow, a picture for each file of results, into docs/images/growth-*.svg.

    .venv/bin/python benchmarks/draw.py

Both axes go by decades. A dot is the median over rounds, a bar from the least to the most of them, a line what fits.
"""

import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib import pyplot as plt
from matplotlib import rcParams

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]  # Run as a script, from anywhere.

from benchmarks.growth import curves, fitted  # noqa: E402 (after the path is set)
from benchmarks.lab import RESULTS, Sample, read  # noqa: E402 (after the path is set)
from benchmarks.page import PAGE, grown  # noqa: E402 (after the path is set)


def draw(samples: Iterable[Sample], path: Path) -> bool:
    """Draw a field for each measure, with its subjects and their fits; False when nothing has sizes."""
    found = curves(samples)
    measures = list(dict.fromkeys((measure, unit) for measure, unit, _ in found))
    if not measures:
        return False
    rcParams["svg.hashsalt"] = path.stem  # equal numbers, equal bytes
    rcParams["svg.fonttype"] = "none"  # letters stay letters: a third of the size, and found by who searches
    rcParams["font.size"] = 8
    across = min(2, len(measures))
    down = -(-len(measures) // across)
    figure, grid = plt.subplots(down, across, figsize=(5 * across, 3.2 * down), squeeze=False, layout="constrained")
    for place, axes in enumerate(grid.flat):
        if place >= len(measures):
            axes.set_axis_off()
            continue
        measure, unit = measures[place]
        axes.set_title(measure)
        axes.set_ylabel(unit)
        axes.set_xscale("symlog", linthresh=1)
        axes.set_yscale("log")
        axes.grid(visible=True, which="major", linewidth=0.3)
        for (of, _, subject), points in found.items():
            if of == measure:
                _curve(axes, subject, points)
        axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return True


def _curve(axes: Any, subject: str, points: Sequence[tuple[float, float]]) -> None:
    sizes = sorted({size for size, _ in points})
    costs = [[cost for at, cost in points if at == size] for size in sizes]
    middles = [statistics.median(each) for each in costs]
    spread = [
        [m - min(c) for m, c in zip(middles, costs, strict=True)],
        [max(c) - m for m, c in zip(middles, costs, strict=True)],
    ]
    fit = fitted(points)
    (drawn,) = axes.plot(sizes, [fit.at(size) for size in sizes], linewidth=0.8)
    axes.errorbar(
        sizes, middles, spread, fmt="o", markersize=3, capsize=2, color=drawn.get_color(), label=f"{subject}: {fit.name}"
    )


def main() -> None:
    """Draw what the page has tables of."""
    shown: dict[str, list[str]] = {}
    for name, of in grown(PAGE.read_text(encoding="utf-8")):
        shown.setdefault(name, []).append(of)
    for name, parts in shown.items():
        path = ROOT / "docs/images" / f"growth-{name}.svg"
        if draw((one for one in read(RESULTS / f"{name}.csv") if any(of in one.measure for of in parts)), path):
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
