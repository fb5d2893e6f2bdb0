"""Times and numbers as the reader writes them, in their language and their zone (Babel, CLDR)."""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_decimal
from markupsafe import Markup


@lru_cache(maxsize=64)
def zone(name: str) -> tzinfo:
    """The zone of that name (IANA); UTC for one that nobody knows."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def number(value: float, language: str) -> str:
    """`12,345` in English, `12.345` in Vietnamese."""
    return format_decimal(value, locale=language)


def moment(at: datetime, language: str, where: tzinfo) -> Markup:
    """A point in time: the reader's wall clock, and in its attribute what machines read."""
    local = at.astimezone(where)
    shown = format_datetime(local, "medium", tzinfo=where, locale=language)
    return Markup('<time datetime="{}" title="{} {}">{}</time>').format(_machine(at), shown, local.tzname() or "", shown)


def day(at: datetime, language: str, where: tzinfo) -> Markup:
    """A day; the hour is in the title, for those who need it."""
    local = at.astimezone(where)
    full = format_datetime(local, "medium", tzinfo=where, locale=language)
    shown = format_date(local.date(), "medium", locale=language)
    return Markup('<time datetime="{}" title="{} {}">{}</time>').format(_machine(at), full, local.tzname() or "", shown)


def distance(at: datetime, now: datetime, language: str, where: tzinfo) -> Markup:
    """`3 days ago`, `in 2 hours`; when exactly is in the title."""
    full = format_datetime(at.astimezone(where), "medium", tzinfo=where, locale=language)
    shown = format_timedelta(at - now, add_direction=True, locale=language)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(_machine(at), full, shown)


def duration(of: timedelta, language: str) -> str:
    """`90 days`, `5 minutes`."""
    return format_timedelta(of, threshold=2, locale=language)


def _machine(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
