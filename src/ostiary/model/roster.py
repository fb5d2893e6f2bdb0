"""Who is in which group: a long table that is handed over seldom, and what changed since, which is handed over at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Table:
    """Compared by identity: a new one is made because something changed, and 100,000 entries take long to compare."""

    entries: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Roster:
    """By SHA-256 fingerprint of a certificate, what it is a member of (`access.members.entry`). `recent` overrides `settled`."""

    settled: Table | None = None
    recent: Mapping[str, str] = field(default_factory=_nothing)

    def entry(self, fingerprint: str) -> str | None:
        """What a certificate is a member of; None where nothing is known of it."""
        settled = self.settled.entries if self.settled is not None else {}
        return self.recent.get(fingerprint) or settled.get(fingerprint)
