"""The commands as people and scripts type them: the real program, told only what the test tells it."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.stack import PROGRAM, Ostiary


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
    """One command, with nothing of ostiary's in its environment but this."""
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


@dataclass(frozen=True)
class Terminal:
    """A folder to work in, and how commands run there find the ostiary that runs."""

    house: Ostiary
    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def token(self) -> str:
        return (self.house.data_dir / "admin.token").read_text().strip()

    def __call__(self, *words: object, **env: str) -> Done:
        done = run(*words, folder=self.folder, env={**self.env, **env})
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
