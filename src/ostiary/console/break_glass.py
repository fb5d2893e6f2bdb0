"""Emergencies: begin one, end it, and look at what was done in somebody else's without approval."""

from datetime import datetime
from typing import Any, Final

from starlette.responses import Response

from ostiary.console import decisions, forms, lists
from ostiary.console.attempts import NOT_YET, Attempt, attempt
from ostiary.console.deeds import deed
from ostiary.console.differences import Change, things
from ostiary.console.forms import Filled
from ostiary.console.status import Shown, Tone
from ostiary.console.visit import Visit, action, page
from ostiary.errors import Conflict, Denied, Invalid
from ostiary.model.approval import BreakGlass, NewBreakGlass
from ostiary.model.audit import AuditSearch
from ostiary.ops import audit, break_glass, house_settings
from ostiary.web.words import _

PLACE: Final = "/console/break-glass"
STATES: Final[dict[str, tuple[str, Tone]]] = {
    "OPEN": (_("Goes on"), "bad"),
    "ENDED": (_("Over, to be signed off"), "busy"),
    "REVIEWED": (_("Signed off"), "good"),
}
_FIELDS: Final = ("reason", "minutes")
_DONE_SHOWN: Final = 500  # entries of the record that are looked through for what was done
_REVIEW_MAX: Final = 255


def home(visit: Visit) -> Response:
    """All of them, and the form that begins one."""
    return _home(visit, forms.made(visit, NewBreakGlass, _FIELDS, {}))


def begin(visit: Visit) -> Response:
    """Do without approval from now on."""
    filled = forms.made(visit, NewBreakGlass, _FIELDS, {})
    done = attempt(visit, "break_glass", lambda: _begun(visit, filled))
    if done.is_done:
        return visit.see(f"{PLACE}/{done.made.id}", visit.say(_("You do without approval now, and everybody is told.")))
    return _home(visit, forms.typed(filled, visit.form, done.errors), done)


def details(visit: Visit) -> Response:
    """One of them, with what was done under it."""
    return _details(visit)


def end(visit: Visit) -> Response:
    """End it now."""
    try:
        break_glass.end(visit.system, visit.caller, visit.path["glass_id"])
    except Conflict as error:
        return _details(visit, error)
    return visit.see(_place(visit), visit.say(_("It is over. Another person looks at it now.")))


def review(visit: Visit) -> Response:
    """Sign it off."""
    words = visit.form.text("review")
    try:
        if not words:
            raise Invalid("review", "say what you found; it stays on record")  # noqa: TRY301 (as the core does)
        if len(words) > _REVIEW_MAX:
            raise Invalid("review", f"must not be longer than {_REVIEW_MAX} characters")  # noqa: TRY301 (likewise)
        break_glass.review(visit.system, visit.caller, visit.path["glass_id"], words)
    except (Invalid, Conflict, Denied) as error:
        return _details(visit, error)
    return visit.see(_place(visit), visit.say(_("You signed it off.")))


def _begun(visit: Visit, filled: Filled) -> BreakGlass:
    wanted = forms.decoded(visit, NewBreakGlass, filled, visit.form)
    return break_glass.begin(visit.system, visit.caller, NewBreakGlass(**wanted))


def _home(visit: Visit, filled: Filled, done: Attempt = NOT_YET) -> Response:
    found = lists.listed(visit, lambda query: break_glass.find(visit.system, visit.caller, query), sort=(("created_at", True),))
    return visit.page(
        "break_glasses.html",
        done.status,
        found=found,
        rows=[(one, _state(visit, one)) for one in found.items],
        form=filled,
        is_needed=bool(house_settings.get(visit.system, visit.caller).approval_needed_for),
    )


def _details(visit: Visit, error: Invalid | Conflict | Denied | None = None) -> Response:
    glass = break_glass.get(visit.system, visit.caller, visit.path["glass_id"])
    return visit.page(
        "break_glass.html",
        decisions.status(error),
        glass=glass,
        state=_state(visit, glass),
        done=_done(visit, glass),
        error=decisions.words(visit, error),
        review=visit.form.text("review"),
        is_mine=visit.caller.name == glass.begun_by,
        back=_place(visit),
    )


def _done(visit: Visit, glass: BreakGlass) -> list[dict[str, Any]]:
    """What the record says was done under it."""
    wanted = AuditSearch(actor=glass.begun_by, since=glass.begun_at, until=glass.ended_at or glass.ends_at)
    entries = audit.search(visit.system, visit.caller, wanted, limit=_DONE_SHOWN)
    its = [one for one in entries if one.get("break_glass") == glass.id and one["kind"] != "break_glass"]
    changes = [Change(one["kind"], one["resource_id"], one["before"], one["after"]) for one in its]
    return [
        {"entry": one, "at": datetime.fromisoformat(one["at"]), "deed": deed(visit, one["action"]), "thing": thing}
        for one, thing in zip(its, things(visit, changes), strict=True)
    ]


def _state(visit: Visit, one: BreakGlass) -> Shown:
    word, tone = STATES[one.state]
    return Shown(visit.say(word), tone)


def _place(visit: Visit) -> str:
    return f"{PLACE}/{visit.path['glass_id']}"


_ONE: Final = f"{PLACE}/{{glass_id}}"

ROUTES: Final = (
    page(PLACE, home, may="break-glass:read", current="approvals"),
    action(PLACE, begin, may="break-glass:begin", current="approvals"),
    page(_ONE, details, may="break-glass:read", current="approvals"),
    action(f"{_ONE}/end", end, may="break-glass:end", current="approvals"),
    action(f"{_ONE}/review", review, may="break-glass:review", current="approvals"),
)
