"""Times as people type them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from ostiary.cli.client import Failed
from ostiary.clock import now

_SPAN: Final = re.compile(r"(\d{1,5})([mhdw])")
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def ago(text: str, option: str) -> str:
    """`24h` before now, as the API takes it."""
    span = _SPAN.fullmatch(text)
    if span is None:
        raise Failed(f"{option}: '{text}' is no time such as 30m, 24h, 7d or 4w")
    return (now() - int(span[1]) * _UNITS[span[2]]).isoformat(timespec="seconds")


def ahead(text: str, option: str) -> str:
    """`2027-01-31`, `2027-01-31T12:00:00Z`, or `30d` from now, as the API takes it; UTC where no zone is given."""
    span = _SPAN.fullmatch(text)
    if span is not None:
        return (now() + int(span[1]) * _UNITS[span[2]]).isoformat(timespec="seconds")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Failed(f"{option}: '{text}' is no time such as 2027-01-31, 2027-01-31T12:00:00Z or 30d from now") from None
    return (at.replace(tzinfo=UTC) if at.tzinfo is None else at).isoformat()
