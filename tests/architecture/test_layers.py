"""The layers hold, and import-linter would notice if they did not: each contract is broken here on purpose, in a copy."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = [
    contract["name"] for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]
# The beginning of a contract's name, a file, and what must not be imported there.
BREACHES = [
    ("Layers", "model/planted.py", "ostiary.store.engine"),
    ("Layers", "settings.py", "ostiary.model.fields"),
    ("Layers", "store/planted.py", "ostiary.envoy.resources"),
    ("Layers", "newcomer.py", ""),
    ("Only the store", "envoy/planted.py", "asyncio"),
    ("ops speaks", "ops/planted.py", "sqlalchemy"),
    ("The keeper", "gateway/planted.py", "ostiary.settings as settings, sqlalchemy"),
]


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Check the package that stands in `root`/src against the contracts of this project."""
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}  # noqa: TID251 (a child inherits the environment)
    lint = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([lint, "--no-cache"], cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def a_copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_every_contract_is_kept(a_copy: Path) -> None:
    result = lint_imports(a_copy)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(("contract", "file", "forbidden"), BREACHES)
def test_a_planted_import_breaks_the_contract(a_copy: Path, contract: str, file: str, forbidden: str) -> None:
    with (a_copy / "src/ostiary" / file).open("a") as source:
        source.write(f"\nimport {forbidden}\n" if forbidden else "")
    result = lint_imports(a_copy)
    broken = [line for line in result.stdout.splitlines() if line.endswith("BROKEN")]
    assert result.returncode == 1, result.stdout
    # A module that no layer names is not a broken import but a contract that cannot be checked at all.
    assert [line for line in broken if line.startswith(contract)] or "newcomer" in result.stdout, result.stdout


def test_every_contract_has_a_planted_breach() -> None:
    breached = {contract for contract, _, _ in BREACHES}
    assert [name for name in CONTRACTS if not any(name.startswith(start) for start in breached)] == []
