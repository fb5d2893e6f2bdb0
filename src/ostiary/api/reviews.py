"""/v1/reviews: somebody looked at the access of a period, or its refusals, or what is excepted, and signed that off."""

from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, Field

from ostiary.api.bodies import decode
from ostiary.api.declared import Raw, Sys, Who, described, list_query, may
from ostiary.api.nouns import Link, Noun, wrapped
from ostiary.api.queries import asked, links, one_asked
from ostiary.errors import Invalid
from ostiary.model.fields import Data
from ostiary.model.review import Due, NewReview, Review, Seen, Subject
from ostiary.ops import reviews

NOUN: Final = Noun("review", "reviews", Review)
_NAMES: Final = {"since": "from", "until": "to"}


class SignOff(NewReview):
    """What a caller says to sign a review off. Who they are, and what there was to be looked at, is not theirs to say."""

    since: AwareDatetime = Field(alias="from", description="The beginning of the time that was looked at.")
    until: AwareDatetime = Field(alias="to", description="Its end.")


BODY: Final = wrapped("review", SignOff)


class ReviewItem(Data):
    """A review. Who signed it off, what there was to be looked at, and where the record stood then, is ostiary's word."""

    id: str
    subject: Subject
    since: str = Field(alias="from")
    until: str = Field(alias="to")
    note: str
    findings: str
    reviewed_by: str
    role: str
    at_revision: int
    at_entry: int
    at_hash: str
    seen: Seen
    created_at: str


class ReviewReply(Data):
    """The reply that shows one."""

    review: ReviewItem


class DueItem(Data):
    """How it stands with one subject: the last review, and whether that is longer ago than a quarter, or there was none."""

    subject: Subject
    last_review_id: str | None
    last_at: str | None
    is_due: bool


class ReviewList(Data):
    """The reply that lists them."""

    reviews: tuple[ReviewItem, ...]
    reviews_due: tuple[DueItem, ...]
    reviews_links: tuple[Link, ...]


router = APIRouter(prefix="/v1/reviews", tags=["audit"])


@router.post("", dependencies=[may("review:create")], **described(201, takes=BODY, answers=ReviewReply))
def create(system: Sys, caller: Who, raw: Raw) -> JSONResponse:
    """Sign a review off, as whoever calls. It cannot be changed or deleted afterwards."""
    said = getattr(decode(raw, BODY), NOUN.one)
    try:
        made = reviews.create(system, caller, NewReview(**dict(said)))
    except Invalid as refused:
        raise Invalid(_NAMES.get(refused.field, refused.field), refused.message) from None
    return JSONResponse({NOUN.one: shown(made)}, 201)


@router.get("", dependencies=[may("review:read")], **described(200, answers=ReviewList, query=list_query(NOUN.attributes)))
def find(request: Request, system: Sys, caller: Who) -> JSONResponse:
    """List reviews, and how it stands with each subject."""
    wanted = asked(request, NOUN)
    page = reviews.find(system, caller, wanted.query)
    return JSONResponse(
        {
            NOUN.many: [wanted.pick(shown(one)) for one in page.items],
            f"{NOUN.many}_due": [_due(one) for one in reviews.due(system, caller)],
            f"{NOUN.many}_links": links(request, wanted, page),
        }
    )


@router.get("/{review_id}", dependencies=[may("review:read")], **described(200, answers=ReviewReply))
def get(request: Request, system: Sys, caller: Who, review_id: str) -> JSONResponse:
    """Show a review."""
    picked = one_asked(request, NOUN)
    return JSONResponse({NOUN.one: picked.pick(shown(reviews.get(system, caller, review_id)))})


def shown(review: Review) -> dict[str, Any]:
    """A review as the API writes it."""
    values = NOUN.show(review)
    return {_NAMES.get(name, name): values[name] for name in ReviewItem.model_fields}


def _due(one: Due) -> dict[str, Any]:
    last = one.last
    return {
        "subject": one.subject,
        "last_review_id": None if last is None else last.id,
        "last_at": None if last is None else _time(last.created_at),
        "is_due": one.is_due,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else NOUN.time(at)
