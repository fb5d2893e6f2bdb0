"""Access tokens, made, shown without their secret, and deleted; grants to enrol are shown and deleted here too."""

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from ostiary.console import forms, lists
from ostiary.console.forms import Filled, Wrong
from ostiary.console.people import behind, own_id, tab_link, token_role_words, token_state
from ostiary.console.visit import Visit, action, page
from ostiary.errors import Conflict, Invalid
from ostiary.model.token import ACCESS_LIFETIME, NewToken, Token
from ostiary.ops import sessions, tokens
from ostiary.ops.spoken_of import named
from ostiary.web.words import _


def describe(visit: Visit) -> Response:
    """The pop-up in which an access token is described."""
    return _popup(visit, _new_token(visit))


def make(visit: Visit) -> Response:
    """Make it. Its secret is in this answer and nowhere else: not in an address, not kept, not shown again."""
    form = _new_token(visit)
    try:
        wanted = NewToken(**forms.given(forms.decoded(visit, NewToken, form, visit.form)))
        token, secret = tokens.create(visit.system, visit.caller, wanted)
    except (Invalid, Conflict, Wrong) as error:
        return _popup(visit, forms.typed(form, visit.form, forms.wrong(visit, error)), 422)
    return visit.page("people_token_made.html", token=token, secret=bytes(secret).decode(), roles=token_role_words(visit))


def show(visit: Visit) -> Response:
    """One token, without its secret."""
    found = tokens.get(visit.system, visit.caller, visit.path["token_id"])
    asked = [("certificate", use.certificate_id) for use in found.used_for[: lists.PAGE]]
    asked += [("authority", found.authority_id)] if found.authority_id else []
    names = named(visit.system, visit.caller, asked)
    roles = token_role_words(visit)
    return visit.page("people_token.html", token=found, state=token_state(visit, found), names=names, roles=roles)


def ask_delete(visit: Visit) -> Response:
    """Whether it is really meant, and whom it signs out."""
    found = tokens.get(visit.system, visit.caller, visit.path["token_id"])
    hanging = [one for one in sessions.find(visit.system, visit.caller) if one.token_id == found.id]
    own = any(one.id == own_id(visit) for one in hanging)
    return visit.page("people_token_delete.html", token=found, hanging=len(hanging), is_own=own, **behind(visit, _tab_of(found)))


def delete(visit: Visit) -> Response:
    """From now on it opens nothing."""
    found = tokens.get(visit.system, visit.caller, visit.path["token_id"])
    tokens.delete(visit.system, visit.caller, found.id)
    return visit.see(tab_link(_tab_of(found)), visit.say(_("%(name)s was deleted."), name=found.name or found.id))


def _new_token(visit: Visit) -> Filled:
    values = {"role": "auditor", "expires_in": ACCESS_LIFETIME}
    made = forms.made(visit, NewToken, ("name", "role", "expires_in"), values, role=tuple(token_role_words(visit).items()))
    helps = {"name": visit.say(_("Who or what it is for: the record calls them so."))}
    return Filled({name: replace(one, help=helps.get(name, "")) for name, one in made.controls.items()})


def _popup(visit: Visit, form: Filled, status: int = 200) -> Response:
    return visit.page("people_token_create.html", status, form=form, **behind(visit, "tokens"))


def _tab_of(one: Token) -> str:
    return "tokens" if one.kind == "access" else "grants"


_ONE: Final = "/console/people/tokens/{token_id}"

ROUTES: Final = (
    page("/console/people/tokens/create", describe, may="token:access", current="people"),
    action("/console/people/tokens/create", make, may="token:access", current="people"),
    page(_ONE, show, may="token:read", current="people"),
    page(f"{_ONE}/delete", ask_delete, may="token:delete", current="people"),
    action(f"{_ONE}/delete", delete, may="token:delete", current="people"),
)
