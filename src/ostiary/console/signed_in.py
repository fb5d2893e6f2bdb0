"""Sessions: sign out one browser, or a person everywhere."""

from typing import Final

from starlette.responses import RedirectResponse, Response

from ostiary.console.people import behind, own_id, tab_link
from ostiary.console.visit import Visit, action, page
from ostiary.ops import sessions
from ostiary.web.words import _


def ask(visit: Visit) -> Response:
    """Whether that browser is to be signed out."""
    found = sessions.get(visit.system, visit.caller, visit.path["session_id"])
    return visit.page("people_session_end.html", session=found, is_own=found.id == own_id(visit), **behind(visit, "sessions"))


def end(visit: Visit) -> Response:
    """Sign out one browser."""
    session_id = visit.path["session_id"]
    sessions.end(visit.system, visit.caller, session_id)
    return _after(visit, session_id == own_id(visit), visit.say(_("The session was ended.")))


def ask_all(visit: Visit) -> Response:
    """Whether somebody is to be signed out everywhere."""
    name = visit.query.get("name") or visit.caller.name
    found = [one for one in sessions.find(visit.system, visit.caller) if one.name == name]
    return visit.page("people_sessions_end.html", name=name, count=len(found), **behind(visit, "sessions"))


def end_all(visit: Visit) -> Response:
    """Sign somebody out everywhere; links they have made open nothing any more."""
    name = visit.form.text("name") or visit.caller.name
    count = sessions.end_all(visit.system, visit.caller, name)
    said = visit.say_many(
        "%(count)s session of %(name)s was ended.", "%(count)s sessions of %(name)s were ended.", count, name=name
    )
    return _after(visit, name == visit.caller.name, said)


def _after(visit: Visit, was_own: bool, said: str) -> Response:  # noqa: FBT001 (whose it was)
    return RedirectResponse("/console/sign-in", 303) if was_own else visit.see(tab_link("sessions"), said)


_ONE: Final = "/console/people/sessions/{session_id}"

ROUTES: Final = (
    page("/console/people/sessions/end-all", ask_all, may="session:end", current="people"),
    action("/console/people/sessions/end-all", end_all, may="session:end", current="people"),
    page(f"{_ONE}/end", ask, may="session:end", current="people"),
    action(f"{_ONE}/end", end, may="session:end", current="people"),
)
