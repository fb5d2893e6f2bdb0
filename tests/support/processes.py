"""Programs that a test starts: their output goes to a file, and they are stopped by their own handle."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.wait import PATIENCE, eventually
from support.warm import Forked, fork

OSTIARY: Final = Path(sys.executable).with_name("ostiary")


@dataclass(frozen=True)
class Running:
    """A program that was started; `log` is what it printed, both streams."""

    name: str
    log: Path
    process: subprocess.Popen[bytes] | Forked

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="replace")

    def says(self, text: str, within: float = PATIENCE) -> str:
        """Wait until it has printed `text`, and return all output; fail at once if it ends without."""

        def heard() -> bool:
            ended = not self.is_alive  # Asked before reading, so that its last words count.
            if text in self.output():
                return True
            if ended:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode} and never said {text!r}:\n{self.output()}")
            return False

        eventually(heard, within)
        return self.output()

    def interrupt(self) -> None:
        """What Ctrl-C sends."""
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait(PATIENCE)

    def wait(self, within: float = PATIENCE) -> int:
        """Wait for its end; the exit status, negative for a signal."""
        return self.process.wait(within)

    def stop(self) -> int:
        """SIGTERM, and SIGKILL only if it does not listen; the exit status."""
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def start(*argv: object, folder: Path, name: str = "", env: Mapping[str, str] | None = None, by_itself: bool = False) -> Running:
    """Run a program in `folder`; `env` is added to this process's environment.

    `ostiary up` is forked from a process that has loaded it already, unless it has an environment of its own, or is to be started
    `by_itself`: then its arguments and environment can be looked at as others on the machine can.
    """
    words = [str(word) for word in argv]
    name = name or Path(words[0]).name
    folder.mkdir(parents=True, exist_ok=True)
    log = _unused(folder, name)
    given = {**os.environ, **(env or {})}  # noqa: TID251 (a child inherits the environment; nothing is read from it)
    if words[:2] == [str(OSTIARY), "up"] and env is None and not by_itself:
        log.touch()
        return Running(name, log, fork(words, folder, log, given))
    with log.open("wb") as output:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=given,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Running(name, log, process)


def _unused(folder: Path, name: str) -> Path:
    taken = len(list(folder.glob(f"{name}*.log")))
    return folder / (f"{name}-{taken + 1}.log" if taken else f"{name}.log")
