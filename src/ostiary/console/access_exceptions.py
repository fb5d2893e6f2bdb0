"""Access exceptions: requests that need no certificate, each with somebody who answers for it and a day on which it ends."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from starlette.responses import Response

from ostiary.console import forms, lists, rule_words, which
from ostiary.console.attempts import NOT_YET, Attempt, attempt
from ostiary.console.forms import Filled
from ostiary.console.visit import Form, Visit, action, page, url
from ostiary.errors import NotFound
from ostiary.model.access import AccessException
from ostiary.model.listener import Listener
from ostiary.ops import access, exceptions, listeners, naming
from ostiary.web.words import _

NAMES: Final = ("name", "kind", "paths", "sources", "owner", "not_after")
KINDS: Final = {
    "CORS_PREFLIGHT": _("Preflights of browsers (CORS)"),
    "HEALTH_CHECK": _("Health checks"),
    "PATHS": _("Whatever is asked for at these paths"),
}
_USUAL: Final = timedelta(days=30)


def home(visit: Visit) -> Response:
    """Those of the listener that is chosen, or of all."""
    chosen = which.which(visit)
    return visit.page("access_exceptions.html", **around(visit, chosen.chosen, chosen))


def around(visit: Visit, listener: Listener | None, chosen: which.Which | None = None) -> dict[str, Any]:
    """All that the page shows, also behind a pop-up."""
    found = lists.listed(
        visit,
        lambda query: exceptions.find(visit.system, visit.caller, query),
        filters=(("listener_id", listener.id),) if listener is not None else (),
        sort=(("not_after", False),),
    )
    its = chosen or which.which(visit, search="", chosen=listener.id if listener is not None else "")
    names = naming.listeners(visit.system, visit.caller, [one.listener_id for one in found.items])
    rows = [
        {
            "exception": one,
            "kind": visit.say(KINDS[one.kind]),
            "what": rule_words.what(visit, one),
            "is_active": exceptions.state(one, visit.at) == "ACTIVE",
            "ends_soon": visit.at < one.not_after <= visit.at + exceptions.ENDS_SOON,
            "listener": names[one.listener_id],
        }
        for one in found.items
    ]
    return {"listener": listener, "which": its, "found": found, "rows": rows, "back": _back(listener)}


def ask_create(visit: Visit) -> Response:
    """An empty form, or with what the page before has put into it."""
    chosen = which.which(visit)
    if chosen.chosen is None:
        raise NotFound("Listener", chosen.gone)
    return _popup(visit, chosen.chosen, None)


def create(visit: Visit) -> Response:
    """Add it."""
    listener = listeners.get(visit.system, visit.caller, visit.form.text("listener_id"))

    def do() -> AccessException:
        values = forms.given(forms.decoded(visit, AccessException, _form(visit, None), visit.form))
        return exceptions.create(visit.system, visit.caller, AccessException(listener_id=listener.id, **values))

    done = attempt(visit, "access_exception", do)
    if not done.is_done:
        return _popup(visit, listener, None, done)
    return visit.see(_back(listener), visit.say(_("%(name)s was added."), name=visit.form.text("name")))


def ask_edit(visit: Visit) -> Response:
    """The exception as it is."""
    one = exceptions.get(visit.system, visit.caller, visit.path["exception_id"])
    return _popup(visit, listeners.get(visit.system, visit.caller, one.listener_id), one)


def edit(visit: Visit) -> Response:
    """Change it; with a later end it is renewed."""
    one = exceptions.get(visit.system, visit.caller, visit.path["exception_id"])
    listener = listeners.get(visit.system, visit.caller, one.listener_id)
    form = _form(visit, one)

    def do() -> AccessException:
        values = forms.decoded(visit, AccessException, form, visit.form)
        if visit.form.text("not_after") == form["not_after"].value:
            del values["not_after"]  # as it was shown: a form shows no seconds, and would lose them
        changes = forms.differing(one, values)
        return exceptions.update(visit.system, visit.caller, one.id, changes, since=visit.form.seen(one.revision))

    done = attempt(visit, "access_exception", do)
    if not done.is_done:
        newest = exceptions.get(visit.system, visit.caller, one.id) if done.meanwhile else one
        return _popup(visit, listener, newest, done)
    return visit.see(_back(listener), visit.say(_("%(name)s was saved."), name=visit.form.text("name")))


def ask_end(visit: Visit) -> Response:
    """What ends with it."""
    return _ask(visit, "access_exception_end.html")


def end(visit: Visit) -> Response:
    """End it now; it stays listed, as what was."""
    one = exceptions.end(visit.system, visit.caller, visit.path["exception_id"])
    listener = listeners.get(visit.system, visit.caller, one.listener_id)
    return visit.see(_back(listener), visit.say(_("%(name)s has ended."), name=one.name))


def ask_delete(visit: Visit) -> Response:
    """What goes with it."""
    return _ask(visit, "access_exception_delete.html")


def delete(visit: Visit) -> Response:
    """Remove it from the list."""
    one = exceptions.get(visit.system, visit.caller, visit.path["exception_id"])
    listener = listeners.get(visit.system, visit.caller, one.listener_id)
    exceptions.delete(visit.system, visit.caller, one.id)
    return visit.see(_back(listener), visit.say(_("%(name)s was deleted."), name=one.name))


def _ask(visit: Visit, template: str) -> Response:
    one = exceptions.get(visit.system, visit.caller, visit.path["exception_id"])
    listener = listeners.get(visit.system, visit.caller, one.listener_id)
    is_active = exceptions.state(one, visit.at) == "ACTIVE"
    return visit.page(template, exception=one, is_active=is_active, **around(visit, listener))


def _form(visit: Visit, one: AccessException | None) -> Filled:
    kinds = [(value, visit.say(text)) for value, text in KINDS.items()]
    if one is None:
        return forms.made(visit, AccessException, NAMES, {"not_after": visit.at + _USUAL}, kind=kinds)
    return forms.made(visit, AccessException, [name for name in NAMES if name != "kind"], dict(one))


def _popup(visit: Visit, listener: Listener, one: AccessException | None, done: Attempt = NOT_YET) -> Response:
    form = _form(visit, one)
    prefilled: Mapping[str, tuple[str, ...]] = {name: (visit.query[name][:1000],) for name in NAMES if name in visit.query}
    given = visit.form if visit.form.texts else Form(prefilled)
    count = access.counts(visit.system, visit.caller, [listener.id]).get(listener.id, (0, 0))[1]
    return visit.page(
        "access_exception_edit.html",
        done.status,
        **around(visit, listener),
        exception=one,
        kind=visit.say(KINDS[one.kind]) if one is not None else "",
        form=forms.typed(form, given, done.errors),
        meanwhile=done.meanwhile,
        revision=done.seen(visit, one) if one is not None else 0,
        is_first=one is None and not count and listener.client_authentication == "MANDATORY",
    )


def _back(listener: Listener | None) -> str:
    return url("/console/access/exceptions", listener_id=listener.id if listener is not None else "")


ROUTES: Final = (
    page("/console/access/exceptions", home, may="access-exception:read", current="access"),
    page("/console/access/exceptions/create", ask_create, may="access-exception:create", current="access"),
    action("/console/access/exceptions/create", create, may="access-exception:create", current="access"),
    page("/console/access/exceptions/{exception_id}/edit", ask_edit, may="access-exception:read", current="access"),
    action("/console/access/exceptions/{exception_id}/edit", edit, may="access-exception:update", current="access"),
    page("/console/access/exceptions/{exception_id}/end", ask_end, may="access-exception:update", current="access"),
    action("/console/access/exceptions/{exception_id}/end", end, may="access-exception:update", current="access"),
    page("/console/access/exceptions/{exception_id}/delete", ask_delete, may="access-exception:delete", current="access"),
    action("/console/access/exceptions/{exception_id}/delete", delete, may="access-exception:delete", current="access"),
)
