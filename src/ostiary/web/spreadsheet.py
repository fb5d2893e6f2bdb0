"""Tables for spreadsheets (RFC 4180): what stands in a cell is never taken for a formula."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

MEDIA_TYPE: Final = "text/csv; charset=utf-8; header=present"

# What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection"), full-width forms too.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def cell(value: Any) -> str:
    """A value as text that no spreadsheet takes for a formula: what could be one gets an apostrophe in front."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = " ".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def line(values: Sequence[Any]) -> str:
    """One line of a table."""
    text = io.StringIO()
    csv.writer(text).writerow([cell(value) for value in values])
    return text.getvalue()
