"""Where somebody is who reads files that follow one another."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Place:
    """Before the octet `offset` (as if it were not compressed) of the file of this number."""

    number: int = 0
    offset: int = 0
