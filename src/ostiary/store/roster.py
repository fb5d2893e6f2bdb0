"""Who is in which group, read from the certificates: all once, then only what changed. Many rows, so they are not read anew."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from sqlalchemy import or_, select

from ostiary.access import members
from ostiary.model.access import AccessRule
from ostiary.model.roster import Roster, Table
from ostiary.store import tables
from ostiary.store.kinds import ACCESS_RULE
from ostiary.store.store import Reader

_CERTIFICATES: Final = tables.certificates
_ROWS_AT_ONCE: Final = 10_000
# Rows carry the time of the transaction that wrote them, which may be committed a while later, and by another machine's clock.
_LOOK_BACK: Final = timedelta(minutes=2)
_NOBODY: Final = members.entry((), "")


class RosterBook:
    """What was read so far. Not for several threads at once.

    What changed goes into `recent`, which is short and handed over at once; when there are many, or the long table has none yet,
    they are settled into it. That takes an engine about a second for 100,000, so not more often than each `rest`.
    """

    def __init__(self, *, most: int = 1000, rest: timedelta = timedelta(seconds=10)) -> None:
        self._most = most
        self._rest = rest
        self._asked: tuple[bool, bool] | None = None  # whether groups, and whether profiles, are asked for
        self._revision = -1
        self._since: datetime | None = None
        self._settled_at: datetime | None = None
        self._known: dict[str, str] = {}
        self._roster = Roster()

    def look(self, reader: Reader, at: datetime) -> Roster:
        """Who is in which group now; the same object as before when nothing changed."""
        if reader.revision() != self._revision:
            self._ask(reader.all(ACCESS_RULE))
            self._revision = reader.revision()
        if not any(self._asked or ()):
            return self._roster
        changed = self._read(reader, at)
        if self._since is None:
            self._settle(changed, at)
        elif changed or len(self._roster.recent) > self._most:
            self._note(changed, at)
        self._since = at
        return self._roster

    def _ask(self, rules: tuple[AccessRule, ...]) -> None:
        asked = any(rule.certificate.groups for rule in rules), any(rule.certificate.profiles for rule in rules)
        if asked != self._asked:
            self._asked, self._since, self._known, self._roster = asked, None, {}, Roster()

    def _read(self, reader: Reader, at: datetime) -> dict[str, str]:
        """What is other than was known."""
        columns = (_CERTIFICATES.c.fingerprint_sha256, _CERTIFICATES.c.groups, _CERTIFICATES.c.profile)
        statement = select(*columns).where(_CERTIFICATES.c.not_after > at)
        if self._since is not None:
            lately = self._since - _LOOK_BACK
            statement = statement.where(or_(_CERTIFICATES.c.created_at >= lately, _CERTIFICATES.c.updated_at >= lately))
        with_profiles = bool(self._asked and self._asked[1])
        changed = {}
        for fingerprint, groups, profile in reader.connection.execute(statement.execution_options(yield_per=_ROWS_AT_ONCE)):
            entry = members.entry(groups, profile if with_profiles else "")
            if self._known.get(fingerprint, _NOBODY) != entry:
                changed[fingerprint] = entry
        return changed

    def _note(self, changed: Mapping[str, str], at: datetime) -> None:
        recent = {**self._roster.recent, **changed}
        rested = self._settled_at is None or at >= self._settled_at + self._rest
        if len(recent) > self._most and rested:
            self._settle(changed, at)
        elif changed:
            self._known.update(changed)
            self._roster = Roster(self._roster.settled, MappingProxyType(recent))

    def _settle(self, changed: Mapping[str, str], at: datetime) -> None:
        self._known.update(changed)
        entries = {fingerprint: entry for fingerprint, entry in self._known.items() if entry != _NOBODY}
        self._settled_at = at
        self._roster = Roster(Table(MappingProxyType(entries)), MappingProxyType({}))
