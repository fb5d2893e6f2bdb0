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


TELLING = """
import asyncio, structlog, logging, threading
from ostiary import logs
logs.configure("{level}", "{form}")
logs.always(gateway="g1")
log = structlog.get_logger(source="test")

def deeper():
    logs.also(revision=7)
    log.info("in a thread")

async def main():
    log.info("outside")
    with logs.about(request_id="r1", actor="a"):
        with logs.about(chore="c"):
            await asyncio.to_thread(deeper)
        log.info("within", actor="said here")
        logging.getLogger("library").warning("theirs")
    logs.also(actor="nobody")
    log.info("after")
    log.debug("details")

asyncio.run(main())
"""


def telling(level: str = "info", form: str = "json") -> str:
    script = TELLING.format(level=level, form=form)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr


def test_what_a_line_is_about_is_said_with_it_in_threads_and_by_libraries_too() -> None:
    lines = {line["event"]: line for line in map(json.loads, telling().splitlines())}
    beside = {
        event: {name: line[name] for name in ("gateway", "request_id", "actor", "chore", "revision") if name in line}
        for event, line in lines.items()
    }
    assert beside == {
        "outside": {"gateway": "g1"},
        "in a thread": {"gateway": "g1", "request_id": "r1", "actor": "a", "chore": "c", "revision": 7},
        "within": {"gateway": "g1", "request_id": "r1", "actor": "said here"},
        "theirs": {"gateway": "g1", "request_id": "r1", "actor": "a"},
        "after": {"gateway": "g1"},
    }


def test_level_and_form_are_as_asked_for() -> None:
    assert "details" in telling("debug")
    assert telling("error") == ""
    written = telling(form="console")
    assert "in a thread" in written
    assert not written.startswith("{")
    assert "\x1b" not in written  # nobody watches a terminal
