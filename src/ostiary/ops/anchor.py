"""The newest signed head of the record, kept where the database is not: whoever can write the database cannot change that too."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ostiary.files import replace_private

_LONGEST: Final = 4096


@dataclass(frozen=True)
class Anchored:
    """The entry and its hash as they were when they were signed last."""

    sequence: int
    hash: str


@dataclass(frozen=True)
class Anchor:
    """A file of ours in the data directory; without `file`, nothing is kept."""

    file: Path | None = None

    def keep(self, sequence: int, hash_: str) -> None:
        """From now on it is this one."""
        if self.file is not None:
            replace_private(self.file, json.dumps({"sequence": sequence, "hash": hash_}).encode() + b"\n")

    def kept(self) -> Anchored | None:
        """The one that was kept; None where there is none. Raises `ValueError` for a file that is damaged."""
        if self.file is None or not self.file.exists():
            return None
        with self.file.open("rb") as file:
            said = json.loads(file.read(_LONGEST))
        if not isinstance(said, dict) or not isinstance(said.get("sequence"), int) or not isinstance(said.get("hash"), str):
            raise ValueError(self.file.name)  # noqa: TRY004 (what is in a file is no type of ours)
        return Anchored(said["sequence"], said["hash"])
