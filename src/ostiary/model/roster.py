"""Who is in which group: a long table that is handed over seldom, and what changed since, which is handed over at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Roster:
    """By SHA-256 fingerprint of a certificate, what it is a member of (`access.members.entry`). `recent` overrides `settled`.

    Compared by identity: whoever makes a new one makes it because something changed, and 100,000 entries take long to compare.
    """

    settled: Mapping[str, str] = field(default_factory=_nothing)
    recent: Mapping[str, str] = field(default_factory=_nothing)
