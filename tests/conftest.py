"""What every test may ask for: a PostgreSQL database, a backend, a process that is stopped afterwards."""

import gc
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from playwright.sync_api import Playwright, sync_playwright
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from support import postgres as throwaway
from support.backend import Backend, TCPEcho
from support.postgres import Postgres
from support.processes import Running, start

_CI = os.getenv("CI", "").lower() in {"1", "true", "yes"}

# No deadline and no example database: what a test says must not depend on the machine's speed or on the run before.
settings.register_profile("here", deadline=None, database=None)
settings.register_profile("ci", deadline=None, database=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if _CI else "here")

# Whole ostiaries, browsers, keys made by others: what a module has there, it has for all its tests.
_STARTED_ONCE = ("tests/live/", "tests/cli/", "tests/browser/", "tests/conformance/", "tests/custody/")
_PROCESSES = pytest.StashKey[list[Running]]()


class FilesThenTests(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Files whose tests share what takes long to start go to one process each, the largest first; then come all other tests."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.partition("::")[0] if nodeid.startswith(_STARTED_ONCE) else nodeid


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="Rewrite the golden files instead of comparing with them.")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return FilesThenTests(config, log)


def pytest_collection_finish() -> None:
    # What is loaded by now stays: looking through all of it for garbage, again and again, is a good part of many a test.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def update_golden(pytestconfig: pytest.Config) -> bool:
    """Whether to rewrite expectations."""
    return bool(pytestconfig.getoption("--update-golden"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A throw-away PostgreSQL server; one for each worker."""
    programs = throwaway.binaries()
    if programs is None:
        reason = "no PostgreSQL server in /usr/lib/postgresql; `make test` installs it (Debian package postgresql)"
        (pytest.fail if _CI else pytest.skip)(reason)
    with throwaway.server(programs) as running:
        yield running


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """An empty PostgreSQL database of this test's own."""
    return postgres.fresh_database()


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """What drives browsers. No longer than that: while it is there, nothing else in this process can run an event loop."""
    with sync_playwright() as running:
        yield running


@pytest.fixture
def backend() -> Iterator[Backend]:
    """A real HTTP server that tells what it was asked."""
    with Backend() as running:
        yield running


@pytest.fixture
def tcp_echo() -> Iterator[TCPEcho]:
    """A TCP server that sends back what it gets."""
    with TCPEcho() as running:
        yield running


StartProcess = Callable[..., Running]


@pytest.fixture
def start_process(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartProcess]:
    """Start programs (see `support.processes.start`); they are stopped after the test and their output is shown if it failed."""
    running = request.node.stash.setdefault(_PROCESSES, [])

    with ExitStack() as afterwards:

        def launch(*argv: object, **options: Any) -> Running:
            process = start(*argv, **{"folder": tmp_path, **options})
            running.append(process)
            afterwards.callback(process.stop)
            return process

        yield launch


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for process in item.stash.get(_PROCESSES, []):
            report.sections.append((f"output of {process.name}", process.output()[-20_000:]))
    return report
