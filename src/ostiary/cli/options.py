"""Options that many commands share."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", envvar="OSTIARY_DATA_DIR", help="Where ostiary keeps its data.", file_okay=False)
]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]
