"""How commands answer: a table for people, JSON for programs, one clear line for what went wrong."""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

import typer

from ostiary.cli.client import Waits
from ostiary.errors import Refusal

WIDE: Final = 400
WAITS: Final = 3  # not 0, for it is not done; not 1, for nothing went wrong

P = ParamSpec("P")
T = TypeVar("T")


def refusals_in_one_line(command: Callable[P, T]) -> Callable[P, T]:
    """Exit 1 with one line on stderr when the core or the API refuses, 3 when another person has to agree first."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except Waits as waits:
            print(f"ostiary: {waits}", file=sys.stderr)
            raise typer.Exit(WAITS) from None
        except Refusal as refusal:
            print(f"ostiary: {refusal}", file=sys.stderr)
            raise typer.Exit(1) from None

    return wrapped


def as_json(value: Any) -> None:
    """Print for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def as_table(rows: Iterable[dict[str, Any]], columns: Sequence[str], empty: str) -> None:
    """Print for people: the chosen columns, or a sentence when there is nothing."""
    from rich.console import Console  # noqa: PLC0415 (not needed by most calls, and slow to load)
    from rich.table import Table  # noqa: PLC0415 (likewise)

    listed = list(rows)
    if not listed:
        print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), no_wrap=True)
    for row in listed:
        table.add_row(*("" if row.get(column) is None else str(row[column]) for column in columns))
    # As wide as it needs: a terminal folds a long row better than a column of ten characters would.
    Console(markup=False, highlight=False, width=WIDE).print(table)


def as_fields(value: dict[str, Any]) -> None:
    """Print one thing for people: a line each."""
    width = max(map(len, value), default=0)
    for name, content in value.items():
        print(f"{name:<{width}}  {content if not isinstance(content, list | dict) else json.dumps(content, ensure_ascii=False)}")
