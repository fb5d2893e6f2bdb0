"""What we did not write is what its authors published, and comes with its licence."""

import hashlib
import tomllib
from pathlib import Path
from typing import Final

VENDOR: Final = Path(__file__).with_name("vendor")


def test_each_vendored_file_is_declared_and_unchanged() -> None:
    declared = tomllib.loads((VENDOR / "vendor.toml").read_text())
    hashes = {name: digest for one in declared.values() for name, digest in one["sha256"].items()}
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in VENDOR.iterdir() if file.name != "vendor.toml"}
    assert found == hashes
    for one in declared.values():
        assert {"version", "what", "source", "licence"} <= one.keys()
        assert set(one["licence_files"]) <= hashes.keys()
