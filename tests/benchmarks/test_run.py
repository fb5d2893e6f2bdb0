"""What `make bench` runs is there, and is told of."""

from benchmarks.run import HERE, STEPS, main


def test_every_step_is_there_and_says_what_it_is() -> None:
    assert [step.name for step in STEPS if not step.what] == []


def test_every_step_is_in_the_readme() -> None:
    readme = (HERE / "README.md").read_text()
    assert [step.name for step in STEPS if f"`{step.name}.py`" not in readme] == []


def test_a_name_that_is_not_there_is_told_apart_from_a_failure() -> None:
    assert main(["no-such-thing"]) == 2
