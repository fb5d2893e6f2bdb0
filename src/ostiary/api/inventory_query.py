"""What the list of certificates can be asked beyond the equality of fields, read from its query string."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import Request

from ostiary.errors import Invalid
from ostiary.model.inventory import STATUSES, Status, Wanted
from ostiary.model.query import Query

_WORDS_MAX: Final = 8
_SEARCH_MAX: Final = 256

QUESTIONS: Final = {
    "q": "Words, each of which must be in subject, other names, name or owner, or begin the serial number or fingerprint.",
    "status": f"One of {', '.join(STATUSES)}.",
    "authority_id": "Those of this authority, whichever of the issuing CAs under its name signed them.",
    "serial": "The one with this serial number, hexadecimal, with or without colons.",
    "fingerprint_sha256": "Those whose SHA-256 fingerprint begins so, hexadecimal, with or without colons.",
    "expires_before": "Those that end before this time, such as 2027-01-31T12:00:00Z.",
    "expires_after": "Those that end at this time or later.",
    "seen_before": "Those that no listener has seen since this time, or ever.",
    "seen_after": "Those that a listener has seen since this time.",
    "format": "csv for all that match as a table; json is the default.",
}
_TIMES: Final = ("expires_before", "expires_after", "seen_before", "seen_after")


def read(query: Query, given: Mapping[str, str], at: datetime) -> Wanted:
    """What is asked for. Raises `Invalid` naming the parameter that makes no sense."""
    questions: dict[str, Any] = {name: _time(name, given[name]) for name in _TIMES if name in given}
    for name in ("serial", "fingerprint_sha256"):
        if name in given:
            questions[name] = _digits(name, given[name])
    return Wanted(
        query,
        at,
        status=_status(given["status"]) if "status" in given else None,
        search=_words(given.get("q", "")),
        authority_id=given.get("authority_id"),
        **questions,
    )


def wants_csv(request: Request, given: Mapping[str, str]) -> bool:
    """Whether a table was asked for, by `format` or by naming text/csv as what is accepted."""
    if "format" in given:
        if given["format"] not in {"csv", "json"}:
            raise Invalid("format", "is csv or json")
        return given["format"] == "csv"
    return "text/csv" in request.headers.get("accept", "").lower()


def _status(text: str) -> Status:
    if text not in STATUSES:
        raise Invalid("status", f"is one of {', '.join(STATUSES)}")
    return text


def _words(text: str) -> tuple[str, ...]:
    words = tuple(text.split())
    if len(text) > _SEARCH_MAX or len(words) > _WORDS_MAX:
        raise Invalid("q", f"is at most {_WORDS_MAX} words and {_SEARCH_MAX} characters")
    return words


def _digits(name: str, text: str) -> str:
    digits = text.lower().replace(":", "")
    if not digits or len(digits) > 64 or not set(digits) <= set("0123456789abcdef"):
        raise Invalid(name, "is not hexadecimal")
    return digits


def _time(name: str, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))  # A '+' that was not escaped arrives as a space.
        return (at.replace(tzinfo=UTC) if at.tzinfo is None else at).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid(name, "is not a time such as 2027-01-31T12:00:00Z") from None
