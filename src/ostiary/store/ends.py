"""How many certificates in force end on each day, by profile: kept, since to count a million takes 40 ms each time (SQLite).

Derived from the certificates up to a rowid (`store.newer`), and brought along by a trigger when one of those is revoked, released
or renamed. Between two midnights it is asked; what ends within a day is counted in the index ix_certificates_live.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final

from sqlalchemy import Connection, TextClause, bindparam, text

from ostiary.store.newer import NEWER, WRITTEN
from ostiary.store.tables import UTCDateTime

TABLE: Final = "certificate_ends"
TRIGGER: Final = "certificate_ends_changed"
_MAKING: Final = f"""
    CREATE TABLE {TABLE}
    (profile VARCHAR(255) NOT NULL, day VARCHAR(10) NOT NULL, live INTEGER NOT NULL, PRIMARY KEY (profile, day)) WITHOUT ROWID
"""
_NOTING: Final = f"""
    CREATE TRIGGER {TRIGGER} AFTER UPDATE OF profile, not_after, revoked_at ON certificates
    WHEN old.rowid <= (SELECT upto FROM {WRITTEN}) AND (new.profile IS NOT old.profile OR new.not_after IS NOT old.not_after
        OR (new.revoked_at IS NULL) IS NOT (old.revoked_at IS NULL))
    BEGIN
        UPDATE {TABLE} SET live = live - 1
        WHERE old.revoked_at IS NULL AND profile = old.profile AND day = substr(old.not_after, 1, 10);
        INSERT INTO {TABLE} (profile, day, live) SELECT new.profile, substr(new.not_after, 1, 10), 1 WHERE new.revoked_at IS NULL
        ON CONFLICT (profile, day) DO UPDATE SET live = live + 1;
    END
"""  # noqa: S608 (ours)
_DAYS: Final = f"""
    SELECT day, live FROM {TABLE} WHERE profile = :profile AND day >= :first AND day < :last
    UNION ALL
    SELECT substr(not_after, 1, 10), 1 FROM certificates
    WHERE {NEWER} AND +profile = :profile AND +revoked_at IS NULL AND +not_after >= :first AND +not_after < :last
"""  # noqa: S608 (the signs: by their place and by no index, of which SQLite might think better)


def make(connection: Connection) -> None:
    """The table, empty, and what brings it along."""
    connection.exec_driver_sql(_MAKING)
    connection.exec_driver_sql(_NOTING)


def add(connection: Connection, which: str) -> None:
    """Count these certificates too."""
    connection.exec_driver_sql(
        f"INSERT INTO {TABLE} (profile, day, live) SELECT profile, substr(not_after, 1, 10), count(*) FROM certificates "  # noqa: S608
        f"WHERE {which} AND revoked_at IS NULL GROUP BY 1, 2 ON CONFLICT (profile, day) DO UPDATE SET live = live + excluded.live"
    )


def counted(connection: Connection, profile: str, ends: Sequence[datetime]) -> tuple[int, ...]:
    """How many certificates of a profile that are in force end between each of these moments and the next; in one statement."""
    midnights = [_midnight(at) for at in ends]
    first, last = midnights[0], max(midnights)
    given = {"profile": profile, "first": first.date().isoformat(), "last": last.date().isoformat()}
    within = [number for number, at in enumerate(ends) if at != midnights[number]]
    times = {f"from{number}": midnights[number] for number in within} | {f"to{number}": ends[number] for number in within}
    found = connection.execute(_asking(tuple(within)), {**given, **times}).all()
    parts = {int(name[1:]): int(count) for name, count in found if name.startswith("@")}
    days = [(datetime.fromisoformat(day).replace(tzinfo=UTC), int(count)) for day, count in found if not day.startswith("@")]
    sums = [sum(count for day, count in days if day < midnight) + parts.get(at, 0) for at, midnight in enumerate(midnights)]
    return tuple(end - begin for begin, end in pairwise(sums))


@lru_cache(maxsize=16)
def _asking(within: tuple[int, ...]) -> TextClause:
    """The statement, with a count of what ends between midnight and the moment for each of these."""
    parts = (
        f"UNION ALL SELECT '@{number}', count(*) FROM certificates WHERE profile = :profile AND revoked_at IS NULL "  # noqa: S608 (ours)
        f"AND not_after >= :from{number} AND not_after < :to{number}"
        for number in within
    )
    times = (bindparam(f"{end}{number}", type_=UTCDateTime()) for number in within for end in ("from", "to"))
    return text(f"{_DAYS} {' '.join(parts)}").bindparams(*times)


def _midnight(at: datetime) -> datetime:
    utc = at.astimezone(UTC)
    return utc - timedelta(hours=utc.hour, minutes=utc.minute, seconds=utc.second, microseconds=utc.microsecond)
