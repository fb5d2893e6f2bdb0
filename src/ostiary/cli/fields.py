"""Fields of a thing as options say them: `--set FIELD=VALUE`."""

import json
from typing import Annotated, Any

import typer

from ostiary.cli.client import Failed

Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="FIELD=VALUE, VALUE as JSON or plain text, such as max_lifetime=P30D; may be given again."),
]


def fields_of(given: list[str] | None) -> dict[str, Any]:
    """What the options say. Raises `Failed` for one that says nothing."""
    fields = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise Failed(f"--set {text}: write FIELD=VALUE")
        fields[name.strip().replace("-", "_")] = _value(value)
    return fields


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
