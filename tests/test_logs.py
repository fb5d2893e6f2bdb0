"""What is written while we run: one line each, and nothing secret, whatever goes wrong."""

import json
import subprocess
import sys
from typing import Any

import pytest

FAILING = """
import structlog, logging, sys
from ostiary import logs
sys.stderr.isatty = lambda: {terminal}
logs.configure()
def sign(key):
    raise RuntimeError("broken")
try:
    sign("MARKER-private-key")
except RuntimeError:
    structlog.get_logger(source="test").exception("it went wrong")
    logging.getLogger("library").exception("so it did there")
"""


def failing(*, terminal: bool) -> str:
    script = FAILING.format(terminal=terminal)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr


@pytest.mark.parametrize("terminal", [True, False])
def test_a_traceback_never_shows_what_variables_held(*, terminal: bool) -> None:
    written = failing(terminal=terminal)
    assert "it went wrong" in written
    assert "so it did there" in written
    assert "broken" in written
    assert "MARKER" not in written.replace('sign("MARKER-private-key")', "")


def test_machines_get_one_json_object_a_line() -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in failing(terminal=False).splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("it went wrong", "error"), ("so it did there", "error")]
    assert lines[0]["source"] == "test"
    assert all(line["time"].endswith("Z") for line in lines)
