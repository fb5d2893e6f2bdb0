"""A person at a terminal: type a command, answer what it asks. Programs that ask for a passphrase insist on a terminal."""

import os
import pty
import re
import select
import subprocess
import termios
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from support.wait import eventually

_READ: Final = 4096
_PATIENCE: Final = 60.0  # seconds without a word; not a measure of speed
_SECRET: Final = re.compile(r"(?i)(?:pass ?phrase|password).*:\s*$")
_SURE: Final = re.compile(r"\[(?:no|y/N)\]:\s*$")


def typed(command: str, folder: Path, passphrase: str, env: Mapping[str, str] | None = None) -> str:
    """Run a shell command in `folder` at a terminal of its own; what it said. It must end well.

    Whoever asks for a passphrase is told this one, and whoever asks whether we are sure is told so.
    """
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["setsid", "--ctty", "--wait", "bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},  # noqa: TID251 (a child inherits the environment)
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as running:
        os.close(theirs)
        try:
            said = _conversation(ours, passphrase)
            assert running.wait(_PATIENCE) == 0, f"{command}\n{said}"
        finally:
            os.close(ours)  # Whoever still waits for an answer gets the hang-up signal.
    return said.replace("\r\n", "\n")


def _conversation(terminal: int, passphrase: str) -> str:
    said = unanswered = ""
    while chunk := _next(terminal, said):
        said, unanswered = said + chunk, unanswered + chunk
        question = unanswered.splitlines()[-1]
        if _SECRET.search(question):
            # What is typed before the echo is turned off is thrown away with it.
            eventually(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO)
            answer = passphrase
        elif _SURE.search(question):
            answer = "yes"
        else:
            continue
        os.write(terminal, f"{answer}\n".encode())
        unanswered = ""
    return said


def _next(terminal: int, said: str) -> str:
    """What is written next; empty once nobody has the other end open."""
    ready, _, _ = select.select([terminal], [], [], _PATIENCE)
    assert ready, f"nothing more was said for too long: perhaps it waits for an answer\n{said}"
    try:
        return os.read(terminal, _READ).decode(errors="replace")
    except OSError:  # Linux says so when the last process has closed its end.
        return ""
