"""Parts of a document that a test writes: `--update-golden` rewrites them, otherwise they must be as the test finds them.

A part stands between `<!-- NAME: … -->` and `<!-- end of NAME -->`, each on a line of its own.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path


def check(document: Path, name: str, found: str, *, update: bool) -> None:
    """Fail unless this part of the document says just what was found; with `update`, make it so."""
    text = document.read_text()
    part = re.search(rf"(?s)(<!-- {name}: [^\n]* -->\n)(.*?)(<!-- end of {name} -->\n)", text)
    assert part, f"{document} has no part '{name}'"
    wanted = f"\n{found.strip()}\n\n"
    if update:
        document.write_text(text[: part.start(2)] + wanted + text[part.end(2) :])
        return
    is_said, is_found = part[2].splitlines(), wanted.splitlines()
    gone, new = set(is_said) - set(is_found), set(is_found) - set(is_said)
    differences = [f"- {line}" for line in is_said if line in gone] + [f"+ {line}" for line in is_found if line in new]
    assert part[2] == wanted, f"{document} says otherwise (`make golden` rewrites it):\n" + "\n".join(differences[:40])


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"
