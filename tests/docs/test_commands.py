"""Every command in the documents exists, and takes the options and arguments it is shown with."""

import re
import shlex
from pathlib import Path
from typing import Any, Final

import click
import pytest
import typer.main

from ostiary.cli.main import app

ROOT: Final = Path(__file__).parents[2]
NAMES: Final = ("certificates", "access", "access-record", "console", "backup", "evidence", "watch", "four-eyes")
DOCUMENTS: Final = (ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in NAMES))


def shown(document: Path) -> list[str]:
    """The `ostiary …` lines in the blocks of a document."""
    blocks = re.findall(r"^```console\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", "").splitlines()
    found = (re.match(r"\$ (?:\.venv/bin/)?(ostiary .*)", line) for line in lines)
    return [match[1] for match in found if match]


COMMANDS: Final = [(document.name, line) for document in DOCUMENTS for line in shown(document)]


@pytest.mark.parametrize(("document", "line"), COMMANDS, ids=[line for _, line in COMMANDS])
def test_a_command_in_a_document_is_one_that_there_is(
    document: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert document
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)[1:]
    for word in words:  # files that the reader has are there
        if re.fullmatch(r"[\w-]+\.(pem|csr|crl|key|backup)", word):
            (tmp_path / word).touch()
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and not words[0].startswith("-"):
        context = click.Context(command)
        name, command, words = command.resolve_command(context, words)
        assert name
    command.make_context(line, list(words))
