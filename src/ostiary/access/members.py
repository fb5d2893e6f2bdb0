"""Which groups a certificate is in and by which profile it was issued, as the engine's table writes it: tokens between commas.

The names themselves stay with us: they may hold anything, and the table holds many.
"""

import hashlib
from collections.abc import Iterable
from typing import Literal


def token(kind: Literal["group", "profile"], name: str) -> str:
    """What stands for a group or a profile."""
    return hashlib.sha256(f"{kind}:{name}".encode()).hexdigest()[:16]


def entry(groups: Iterable[str], profile: str) -> str:
    """All of a certificate's tokens."""
    return "," + "".join(f"{one}," for one in _tokens(groups, profile))


def holds(entry: str, token: str) -> bool:
    """Whether a token is among them."""
    return f",{token}," in entry


def _tokens(groups: Iterable[str], profile: str) -> list[str]:
    return [*sorted(token("group", name) for name in groups), *([token("profile", profile)] if profile else [])]
