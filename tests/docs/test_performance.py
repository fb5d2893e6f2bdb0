"""The results page tells what was measured: its tables are made from the raw samples, and nothing in them is typed by hand."""

import re
from pathlib import Path

from benchmarks.bounds import BOUNDS

from benchmarks import lab, page

ROOT = Path(__file__).parents[2]
TEXT = page.PAGE.read_text(encoding="utf-8")


def test_the_tables_are_what_was_measured() -> None:
    """`.venv/bin/python benchmarks/page.py` makes them anew."""
    assert page.written(TEXT) == TEXT


def test_every_bound_is_told_of() -> None:
    assert all(f"| {bound.what} | {bound.words} |" in TEXT for bound in BOUNDS)


def test_what_grew_is_drawn_and_shown() -> None:
    pictures = set(re.findall(r"\]\(images/(growth-[\w-]+\.svg)\)", TEXT))
    tables = set(re.findall(r"<!-- over size: (\w+)", TEXT))
    assert pictures == {f"growth-{name}.svg" for name in tables}
    assert all((ROOT / "docs/images" / name).is_file() for name in pictures)


def test_raw_samples_are_complete() -> None:
    """Whoever compares has to have had their turn as often as everybody else."""
    for name in ("data_plane", "latency"):
        samples = lab.read(lab.RESULTS / f"{name}.csv")
        for measure in {one.measure for one in samples if one.measure.startswith(("CPU per", "latency"))}:
            rounds: dict[str, set[int]] = {}
            for one in samples:
                if one.measure == measure:
                    rounds.setdefault(one.subject, set()).add(one.round)
            assert len(set(map(frozenset, rounds.values()))) == 1, measure
            assert len(next(iter(rounds.values()))) >= lab.ROUNDS, measure
