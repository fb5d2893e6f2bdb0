"""The fuzz targets, each for some thousand inputs from a fixed seed: they find nothing, and would find what is there."""

import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "fuzz"
TARGETS = {"csr": 3000, "certificates": 6000, "ocsp": 6000}
CRASHED = 77  # libFuzzer's exit code

PLANTED = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import csr
from target import run
sign = csr.issue.issue
def wider(approved, issuer, at):
    certificate = sign(approved, issuer, at)
    csr.refuse_excess(certificate, csr.BUILT_IN["server"], csr.Names())
    return certificate
csr.issue.issue = wider
run(csr.one, csr.seeds())
"""


def fuzz(folder: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """With a fixed seed and its findings in `folder`; a number of inputs, not of seconds, is the limit."""
    argv = [sys.executable, *map(str, command), "-seed=20261123", f"-artifact_prefix={folder}/"]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, errors="replace", check=False)


@pytest.mark.parametrize("target", TARGETS)
def test_a_fuzz_target_finds_nothing(target: str, tmp_path: Path) -> None:
    done = fuzz(tmp_path, FUZZ / f"{target}.py", f"-runs={TARGETS[target]}")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"Done {TARGETS[target]} runs" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_certificate_that_holds_too_much_would_be_found(tmp_path: Path) -> None:
    """The same target, told that only what a nameless server certificate may hold is allowed."""
    done = fuzz(tmp_path, "-c", PLANTED, FUZZ, f"-runs={TARGETS['csr']}")
    assert done.returncode == CRASHED, done.stderr[-3000:]
    assert "AssertionError" in done.stdout + done.stderr
    assert [file.name.partition("-")[0] for file in tmp_path.iterdir()] == ["crash"]
