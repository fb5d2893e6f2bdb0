"""Tables of the results page hold what was measured, and nothing else."""

from pathlib import Path

import pytest
from benchmarks.bounds import Bound

from benchmarks import lab, page


@pytest.fixture
def results(tmp_path: Path) -> Path:
    book = lab.Notebook("plane")
    for round_, (ours, theirs) in enumerate([(60, 100), (90, 100), (80, 100)]):
        book.note("CPU per handshake", "µs", "ostiary", ours, round_=round_)
        book.note("CPU per handshake", "µs", "nginx (wheel)", theirs, round_=round_)
    book.save(tmp_path)
    book = lab.Notebook("size")
    for size in (10, 100, 1_000):
        book.note("a switch", "ms", "ostiary", 20.25, size=size)
        book.note("memory", "MiB", "ostiary", 100 + size, size=size)
    book.save(tmp_path)
    return tmp_path


def test_one_measure_side_by_side(results: Path) -> None:
    assert page.written("a\n<!-- side by side: plane: CPU per handshake -->\nold\n<!-- end -->\nz", results).splitlines() == [
        "a",
        "<!-- side by side: plane: CPU per handshake -->",
        "| CPU per handshake | µs | ostiary beside it |",
        "|---|---:|---:|",
        "| **ostiary** | 80 |  |",
        "| nginx (wheel) | 100 | 0.80 times (0.60-0.90) |",
        "<!-- end -->",
        "z",
    ]


def test_what_grew_over_sizes(results: Path) -> None:
    assert page.written("<!-- over size: size --><!-- end -->".replace("><", ">\n<"), results).splitlines()[1:-1] == [
        "| | | 10 | 100 | 1,000 | grows |",
        "|---|---|---:|---:|---:|---|",
        "| a switch [ms] | ostiary | 20.2 | 20.2 | 20.2 | O(1) |",
        "| memory [MiB] | ostiary | 110 | 200 | 1,100 | O(n) |",
    ]


def test_a_page_that_is_up_to_date_stays_as_it_is(results: Path) -> None:
    once = page.written(
        "<!-- over size: size -->\n<!-- end -->\n<!-- side by side: plane: CPU per handshake -->\n<!-- end -->", results
    )
    assert page.written(once, results) == once


@pytest.mark.parametrize("table", ["side by side: plane: CPU per request", "over size: plane", "side by side: nothing: at all"])
def test_no_table_tells_what_was_not_measured(results: Path, table: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError)):
        page.written(f"<!-- {table} -->\n<!-- end -->", results)


def test_bounds_say_what_was_reached_and_what_was_not(results: Path) -> None:
    wanted = [
        Bound("A handshake beside nginx's", 0.85, "plane", "CPU per handshake", beside="nginx (wheel)"),
        Bound("A switch with 1,000 listeners", 20, "size", "a switch", size=1_000),
        Bound("Memory with 10 listeners", 100, "size", "memory", size=10, sense="at least"),
    ]
    assert page.bounds(wanted, results)[2:] == [
        "| A handshake beside nginx's | at most 0.85 times | 0.80 times (0.60-0.90) | reached |",
        "| A switch with 1,000 listeners | at most 20 | 20.2 ms | **not reached** |",
        "| Memory with 10 listeners | at least 100 | 110 MiB | reached |",
    ]


def test_a_bound_on_what_was_not_measured_is_an_error(results: Path) -> None:
    for bound in (
        Bound("x", 1, "plane", "nothing"),
        Bound("x", 1, "plane", "CPU per handshake", beside="Caddy"),
        Bound("x", 1, "size", "a switch"),  # no size named
    ):
        with pytest.raises(ValueError, match="holds no"):
            bound.measured(results)


def test_what_was_measured_on_is_told(tmp_path: Path) -> None:
    (tmp_path / "machine.csv").write_text('what,value\nCPU,"Some, 2 cores"\n')
    assert "| CPU | Some, 2 cores |" in page.written("<!-- machine -->\n<!-- end -->\n", tmp_path)


def test_a_share_of_rounds_may_have_to_be_so_good(tmp_path: Path) -> None:
    book = lab.Notebook("effect")
    for round_ in range(100):
        book.note("in force", "ms", "ostiary", 10 + round_, round_=round_)
    book.save(tmp_path)
    assert Bound("x", 100, "effect", "in force", share=0.99).measured(tmp_path) == (108, "108 ms (of 100)")
    assert Bound("x", 100, "effect", "in force").measured(tmp_path) == (59.5, "59.5 ms")
