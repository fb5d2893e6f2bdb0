"""/v1/notification-targets: who is told of warnings, by letter or by webhook. What is secret goes in and does not come out."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from ostiary.api.bodies import decode
from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.nouns import Noun, wrapped, zulu_time
from ostiary.api.queries import asked, links, one_asked
from ostiary.model.fields import Data
from ostiary.model.notification import Message, MessageState, NotificationTarget, Standing
from ostiary.ops import notification_targets as targets
from ostiary.ops.notification_targets import Secrets

_GIVEN: Final[dict[str, Any]] = {
    "password": (
        Annotated[str, Field(max_length=1000)] | None,
        Field(None, description="The password of `username`. It is not shown again."),
    ),
    "url": (
        Annotated[str, Field(max_length=2048)] | None,
        Field(None, description="Where a webhook is. Its path may be a secret, and is not shown again."),
    ),
    "secret": (
        Annotated[str, Field(max_length=200)] | None,
        Field(None, description="The key of a webhook's signatures, whsec_…; left out, one is made and shown once."),
    ),
}


class Sent(Data):
    """A message that was sent to a target, or is to be."""

    id: str
    type: str
    state: MessageState
    created_at: str
    next_at: str | None = Field(description="When it is tried next.")
    attempts: int
    error: str | None
    finished_at: str | None


class TestOutcome(Data):
    """What came of a test."""

    delivered: bool
    problem: str


_STANDING: Final[dict[str, Any]] = {
    "waiting": (int, Field(description="How many messages wait.")),
    "given_up": (int, Field(description="How many were given up, of those of the last 30 days.")),
    "failing_since": (str | None, Field(description="Since when nothing has got through.")),
    "last_sent_at": (str | None, Field(description="When something was last taken.")),
    "last_error": (str, Field(description="Why something was not taken when it was last tried.")),
    "messages": (tuple[Sent, ...], Field(description="The last ones, newest first; of one target only.")),
}
NOUN: Final = Noun(
    "notification_target",
    "notification_targets",
    NotificationTarget,
    given=_GIVEN,
    given_later=_GIVEN,
    shown={**_STANDING, "secret": (str, Field("", description="The key of signatures, where it was just made; this once."))},
)
Outcome: Final = wrapped("test", TestOutcome, "NotificationTestReply")
router = APIRouter(prefix="/v1/notification-targets", tags=["notification targets"])


@router.post("", dependencies=[may("notification-target:create")], **described(201, takes=NOUN.creation, answers=NOUN.reply))
def create(system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Add a target. The reply holds the key of a webhook's signatures where none was given, this once."""
    wanted, given = NOUN.decode_new(raw)
    made, secret = targets.create(system, caller, wanted, Secrets(**given))
    return JSONResponse({NOUN.one: {**_shown(made, Standing(), ()), "secret": bytes(secret).decode()}}, 201)


@router.get(
    "",
    dependencies=[may("notification-target:read")],
    **described(200, answers=NOUN.list_reply, query=list_query(NOUN.attributes)),
)
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List targets, and how it stands with each."""
    wanted = asked(request, NOUN)
    page = targets.find(system, caller, wanted.query)
    standings = targets.standings(system, caller)
    items = [wanted.pick(_shown(one, standings.get(one.id, Standing()), ())) for one in page.items]
    return JSONResponse({NOUN.many: items, f"{NOUN.many}_links": links(request, wanted, page)})


@router.get("/{target_id}", dependencies=[may("notification-target:read")], **described(200, answers=NOUN.reply))
def get(request: Request, system: Sys, caller: Who, target_id: str) -> JSONResponse:
    """Show a target with the last messages for it, and why those were not taken that wait or were given up."""
    picked = one_asked(request, NOUN)
    shown = targets.show(system, caller, target_id)
    return JSONResponse({NOUN.one: picked.pick(_shown(shown.target, shown.standing, shown.messages))})


@router.put(
    "/{target_id}",
    dependencies=[may("notification-target:update")],
    **described(200, takes=NOUN.update, answers=NOUN.reply),
)
def update(system: Sys, caller: Who, target_id: str, raw: Raw) -> JSONResponse:
    """Change a target; what is secret stays as it is unless it is given. What waits for it is tried at once."""
    body = getattr(decode(raw, NOUN.update), NOUN.one)
    given = {name: value for name in _GIVEN if (value := getattr(body, name)) is not None}
    targets.update(system, caller, target_id, NOUN.decode_changes(raw), Secrets(**given))
    shown = targets.show(system, caller, target_id)
    return JSONResponse({NOUN.one: _shown(shown.target, shown.standing, shown.messages)})


@router.delete("/{target_id}", dependencies=[may("notification-target:delete")], **described(204))
def delete(system: Sys, caller: Who, target_id: str) -> Response:
    """Remove a target, and what waits for it."""
    targets.delete(system, caller, target_id)
    return Response(status_code=204)


@router.post("/{target_id}/test", dependencies=[may("notification-target:test")], **described(200, answers=Outcome))
def test(system: Sys, caller: Who, target_id: str) -> JSONResponse:
    """Send a test at once, and say what came of it."""
    outcome = targets.test(system, caller, target_id)
    return JSONResponse({"test": {"delivered": outcome.is_taken, "problem": outcome.error or outcome.note}})


def _shown(target: NotificationTarget, standing: Standing, messages: tuple[Message, ...]) -> dict[str, Any]:
    return {
        **NOUN.show(target),
        "waiting": standing.waiting,
        "given_up": standing.dead,
        "failing_since": zulu_time(standing.failing_since) if standing.failing_since else None,
        "last_sent_at": zulu_time(standing.last_sent_at) if standing.last_sent_at else None,
        "last_error": standing.last_error,
        "messages": [_sent(one) for one in messages],
        "secret": "",
    }


def _sent(one: Message) -> dict[str, Any]:
    return {
        **{name: getattr(one, name) for name in ("id", "type", "state", "attempts", "error")},
        "created_at": zulu_time(one.created_at),
        "next_at": zulu_time(one.next_at) if one.state == "WAITING" else None,
        "finished_at": zulu_time(one.finished_at) if one.finished_at else None,
    }
