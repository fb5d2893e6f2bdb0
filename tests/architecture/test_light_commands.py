"""Commands that ask the API load what asking takes, and nothing that serves, stores, signs or speaks to gateways."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

SERVING: Final = {
    "fastapi",
    "starlette",
    "uvicorn",
    "grpc",
    "envoy",
    "google.protobuf",
    "structlog",
    "prometheus_client",
    "asyncio",
}
STORING: Final = {"sqlalchemy", "alembic", "psycopg"}
SIGNING: Final = {"cryptography", "pkilint", "pkcs11", "badkeys"}
OTHERWISE_SLOW: Final = {"httpx", "jinja2", "babel", "segno"}  # Not pydantic: Typer reads options with it.
HEAVY: Final = SERVING | STORING | SIGNING | OTHERWISE_SLOW
HEAVY_PARTS: Final = {
    f"ostiary.{part}" for part in ("api", "console", "gateway", "model", "ops", "serve", "store", "up", "web", "xds")
}

PROGRAM: Final = """
import json, sys
from ostiary.cli.main import app
try:
    app(sys.argv[1:])
finally:
    print(json.dumps(sorted(sys.modules)))
"""


def modules_of(*words: str) -> set[str]:
    """What is loaded once a command has run, whether or not an ostiary answered it."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("OSTIARY_")}  # noqa: TID251 (to clean it)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env={**env, "OSTIARY_URL": "http://127.0.0.1:1", "OSTIARY_TOKEN": "none"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def loaded_with(module: str) -> set[str]:
    """What is loaded once this module is, as programs that serve load theirs."""
    program = f"import sys\nfrom ostiary.loading import many_modules\nwith many_modules(): import {module}\nprint(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("status",),
        ("up", "--help"),
        ("cert", "list"),
        ("ca", "list"),
        ("listener", "list"),
        ("access", "list", "door"),
    ],
    ids=" ".join,
)
def test_what_takes_long_to_load_is_not_loaded_to_ask(words: tuple[str, ...]) -> None:
    found = modules_of(*words)
    assert found & HEAVY == set()
    assert found & HEAVY_PARTS == set()


def test_what_stops_an_ostiary_loads_nothing_of_what_it_stored() -> None:
    found = modules_of("down", "--data-dir", "/nowhere/ostiary")
    assert found & (HEAVY - {"asyncio"}) == set()
    assert found & HEAVY_PARTS == {"ostiary.gateway"}


def test_tables_are_drawn_only_where_there_is_one() -> None:
    assert "rich" not in modules_of("status")  # Nobody answered.
    assert "rich" in modules_of("--help")


def test_a_keeper_is_soon_there_because_it_loads_neither_the_model_nor_what_translates_it() -> None:
    """What it takes from the model is the little that `model.told` and `model.numbers` say."""
    found = loaded_with("ostiary.gateway.keeper")
    assert found & (HEAVY - {"grpc", "envoy", "google.protobuf", "structlog", "asyncio", "cryptography"}) == set()
    assert "pydantic" not in found
    assert {name for name in found if name.startswith("ostiary.model.")} == {"ostiary.model.told", "ostiary.model.numbers"}
    assert "cryptography.x509" not in found


@pytest.mark.parametrize("module", ["ostiary.gateway.keeper", "ostiary.up", "ostiary.serve"])
def test_no_server_draws_tracebacks_and_so_none_loads_what_could(module: str) -> None:
    assert loaded_with(module) & {"rich", "pygments", "attr"} == set()


def test_what_migrates_draws_nothing_either(tmp_path: Path) -> None:
    migrating = f"""
import sys
from ostiary.store.engine import migrate, open_engine
migrate(open_engine("sqlite:///{tmp_path}/ostiary.db"))
print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", migrating], capture_output=True, text=True, check=True)
    assert {"alembic", "mako", "pygments"} & set(done.stdout.split()) == {"alembic", "mako"}


def test_the_keeper_is_started_before_what_serves_is_loaded() -> None:
    """Both take as long, and there are two processors."""
    found = loaded_with("ostiary.up")
    assert found & {"fastapi", "starlette", "uvicorn", "grpc", "jinja2", "babel", "prometheus_client", "alembic"} == set()
    assert found & {"ostiary.serve", "ostiary.api", "ostiary.console", "ostiary.xds.server", "ostiary.envoy.snapshot"} == set()


def test_servers_load_neither_what_lints_nor_what_migrates_nor_another_database() -> None:
    seldom_needed = {"pkilint", "badkeys", "pkcs11", "alembic", "psycopg", "httpx", "segno", "typer"}
    assert loaded_with("ostiary.serve") & seldom_needed == set()


def test_every_name_here_is_of_something_that_would_be_noticed() -> None:
    assert (SERVING | {"sqlalchemy", "cryptography", "jinja2"} | HEAVY_PARTS) - loaded_with("ostiary.up, ostiary.serve") == set()


def test_a_group_is_loaded_only_when_one_of_its_commands_is_called() -> None:
    assert {"ostiary.cli.enroll", "ostiary.cli.certificates"} & modules_of("status") == set()
    assert "ostiary.cli.certificates" in modules_of("cert", "list")
