"""Reviews: what there is to be looked at, when that was done last and by whom, and the form to sign it off."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from ostiary.console import forms, lists
from ostiary.console.attempts import NOT_YET, Attempt, attempt
from ostiary.console.forms import Filled
from ostiary.console.visit import Visit, action, page
from ostiary.errors import Invalid
from ostiary.model.review import QUARTER, SUBJECTS, NewReview, Review, Seen, Subject
from ostiary.ops import reviews
from ostiary.web.words import _

PLACE: Final = "/console/reviews"
WORDS: Final[dict[str, str]] = {
    "access": _("Access: who may come in, and who may change things"),
    "refusals": _("Refusals: who was turned away, and why"),
    "exceptions": _("Exceptions: what is let through that is usually refused"),
}
_NAMES: Final = ("since", "until", "note", "findings")
# By what there is: what it is called, where it is, what one must be allowed to do to look, and of which review it is a part.
_THINGS: Final[tuple[tuple[str, str, str, str, tuple[Subject, ...]], ...]] = (
    ("certificates", _("Client certificates in force"), "/console/certificates", "certificate:read", ("access",)),
    ("listeners", _("Listeners"), "/console/access", "access-rule:read", ("access", "exceptions")),
    ("access_rules", _("Access rules"), "/console/access", "access-rule:read", ("access", "exceptions")),
    (
        "access_exceptions",
        _("Access exceptions"),
        "/console/access/exceptions",
        "access-exception:read",
        ("access", "exceptions"),
    ),
    ("users", _("Users of the console"), "/console/people?tab=users", "token:read", ("access",)),
    ("access_tokens", _("Keys to the API"), "/console/people", "token:read", ("access",)),
    ("refusals", _("Refusals in that time"), "/console/denials", "denial:read", ("refusals",)),
)


@dataclass(frozen=True)
class Thing:
    """Something to be looked at: how many there are, and the page of them where the reader may see it."""

    title: str
    count: int
    place: str


def home(visit: Visit) -> Response:
    """How it stands with each subject, and those that were signed off."""
    return visit.page("reviews.html", **_around(visit))


def details(visit: Visit) -> Response:
    """One that was signed off."""
    one = reviews.get(visit.system, visit.caller, visit.path["review_id"])
    things = [Thing(visit.say(title), getattr(one.seen, name), "") for name, title, *_rest in _THINGS]
    return visit.page("review.html", review=one, subject=visit.say(WORDS[one.subject]), things=things)


def ask(visit: Visit) -> Response:
    """What there is to be looked at, and the form."""
    return _asked(visit, _subject(visit.query.get("subject", "access")))


def create(visit: Visit) -> Response:
    """Sign it off."""
    subject = _subject(visit.form.text("subject"))

    def do() -> Review:
        values = forms.given(forms.decoded(visit, NewReview, _form(visit, subject), visit.form))
        return reviews.create(visit.system, visit.caller, NewReview(subject=subject, **values))

    done = attempt(visit, "review", do)
    if not done.is_done:
        return _asked(visit, subject, done)
    return visit.see(f"{PLACE}/{done.made.id}", visit.say(_("The review was signed off.")))


def _asked(visit: Visit, subject: Subject, done: Attempt = NOT_YET) -> Response:
    form = forms.typed(_form(visit, subject), visit.form, done.errors)
    since, until = (forms.moment(str(form[name].value), visit.zone) for name in ("since", "until"))
    seen = reviews.look(visit.system, visit.caller, since or visit.at - QUARTER, until or visit.at)
    return visit.page(
        "review_create.html",
        done.status,
        subject=subject,
        title=visit.say(WORDS[subject]),
        form=form,
        things=list(_things(visit, subject, seen)),
    )


def _things(visit: Visit, subject: Subject, seen: Seen) -> Iterator[Thing]:
    for name, title, place, may, subjects in _THINGS:
        if subject in subjects:
            yield Thing(visit.say(title), getattr(seen, name), place if visit.can(may) else "")


def _form(visit: Visit, subject: Subject) -> Filled:
    """From where the last one ended until now; of the first, a quarter."""
    last = next(one.last for one in reviews.due(visit.system, visit.caller) if one.subject == subject)
    values = {"since": last.until if last is not None else visit.at - QUARTER, "until": visit.at}
    return forms.made(visit, NewReview, _NAMES, values)


def _subject(text: str) -> Subject:
    for subject in SUBJECTS:
        if subject == text:
            return subject
    raise Invalid("subject", f"is one of {', '.join(SUBJECTS)}")


def _around(visit: Visit) -> dict[str, Any]:
    found = lists.listed(visit, lambda query: reviews.find(visit.system, visit.caller, query), sort=(("created_at", True),))
    standing = [(one, visit.say(WORDS[one.subject])) for one in reviews.due(visit.system, visit.caller)]
    rows = [(one, visit.say(WORDS[one.subject])) for one in found.items]
    return {"found": found, "rows": rows, "standing": standing}


ROUTES: Final = (
    page(PLACE, home, may="review:read", current="reviews"),
    page(f"{PLACE}/create", ask, may="review:create", current="reviews"),
    action(f"{PLACE}/create", create, may="review:create", current="reviews"),
    page(f"{PLACE}/{{review_id}}", details, may="review:read", current="reviews"),
)
