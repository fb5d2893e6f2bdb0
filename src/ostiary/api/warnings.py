"""/v1/warnings: what ends and what is wrong, the most urgent first."""

from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from ostiary.api.declared import Sys, Who, described, may
from ostiary.api.nouns import zulu_time
from ostiary.api.queries import RECORD_LIMIT_MAX, page_limit, parameters
from ostiary.errors import Invalid
from ostiary.model.fields import Data
from ostiary.model.warning import KINDS, SEVERITIES, TOPICS, Notice, Severity, Stage, Topic, WarningKind, at_least
from ostiary.ops import warning_words, watching

_QUERY: Final = {
    "kind": f"Only of this kind: {', '.join(KINDS)}.",
    "topic": f"Only of this topic: {', '.join(TOPICS)}.",
    "severity": f"Only those as severe as this, or more: {', '.join(SEVERITIES)}.",
    "within_days": "Only what ends within so many days, or has ended.",
    "limit": f"Most items, at most {RECORD_LIMIT_MAX}: the most urgent.",
}


class WarningItem(Data):
    """A warning. Its `id` stays the same from the first threshold to the end, and is another once the thing was renewed."""

    id: str
    kind: WarningKind
    topic: Topic
    severity: Severity
    stage: Stage = Field(
        description="DAYS: it ends within `within_days`. HALF_LIFE: a list past half of its life. ENDED. NOW: it is so."
    )
    within_days: int | None = Field(description="The last threshold that it passed.")
    thing_id: str = Field(description="Id of what it is about; of a certificate its SHA-256 fingerprint.")
    name: str
    ends_at: str | None
    owner: str
    last_seen: str | None
    listeners: tuple[str, ...] = Field(description="Names of the listeners, pools and doors that use it.")
    detail: str
    title: str = Field(description="All that in a sentence.")
    what_to_do: str
    command: str


class WarningList(Data):
    """The reply that lists warnings, the most urgent first."""

    warnings: tuple[WarningItem, ...]
    total: int = Field(description="How many there are that fit, listed or not.")


router = APIRouter(prefix="/v1/warnings", tags=["warnings"])


@router.get("", dependencies=[may("warning:read")], **described(200, answers=WarningList, query=_QUERY))
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List what people should see to now: what ends soon or has ended, lists that are not fresh, what is wrong."""
    asked = parameters(request, _QUERY)
    given = {name: values[0] for name, values in asked.items()}
    _check(given)
    at = system.clock()
    found = [one for one in watching.warnings(system, caller) if _fits(one, given, at)]
    shown = [_shown(one, at) for one in found[: page_limit(asked)]]
    return JSONResponse({"warnings": shown, "total": len(found)})


def _check(given: dict[str, str]) -> None:
    for name, known in (("kind", KINDS), ("topic", TOPICS), ("severity", SEVERITIES)):
        if name in given and given[name] not in known:
            raise Invalid(name, f"'{given[name][:64]}' is none of {', '.join(known)}")
    days = given.get("within_days", "0")
    if not (days.isascii() and days.isdigit() and len(days) < 6):
        raise Invalid("within_days", "must be a whole number of days")


def _fits(one: Notice, given: dict[str, str], at: datetime) -> bool:
    severity: Any = given.get("severity", "INFO")
    if not at_least(one.severity, severity) or given.get("kind", one.kind) != one.kind:
        return False
    if given.get("topic", one.topic) != one.topic:
        return False
    return "within_days" not in given or (one.ends_at is not None and (one.ends_at - at).days < int(given["within_days"]))


def _shown(one: Notice, at: datetime) -> dict[str, Any]:
    return {
        **one.model_dump(mode="json", exclude={"way", "place"}),
        "ends_at": zulu_time(one.ends_at) if one.ends_at is not None else None,
        "last_seen": zulu_time(one.last_seen) if one.last_seen is not None else None,
        "title": warning_words.title(one, "en", at),
        "what_to_do": warning_words.way(one, "en"),
    }
