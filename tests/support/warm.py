"""Programs that were forked rather than started (`forking`): to whoever has one, it is as `subprocess.Popen`."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_LOOK_SECONDS: Final = 0.02  # it is no child of ours, so that its end wakes nobody here
_LONGEST: Final = 1 << 16


class Forked:
    """A program that was forked. Its end is asked for where it was, for it is no child of ours."""

    def __init__(self, pid: int, words: Sequence[str], forker: "Forker") -> None:
        self.pid = pid
        self.args = list(words)
        self.returncode: int | None = None
        self._forker = forker

    def poll(self) -> int | None:
        """How it ended; None while it lives."""
        if self.returncode is None:
            self.returncode = self._forker.ask({"ended": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises `subprocess.TimeoutExpired`."""
        begun = time.monotonic()
        while (status := self.poll()) is None:
            if timeout is not None and time.monotonic() - begun > timeout:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(_LOOK_SECONDS)
        return status

    def send_signal(self, number: int) -> None:
        """As to a child: one that has ended gets none, whoever has its number by then."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Forker:
    """The process that forks, of this test process: started when it is needed first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-P", str(Path(__file__).with_name("forking.py")), str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self._asking = ours
        atexit.register(self.close)

    def ask(self, asked: Mapping[str, Any]) -> Any:
        """One question, and its answer."""
        with self._lock:
            self._asking.send(json.dumps(asked).encode())
            answer = self._asking.recv(_LONGEST)
        if not answer:
            raise RuntimeError(f"the process that forks ended with {self._process.wait()}")
        return json.loads(answer)

    def close(self) -> None:
        """Let it end."""
        self._asking.close()
        self._process.wait()


_forkers: list[Forker] = []


def fork(words: Sequence[str], folder: Path, log: Path, env: Mapping[str, str]) -> Forked:
    """Run `ostiary` with these words, as if it had been started."""
    if not _forkers:
        _forkers.append(Forker())
    asked = {"argv": list(words), "folder": str(folder.resolve()), "log": str(log.resolve()), "env": dict(env)}
    return Forked(_forkers[0].ask(asked), words, _forkers[0])
