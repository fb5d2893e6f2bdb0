"""Who may come here and what they may do: access tokens, users, sessions, grants to enrol, and the roles in words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from ostiary.console import forms, lists
from ostiary.console.status import Shown
from ostiary.console.visit import Visit, page, url
from ostiary.errors import Denied
from ostiary.model.access import Holders
from ostiary.model.session import Session
from ostiary.model.token import Token
from ostiary.model.user import User
from ostiary.ops import sessions, tokens, users
from ostiary.ops.caller import Caller
from ostiary.ops.spoken_of import named
from ostiary.web.words import _

# In the order in which they stand: name, title, what one must be allowed to see it.
TABS: Final = (
    ("tokens", _("Access tokens"), "token:read"),
    ("users", _("Users"), "user:read"),
    ("sessions", _("Sessions"), "session:read"),
    ("grants", _("Grants to enrol"), "token:read"),
    ("roles", _("Roles"), "token:read"),
)
# The one that may least comes first: it is what is chosen when nobody chooses.
ROLES: Final = (
    ("auditor", _("Auditor: sees everything and changes nothing")),
    ("operator", _("Operator: does what happens from day to day")),
    ("admin", _("Administrator: does everything")),
)
# Of a token alone: nobody signs in with it.
_MONITOR: Final = ("monitor", _("Monitor: reads the metrics and nothing else"))
# What people want to know of a role, each with an action that stands for it; the answers are those of `ops.caller`.
ABILITIES: Final = (
    (_("See everything but keys and secrets"), "listener:read"),
    (_("Verify the audit record"), "audit:verify"),
    (_("Switch Client CA on and off, change load balancers, listeners, pools and members"), "listener:update"),
    (_("Create and change access rules and exceptions"), "access-rule:create"),
    (_("Issue, renew and revoke client certificates, approve requests"), "certificate:issue"),
    (_("Hand out grants to enrol"), "token:create"),
    (_("Go back to an earlier revision"), "revision:revert"),
    (_("Upload server certificates"), "secret:create"),
    (_("Create, import and revoke CA certificates, export their keys"), "authority:create"),
    (_("Change certificate profiles"), "profile:update"),
    (_("Make and delete access tokens"), "token:access"),
    (_("Add, change and remove users"), "user:create"),
    (_("See and end the sessions of others"), "session:others"),
    (_("Do without another person's approval in an emergency"), "break-glass:begin"),
    (_("Sign off what somebody else did in an emergency"), "break-glass:review"),
)
_HOW: Final = {"link": _("with a link"), "token": _("with a token"), "certificate": _("with a client certificate")}
_STATES: Final = {
    "VALID": Shown(_("Valid"), "good"),
    "USED": Shown(_("Used up"), "off"),
    "EXPIRED": Shown(_("Expired"), "bad"),
}


@dataclass(frozen=True)
class TokenRow:
    """A token, and whether it is good."""

    token: Token
    state: Shown


def find(visit: Visit) -> Response:
    """The part that is asked for."""
    return visit.page("people.html", **behind(visit, visit.query.get("tab", "")))


def behind(visit: Visit, wanted: str) -> dict[str, Any]:
    """All that the page shows, also behind a pop-up."""
    offered = {name: visit.say(title) for name, title, may in TABS if visit.can(may)}
    tab = wanted if wanted in offered else next(iter(offered))
    shown = {"tokens": _tokens, "users": _users, "sessions": _sessions, "grants": _grants, "roles": _roles}[tab](visit)
    return {"tab": tab, "tabs": offered, "roles": token_role_words(visit), "back": tab_link(tab), **shown}


def _tokens(visit: Visit) -> dict[str, Any]:
    return _of_kind(visit, "access")


def _grants(visit: Visit) -> dict[str, Any]:
    return _of_kind(visit, "enrolment")


def _of_kind(visit: Visit, kind: str) -> dict[str, Any]:
    found = lists.listed(visit, lambda query: tokens.find(visit.system, visit.caller, query), filters=(("kind", kind),))
    return {"found": found, "rows": [TokenRow(one, token_state(visit, one)) for one in found.items]}


def _users(visit: Visit) -> dict[str, Any]:
    found = lists.listed(visit, lambda query: users.find(visit.system, visit.caller, query))
    return {"found": found, "rows": list(zip(found.items, conditions(visit, found.items), strict=True))}


def _sessions(visit: Visit) -> dict[str, Any]:
    found = sessions.find(visit.system, visit.caller)
    return {"rows": found, "own": own_id(visit), "how": _how_words(visit)}


def _roles(visit: Visit) -> dict[str, Any]:
    callers = [Caller("", role) for role, _text in ROLES]
    rows = [(visit.say(sentence), [_may(caller, doing) for caller in callers]) for sentence, doing in ABILITIES]
    return {"roles": role_words(visit), "rows": rows}


def _may(caller: Caller, doing: str) -> bool:
    try:
        caller.must(doing)
    except Denied:
        return False
    return True


def token_state(visit: Visit, one: Token) -> Shown:
    """Whether a token is good, in a word."""
    state = _STATES[tokens.state(one, visit.system)]
    return Shown(visit.say(state.word), state.tone)


def conditions(visit: Visit, found: Iterable[User]) -> list[list[tuple[str, str]]]:
    """What each user's certificate has to fit: by condition, its values; the names of authorities are asked for at once."""
    listed = tuple(found)
    names = named(visit.system, visit.caller, [("authority", one) for user in listed for one in user.certificate.authority_ids])
    return [_condition_rows(visit, one.certificate, names) for one in listed]


def _condition_rows(visit: Visit, certificate: Holders, names: Mapping[tuple[str, str], str]) -> list[tuple[str, str]]:
    held = [name for name, value in certificate if value]
    made = forms.made(visit, Holders, held, {})
    return [
        (made[name].label, ", ".join(names.get(("authority", value)) or value for value in getattr(certificate, name)))
        for name in held
    ]


def own_id(visit: Visit) -> str:
    """The id of the session that this visit is made in."""
    own: Session | None = visit.session
    return own.id if own is not None else ""


def _how_words(visit: Visit) -> dict[str, str]:
    return {how: visit.say(text) for how, text in _HOW.items()}


def role_words(visit: Visit) -> dict[str, str]:
    """What each role of a person means."""
    return {role: visit.say(text) for role, text in ROLES}


def token_role_words(visit: Visit) -> dict[str, str]:
    """What each role of a token means."""
    monitor, text = _MONITOR
    return {**role_words(visit), monitor: visit.say(text)}


def tab_link(name: str) -> str:
    """The address of one part of the page."""
    return url("/console/people", tab=name)


ROUTES: Final = (page("/console/people", find, may="token:read", current="people"),)
