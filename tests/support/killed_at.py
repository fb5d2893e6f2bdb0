"""A program for tests: `ostiary ARGUMENTS` again and again, killed one step later each time, until one run gets through.

    python -m support.killed_at FILE ARGUMENTS

A step is whatever makes something last: a sync, rename, link or removal of a file, a commit; each counts before and after it is
done. After each run a line of JSON says how it ended and how FILE was left; then it waits for a line, so that whoever reads
can look for themselves. It forks, so that the program is loaded once and not for each step.
"""

import contextlib
import itertools
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

from ostiary import home
from ostiary.cli.main import app
from ostiary.pki import kek

_LOADED_ONCE = home


def _count_steps(left: int) -> None:
    """Have this process kill itself at the step of this number."""

    def step() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            step()
            done = real(*args, **kwargs)
            step()
            return done

        return call

    for name in ("fsync", "replace", "rename", "link", "unlink"):
        setattr(os, name, counted(getattr(os, name)))
    DefaultDialect.do_commit = counted(DefaultDialect.do_commit)  # type: ignore[method-assign]


def _run(arguments: list[str], step: int) -> int:
    """The exit status of a run that is killed at this step; negative for a signal."""
    child = os.fork()
    if child == 0:
        _count_steps(step)
        with contextlib.suppress(BaseException):  # a child must not run on as its parent
            os._exit(app(arguments, standalone_mode=False) or 0)
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(file: Path, arguments: list[str]) -> None:
    real = kek.Cost
    kek.Cost = lambda *given: real(*(given or (1, 1, 64)))  # type: ignore[assignment,misc]  # a passphrase's price is not asked
    for step in itertools.count(1):
        status = _run(arguments, step)
        content = file.read_bytes() if file.exists() else b""
        sys.stdout.write(json.dumps({"status": status, "file": content.decode()}) + "\n")
        sys.stdout.flush()
        if not sys.stdin.readline() or status != -signal.SIGKILL:
            return


main(Path(sys.argv[1]), sys.argv[2:])
