"""/v1/traffic: how much came through and what was refused, over time."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ostiary.api.declared import Sys, Who, described, may
from ostiary.api.nouns import zulu_time
from ostiary.api.queries import moment, parameters, whole_number
from ostiary.model.fields import Data
from ostiary.model.traffic import HOURS_KEPT, MINUTES_KEPT, Bucket
from ostiary.ops import traffic

_POINTS: Final = 120
_LAST: Final = timedelta(days=1)
_OLDEST: Final = datetime(1970, 1, 2, tzinfo=UTC)  # nothing is reckoned from before the time that computers know
_QUERY: Final = {
    "listener_id": "Only what came through this listener; all of them otherwise.",
    "since": f"From when on; a day before the end unless given, at most {HOURS_KEPT.days} days.",
    "until": "Until when; now unless given.",
    "points": f"Most steps, from {traffic.POINTS[0]} to {traffic.POINTS[1]}; {_POINTS} unless given. Steps last a minute "
    f"or more, and an hour or more where they begin more than {MINUTES_KEPT / timedelta(hours=1):g} hours ago.",
}


class TrafficStep(Data):
    """One step of time, from `at` on; `seconds` of it are over. What speaks TCP has connections in place of requests.

    `admitted` are the requests that passed every check. `refused` counts refusals by code, of handshakes and of requests;
    `failed_handshakes` are those that failed for any reason, no fault of the certificate among them.
    """

    at: str
    seconds: float
    handshakes: int
    failed_handshakes: int
    requests: int
    admitted: int
    refused: dict[str, int]


class TrafficItem(Data):
    """Equal steps of time, in order and without gaps. `refused` are the sums by code, the most frequent first."""

    listener_id: str | None
    since: str
    until: str
    step_seconds: int
    admitted: int
    refused: dict[str, int]
    steps: tuple[TrafficStep, ...]


class TrafficReply(Data):
    """The reply that holds it."""

    traffic: TrafficItem


router = APIRouter(prefix="/v1/traffic", tags=["traffic"])


@router.get("", dependencies=[may("traffic:read")], **described(200, answers=TrafficReply, query=_QUERY))
def get(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """Count what came through and what was refused, step by step."""
    given = parameters(request, _QUERY)
    words = {name: values[0] for name, values in given.items()}
    until = moment(words["until"], "until") if "until" in words else system.clock()
    since = moment(words["since"], "since") if "since" in words else max(until, _OLDEST) - _LAST
    listener_id, points = words.get("listener_id"), whole_number(given, "points", _POINTS)
    found = traffic.series(system, caller, since=since, until=until, listener_id=listener_id, points=points)
    shown = {
        "listener_id": listener_id or None,
        "since": zulu_time(found.since),
        "until": zulu_time(found.until),
        "step_seconds": int(found.step.total_seconds()),
        "admitted": found.admitted,
        "refused": found.refused,
        "steps": [_shown(one) for one in found.buckets],
    }
    return JSONResponse({"traffic": shown})


def _shown(one: Bucket) -> dict[str, Any]:
    return {**one.model_dump(mode="json"), "at": zulu_time(one.at)}
