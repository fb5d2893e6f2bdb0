"""Users: who signs in with a client certificate, what they may do, and which certificate is theirs."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from ostiary.console import forms
from ostiary.console.forms import Filled, Wrong
from ostiary.console.people import behind, conditions, own_id, role_words, tab_link
from ostiary.console.visit import Visit, action, page
from ostiary.errors import Conflict, Invalid
from ostiary.model.access import Holders
from ostiary.model.user import User
from ostiary.ops import client_cas, sessions, users
from ostiary.web.words import _

_CERTIFICATE: Final = "certificate."


def describe(visit: Visit) -> Response:
    """The pop-up in which a user is described."""
    return _popup(visit, _form(visit, {}), None)


def add(visit: Visit) -> Response:
    """Add them; or show the form once more with what is wrong."""
    form = _form(visit, {})
    try:
        made = users.create(visit.system, visit.caller, _wanted(visit, form))
    except (Invalid, Conflict, Wrong) as error:
        return _popup(visit, forms.typed(form, visit.form, forms.wrong(visit, error)), None, 422)
    return visit.see(tab_link("users"), visit.say(_("%(name)s was added."), name=made.name))


def show(visit: Visit) -> Response:
    """One user: what they may do, and whose certificate is theirs."""
    found = users.get(visit.system, visit.caller, visit.path["user_id"])
    signed_in = [one for one in sessions.find(visit.system, visit.caller) if one.name == found.name]
    return visit.page(
        "people_user.html",
        user=found,
        conditions=conditions(visit, [found])[0],
        sessions=signed_in,
        roles=role_words(visit),
    )


def edit(visit: Visit) -> Response:
    """The pop-up with what can be changed of a user."""
    found = users.get(visit.system, visit.caller, visit.path["user_id"])
    return _popup(visit, _form(visit, dict(found), found), found)


def save(visit: Visit) -> Response:
    """Change them; sessions that stood on what is no longer so end with that."""
    found = users.get(visit.system, visit.caller, visit.path["user_id"])
    form = _form(visit, dict(found), found)
    try:
        role, certificate = forms.every(
            lambda: forms.decoded(visit, User, form, visit.form),
            lambda: forms.decoded(visit, Holders, form, visit.form, path=_CERTIFICATE),
        )
        holders = Holders(**forms.given(certificate))
        _refuse_anybody(visit, holders)
        users.update(visit.system, visit.caller, found.id, {**forms.given(role), "certificate": holders})
    except (Invalid, Conflict, Wrong) as error:
        return _popup(visit, forms.typed(form, visit.form, forms.wrong(visit, error)), found, 422)
    return visit.see(tab_link("users"), visit.say(_("%(name)s was saved."), name=found.name))


def ask_delete(visit: Visit) -> Response:
    """Whether it is really meant, and whom it signs out."""
    found = users.get(visit.system, visit.caller, visit.path["user_id"])
    hanging = [one for one in sessions.find(visit.system, visit.caller) if one.user_id == found.id]
    own = any(one.id == own_id(visit) for one in hanging)
    return visit.page("people_user_delete.html", user=found, hanging=len(hanging), is_own=own, **behind(visit, "users"))


def delete(visit: Visit) -> Response:
    """Remove them, and with them their sessions."""
    found = users.get(visit.system, visit.caller, visit.path["user_id"])
    users.delete(visit.system, visit.caller, found.id)
    return visit.see(tab_link("users"), visit.say(_("%(name)s was deleted."), name=found.name))


def _wanted(visit: Visit, form: Filled) -> User:
    own, certificate = forms.every(
        lambda: forms.decoded(visit, User, form, visit.form),
        lambda: forms.decoded(visit, Holders, form, visit.form, path=_CERTIFICATE),
    )
    holders = Holders(**forms.given(certificate))
    _refuse_anybody(visit, holders)
    return User(id="", **forms.given(own), certificate=holders)


def _refuse_anybody(visit: Visit, holders: Holders) -> None:
    if holders.anybody:
        raise Wrong({"": visit.say(_("Say whose certificate it is: without a condition everybody would sign in as this user."))})


def _form(visit: Visit, values: dict[str, Any], known: User | None = None) -> Filled:
    """The form: who, their role, and the conditions that their certificate has to fit."""
    own = forms.made(
        visit,
        User,
        ("role",) if known else ("name", "role"),
        {"role": "auditor", **values},
        role=tuple(role_words(visit).items()),
    )
    holders = known.certificate if known is not None else Holders()
    signers = _authorities(visit, holders.authority_ids)
    conditions = forms.made(visit, Holders, tuple(Holders.model_fields), dict(holders), authority_ids=signers)
    without = {"role": replace(own["role"], help="")}  # its choices say it
    return forms.together(Filled({**own.controls, **without}), forms.under(conditions, _CERTIFICATE))


def _authorities(visit: Visit, chosen: Iterable[str]) -> list[tuple[str, str]]:
    """Those to choose from, and those that are chosen, however they are written."""
    offered, _count = client_cas.find(visit.system, visit.caller)
    found = {one.authority.id: one.authority.name or one.authority.subject for one in offered}
    return list({**found, **{one: found.get(one, one) for one in chosen}}.items())


def _popup(visit: Visit, form: Filled, known: User | None, status: int = 200) -> Response:
    conditions = form.part(_CERTIFICATE)
    return visit.page("people_user_edit.html", status, form=form, conditions=conditions, user=known, **behind(visit, "users"))


_ONE: Final = "/console/people/users/{user_id}"

ROUTES: Final = (
    page("/console/people/users/create", describe, may="user:create", current="people"),
    action("/console/people/users/create", add, may="user:create", current="people"),
    page(_ONE, show, may="user:read", current="people"),
    page(f"{_ONE}/edit", edit, may="user:update", current="people"),
    action(f"{_ONE}/edit", save, may="user:update", current="people"),
    page(f"{_ONE}/delete", ask_delete, may="user:delete", current="people"),
    action(f"{_ONE}/delete", delete, may="user:delete", current="people"),
)
