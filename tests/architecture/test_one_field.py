"""The one-field test (CONTRIBUTING.md): a listener setting lives in the model and in the translator, and nowhere else."""

import re
from pathlib import Path

import pytest

from ostiary.model.fields import traits
from ostiary.model.listener import Listener
from ostiary.model.pool import Pool
from ostiary.model.status_check import StatusCheck

SOURCE = Path(__file__).parents[2] / "src/ostiary"
# Settings that are a value, not a reference: nothing has to be looked up before they are translated.
PLAIN = sorted(
    name
    for name, field in Listener.model_fields.items()
    if traits(field).get("advanced")
    and not name.endswith(("_ref", "_refs"))
    and name != "client_authentication"
    and name not in StatusCheck.model_fields  # An imported authority has one of that name too, which others have to know.
    and name not in Pool.model_fields  # Nor may those be looked for that a pool has too.
    and name != "insert_headers"  # The console begins a new listener with some of them ticked, as vLB does.
)


def files_that_name(setting: str) -> set[str]:
    """The source files in whose code the setting's name stands."""
    word = re.compile(rf"\b{setting}\b")
    return {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if word.search(code(path))}


def code(path: Path) -> str:
    """A file without its docstrings and comments."""
    return re.sub(r'"""(?s:.*?)"""|#[^\n]*', "", path.read_text())


@pytest.mark.parametrize("setting", ["allowed_cidrs", "connection_limit", "timeout_member_connect", "timeout_tcp_inspect"])
def test_a_setting_touches_two_files(setting: str) -> None:
    translators = files_that_name(setting) - {"model/listener.py"}
    assert len(translators) == 1, translators


@pytest.mark.parametrize("setting", PLAIN)
def test_a_setting_is_known_to_the_model_and_the_translator_only(setting: str) -> None:
    folders = {name.split("/")[0] for name in files_that_name(setting)}
    assert folders == {"model", "envoy"}
