"""The notebook that measurements share."""

from pathlib import Path

import pytest

from benchmarks import lab


def test_each_has_its_turn_in_each_round_and_no_one_is_always_first(capsys: pytest.CaptureFixture[str]) -> None:
    book, turns = lab.Notebook("x"), list[tuple[str, int]]()
    book.interleaved({name: lambda round_, name=name: turns.append((name, round_)) for name in "abc"}, rounds=3)  # type: ignore[misc]
    assert turns == [("a", 0), ("b", 0), ("c", 0), ("b", 1), ("c", 1), ("a", 1), ("c", 2), ("a", 2), ("b", 2)]
    assert not capsys.readouterr().out


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    book = lab.Notebook("some")
    book.note("cpu", "µs", "ostiary", 12.5, round_=0)
    book.note("cpu", "µs", "nginx (wheel), plain", 1e-7, size=10_000, round_=1)
    assert lab.read(book.save(tmp_path)) == book.samples


def test_a_ratio_compares_within_a_round() -> None:
    book = lab.Notebook("some")
    for round_, (ours, theirs) in enumerate([(10, 20), (100, 200), (3, 2)]):  # The second round was on a busy machine.
        book.note("cpu", "µs", "ostiary", ours, round_=round_)
        book.note("cpu", "µs", "nginx", theirs, round_=round_)
    assert lab.ratio(book.samples, "ostiary", "nginx") == lab.Ratio(0.5, 0.5, 1.5)
    assert str(lab.ratio(book.samples, "ostiary", "nginx")) == "0.50 times (0.50-1.50)"
    assert lab.ratio(book.samples, "ostiary", "nobody") is None


def test_the_percentile_is_one_of_the_values() -> None:
    values = [float(each) for each in range(1, 101)]
    assert (lab.percentile(values, 0.5), lab.percentile(values, 0.99), lab.percentile(values, 1)) == (50, 99, 100)
    assert lab.percentile([7.0], 0.99) == 7
