"""`python -m ostiary.cli`."""

from ostiary.cli.main import run

run()
