"""The commands as people and scripts type them, told only what the test tells them."""

import contextlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from typer.testing import CliRunner

from ostiary.cli.main import app
from support.stack import PROGRAM, Ostiary

# They run long, start others or change what protects this process's memory.
OF_THEIR_OWN: Final = ("up", "demo", "down", "kek", "enroll")


@dataclass(frozen=True)
class Done:
    """How a command ended and what it printed."""

    exit_code: int
    out: str
    err: str

    def json(self) -> Any:
        """Standard output, decoded."""
        return json.loads(self.out)


def run(*words: object, folder: Path, env: Mapping[str, str] | None = None) -> Done:
    """One command: the real program, with nothing of ostiary's in its environment but this."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OSTIARY_")}  # noqa: TID251 (to clean it)
    done = subprocess.run(
        [PROGRAM, *map(str, words)],
        cwd=folder,
        env={**clean, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def here(*words: object, folder: Path, env: Mapping[str, str] | None = None) -> Done:
    """The same in this process: a new one takes longer to start than most commands to run. Programs and we agree (test_cli)."""
    clean = {name: None for name in os.environ if name.startswith("OSTIARY_")}  # noqa: TID251 (to clean it)
    with contextlib.chdir(folder):
        done = CliRunner().invoke(
            app, [*map(str, words)], env={**clean, "COLUMNS": "80", **(env or {})}, prog_name="ostiary", catch_exceptions=False
        )
    return Done(done.exit_code, done.stdout, done.stderr)


@dataclass(frozen=True)
class Terminal:
    """A folder to work in, and how commands run there find the ostiary that runs.

    `by_itself`: each command as a process, also where that is not what is tested.
    """

    house: Ostiary
    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    by_itself: bool = False

    @property
    def token(self) -> str:
        return (self.house.data_dir / "admin.token").read_text().strip()

    def __call__(self, *words: object, **env: str) -> Done:
        how = run if self.by_itself or words[0] in OF_THEIR_OWN else here
        done = how(*words, folder=self.folder, env={**self.env, **env})
        assert self.token not in done.out + done.err
        return done

    def does(self, *words: object) -> Done:
        """A command that must succeed."""
        done = self(*words)
        assert (done.exit_code, done.err) == (0, ""), done
        return done

    def is_told(self, *words: object, **env: str) -> str:
        """A command that must be refused: the one line that says why."""
        done = self(*words, **env)
        assert (done.exit_code, done.out) == (1, ""), done
        (line,) = done.err.splitlines()
        assert line.startswith("ostiary: ")
        return line.removeprefix("ostiary: ")
