"""The inventory as a table for spreadsheets (RFC 4180), sent as it is read so that its length does not matter."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from fastapi.responses import StreamingResponse

from ostiary.model.authority import Certificate
from ostiary.web.spreadsheet import MEDIA_TYPE, line

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


def reply(
    pages: Iterator[tuple[Certificate, ...]], show: Callable[[Certificate], dict[str, Any]], columns: Sequence[str]
) -> StreamingResponse:
    """All pages as one table, with these columns or those that are usual. The first page is read before anything is sent."""
    chosen = tuple(columns) or COLUMNS
    first = next(pages)

    def lines() -> Iterator[str]:
        yield line(chosen)
        for page in _again(first, pages):
            yield "".join(line([shown.get(column) for column in chosen]) for shown in map(show, page))

    headers = {"content-disposition": 'attachment; filename="certificates.csv"'}
    return StreamingResponse(lines(), media_type=MEDIA_TYPE, headers=headers)


def _again(first: tuple[Certificate, ...], rest: Iterator[tuple[Certificate, ...]]) -> Iterator[tuple[Certificate, ...]]:
    yield first
    yield from rest
