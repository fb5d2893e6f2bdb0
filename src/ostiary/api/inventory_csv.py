"""The inventory as a table for spreadsheets (RFC 4180), sent as it is read so that its length does not matter."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from fastapi.responses import StreamingResponse

from ostiary.model.authority import Certificate

COLUMNS: Final = (
    "id",
    "name",
    "status",
    "subject",
    "sans",
    "owner",
    "groups",
    "profile",
    "authority_id",
    "serial",
    "fingerprint_sha256",
    "not_before",
    "not_after",
    "revoked_at",
    "revocation_reason",
    "last_seen",
    "created_at",
)
# What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection"), full-width forms too.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def reply(
    pages: Iterator[tuple[Certificate, ...]], show: Callable[[Certificate], dict[str, Any]], columns: Sequence[str]
) -> StreamingResponse:
    """All pages as one table, with these columns or those that are usual. The first page is read before anything is sent."""
    chosen = tuple(columns) or COLUMNS
    first = next(pages)

    def lines() -> Iterator[str]:
        yield _line(chosen)
        for page in _again(first, pages):
            yield "".join(_line(_cells(show(one), chosen)) for one in page)

    headers = {"content-disposition": 'attachment; filename="certificates.csv"'}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8; header=present", headers=headers)


def cell(value: Any) -> str:
    """A value as text that no spreadsheet takes for a formula: what could be one gets an apostrophe in front."""
    text = " ".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cells(shown: dict[str, Any], columns: Sequence[str]) -> list[str]:
    return [cell(shown.get(column)) for column in columns]


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


def _again(first: tuple[Certificate, ...], rest: Iterator[tuple[Certificate, ...]]) -> Iterator[tuple[Certificate, ...]]:
    yield first
    yield from rest
