"""What the fuzz targets share: atheris is set up, and starts from seeds that are worth changing.

    .venv/bin/python fuzz/csr.py                     until Ctrl-C or a crash
    .venv/bin/python fuzz/csr.py -max_total_time=600 CORPUS    for ten minutes, keeping what was interesting in a folder
    .venv/bin/python fuzz/csr.py crash-…             once more what crashed

A target raises nothing but what it allows; anything else is a crash, and atheris writes the input that led to it.
"""

import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import atheris
from cryptography.hazmat.primitives.asymmetric import ec

AT: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
KEY: Final = ec.derive_private_key(4711, ec.SECP256R1())  # always the same, so that a run can be repeated
OTHER_KEY: Final = ec.derive_private_key(4712, ec.SECP256R1())


def run(one: Callable[[bytes], None], seeds: Iterable[bytes]) -> None:
    """Fuzz `one`, with the command line's options for libFuzzer."""
    # As in production: `cryptography` warns of what it will refuse one day, which is no crash.
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds):
            (Path(folder) / str(number)).write_bytes(seed)
        is_replay = any(Path(argument).is_file() for argument in sys.argv[1:])
        atheris.Setup([*sys.argv, *([] if is_replay else [folder])], one)
        atheris.Fuzz()
