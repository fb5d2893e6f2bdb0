"""The layers hold, and import-linter would notice if they did not: each contract is broken here on purpose, in a copy."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS: list[str] = [
    contract["name"] for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]
# The beginning of a contract's name, a module, what must not be imported there, and the words that say so.
BREACHES = [
    ("Layers", "model.planted", "ostiary.store.engine", "ostiary.model.planted -> ostiary.store.engine"),
    ("Layers", "clock", "ostiary.model.fields", "ostiary.clock -> ostiary.model.fields"),
    ("Layers", "store.planted", "ostiary.envoy.resources", "ostiary.store.planted -> ostiary.envoy.resources"),
    ("Layers", "newcomer", "json", "- ostiary.newcomer"),
    ("Only the store", "envoy.planted", "asyncio", "ostiary.envoy.planted -> asyncio"),
    ("ops speaks", "ops.planted", "sqlalchemy", "ostiary.ops.planted -> sqlalchemy"),
    ("The keeper", "gateway.planted", "sqlalchemy", "ostiary.gateway.planted -> sqlalchemy"),
]


def contract_named(beginning: str) -> str:
    """The whole name of the one contract that begins so."""
    (name,) = [name for name in CONTRACTS if name.startswith(beginning)]
    return name


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


@pytest.mark.parametrize(("contract", "module", "forbidden", "words"), BREACHES)
def test_a_planted_import_breaks_the_contract(a_copy: Path, contract: str, module: str, forbidden: str, words: str) -> None:
    file = a_copy / "src/ostiary" / f"{module.replace('.', '/')}.py"
    with file.open("a") as source:
        source.write(f"\nimport {forbidden}\n")
    result = lint_imports(a_copy)
    said = " ".join(result.stdout.split())  # It is folded to the width of a terminal.
    assert result.returncode == 1, result.stdout
    assert f"{contract_named(contract)} BROKEN" in said, result.stdout
    assert words in said, result.stdout


def test_every_contract_has_a_planted_breach() -> None:
    assert {contract_named(contract) for contract, *_ in BREACHES} == set(CONTRACTS)
