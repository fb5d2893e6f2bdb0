"""How many certificates in force end on each day, by profile: kept, since to count a million takes 40 ms each time (SQLite).

Derived from the certificates up to a rowid (`store.newer`), and brought along by a trigger when one of those is revoked, released
or renamed. Between two midnights it is asked; what ends within a day is counted in the index ix_certificates_live.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from sqlalchemy import Connection, bindparam, text

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
"""  # noqa: S608 (ours, as below)
_BETWEEN: Final = "profile = :profile AND revoked_at IS NULL AND not_after >= :begin AND not_after < :end"
_TIMES: Final = (bindparam("begin", type_=UTCDateTime()), bindparam("end", type_=UTCDateTime()))
_DAYS: Final = text(f"SELECT day, live FROM {TABLE} WHERE profile = :profile AND day >= :begin AND day < :end")  # noqa: S608
# By their place and by no index, of which SQLite might think better: hence the signs.
_LATE: Final = text(
    f"SELECT not_after FROM certificates WHERE {NEWER} AND +profile = :profile AND +revoked_at IS NULL "  # noqa: S608
    "AND +not_after >= :begin AND +not_after < :end"
).bindparams(*_TIMES)
_WITHIN: Final = text(f"SELECT count(*) FROM certificates WHERE {_BETWEEN}").bindparams(*_TIMES)  # noqa: S608


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
    """How many certificates of a profile that are in force end between each of these moments and the next."""
    first, *_ = midnights = [_midnight(at) for at in ends]
    asked = {"profile": profile, "begin": first.date().isoformat(), "end": max(midnights).date().isoformat()}
    each = [(datetime.fromisoformat(day).replace(tzinfo=UTC), int(live)) for day, live in connection.execute(_DAYS, asked)]
    late = connection.execute(_LATE, {"profile": profile, "begin": first, "end": max(midnights)}).scalars()
    each += [(_midnight(datetime.fromisoformat(at).replace(tzinfo=UTC)), 1) for at in late]

    def before(at: datetime, midnight: datetime) -> int:
        """How many end before this moment, from the first midnight on."""
        whole = sum(count for day, count in each if day < midnight)
        if at == midnight:
            return whole
        return whole + int(connection.execute(_WITHIN, {"profile": profile, "begin": midnight, "end": at}).scalar_one())

    sums = [before(at, midnight) for at, midnight in zip(ends, midnights, strict=True)]
    return tuple(end - begin for begin, end in pairwise(sums))


def _midnight(at: datetime) -> datetime:
    utc = at.astimezone(UTC)
    return utc - timedelta(hours=utc.hour, minutes=utc.minute, seconds=utc.second, microseconds=utc.microsecond)
