"""Listeners: the pop-ups in which one is made, changed and deleted, with the switch in Advanced Settings: Enable Client CA."""

from typing import Any, Final

from starlette.responses import Response

from ostiary.console import balancers, client_ca, forms, listener_form
from ostiary.console.attempts import NOT_YET, Attempt, attempt
from ostiary.console.forms import Filled
from ostiary.console.visit import Visit, action, page, url
from ostiary.errors import Invalid
from ostiary.model.listener import Listener
from ostiary.model.rehearsal import Preview
from ostiary.ops import lately, listeners, rehearsals
from ostiary.web.words import _

_KEPT_OFF: Final = frozenset({"loadbalancer_id", "project_id"})  # not asked for in the form of a new one


def edit(visit: Visit) -> Response:
    """The pop-up, over the page it was opened on."""
    listener = listeners.get(visit.system, visit.caller, visit.path["listener_id"])
    return _popup(visit, listener, _form(visit, listener))


def save(visit: Visit) -> Response:
    """Take what was sent; or show the form once more, as it was sent, with what is wrong with it."""
    listener = listeners.get(visit.system, visit.caller, visit.path["listener_id"])
    form = _form(visit, listener)
    if visit.form.ticked("look"):  # not to be saved yet: only to see what would happen, or to look for an authority
        return _popup(visit, listener, forms.typed(form, visit.form), looked=True)
    done = attempt(visit, "listener", lambda: _update(visit, listener, form))
    if done.is_done:
        said = visit.say(_("%(name)s was saved."), name=listener.name or listener.id)
        return visit.see(_back(listener), said if done.made else visit.say(_("Nothing was changed.")))
    newest = listeners.get(visit.system, visit.caller, listener.id)
    return _popup(visit, newest, forms.typed(_form(visit, newest), visit.form, done.errors), done)


def effect(visit: Visit) -> Response:
    """What saving would do to the clients there are: a piece of the pop-up, asked for as choices are made."""
    listener = listeners.get(visit.system, visit.caller, visit.path["listener_id"])
    mode = visit.query.get(client_ca.MODE, "NONE") if visit.query.get(client_ca.SWITCH) else "NONE"
    preview = _preview(visit, listener, mode, visit.query.get(client_ca.CLIENT_CA, ""))
    return visit.page("listener_effect.html", preview=preview)


def new(visit: Visit) -> Response:
    """The pop-up of a new listener, at the next free port."""
    balancer_id = visit.path["balancer_id"]
    return _new_popup(visit, balancer_id, _new_form(visit, balancer_id))


def create(visit: Visit) -> Response:
    """Open a port."""
    balancer_id = visit.path["balancer_id"]
    form = _new_form(visit, balancer_id)
    if visit.form.ticked("look"):
        return _new_popup(visit, balancer_id, forms.typed(form, visit.form))
    done = attempt(visit, "listener", lambda: listeners.create(visit.system, visit.caller, _wanted(visit, balancer_id, form)))
    if not done.is_done:
        return _new_popup(visit, balancer_id, forms.typed(form, visit.form, done.errors), done.status)
    listener = done.made
    return visit.see(_tab(balancer_id), visit.say(_("%(name)s was created."), name=listener.name or listener.id))


def ask_delete(visit: Visit) -> Response:
    """Whether it is really meant, and whom it would hit."""
    listener = listeners.get(visit.system, visit.caller, visit.path["listener_id"])
    around = balancers.around(visit, listener.loadbalancer_id, "listener")
    came = lately.at_listeners(visit.system, visit.caller, [listener.id])
    return visit.page("listener_delete.html", listener=listener, lately=came, back=_back(listener), **around)


def delete(visit: Visit) -> Response:
    """Close the port."""
    listener = listeners.get(visit.system, visit.caller, visit.path["listener_id"])
    listeners.delete(visit.system, visit.caller, listener.id)
    return visit.see(_back(listener), visit.say(_("%(name)s was deleted."), name=listener.name or listener.id))


def _form(visit: Visit, listener: Listener) -> Filled:
    names = listener_form.names(listener.protocol, forms.settable(Listener, later=True))
    its = listener_form.choices(visit, listener.loadbalancer_id, listener)
    return forms.made(visit, Listener, names, dict(listener), **its)


def _new_form(visit: Visit, balancer_id: str) -> Filled:
    names = tuple(name for name in forms.settable(Listener) if name not in _KEPT_OFF)
    values = {
        "protocol": "TERMINATED_HTTPS",
        "protocol_port": listeners.free_port(visit.system, visit.caller, balancer_id=balancer_id),
        "insert_headers": dict.fromkeys(listener_form.FIRST_HEADERS, "true"),
    }
    its = listener_form.choices(visit, balancer_id)
    return forms.made(visit, Listener, names, values, **its, protocol=listener_form.PROTOCOLS)


def _wanted(visit: Visit, balancer_id: str, form: Filled) -> Listener:
    """The listener that was asked for. What its protocol does not have was not shown, and is left out. Raises `Wrong`."""
    protocol = visit.form.text("protocol")
    names = listener_form.names(protocol, tuple(form.controls))
    values = forms.decoded(visit, Listener, Filled({name: form[name] for name in names}), visit.form)
    if protocol == "TERMINATED_HTTPS":
        values = client_ca.settled(visit, visit.form, values)
    given = {name: value for name, value in values.items() if value is not None}
    return Listener(loadbalancer_id=balancer_id, **given)


def _update(visit: Visit, listener: Listener, form: Filled) -> bool:
    """Says whether there was anything to change."""
    changes = _changes(visit, listener, form)
    if not changes:
        return False
    listeners.update(visit.system, visit.caller, listener.id, changes, since=visit.form.seen(listener.revision))
    return True


def _changes(visit: Visit, listener: Listener, form: Filled) -> dict[str, Any]:
    """What differs from how it is; what was not shown is not changed. Raises `Wrong`."""
    values = forms.decoded(visit, Listener, form, visit.form)
    sent = {name for name in values if name in visit.form.texts or name in visit.form.all(forms.PRESENT)}
    if listener.is_tls:
        values = client_ca.settled(visit, visit.form, values)
        if client_ca.SWITCH in visit.form.all(forms.PRESENT):
            sent |= {client_ca.MODE, client_ca.CLIENT_CA}
            sent |= set() if visit.form.ticked(client_ca.SWITCH) else {client_ca.CRL}
    return {name: value for name, value in values.items() if name in sent and not listener_form.same(listener, name, value)}


def _popup(
    visit: Visit,
    listener: Listener,
    form: Filled,
    done: Attempt = NOT_YET,
    *,
    looked: bool = False,
) -> Response:
    switch = client_ca.shown(visit, visit.form, listener) if listener.is_tls else None
    preview = None
    if switch is not None and (looked or visit.form.texts):
        preview = _preview(visit, listener, switch.mode if switch.is_on else "NONE", switch.chosen)
    return visit.page(
        "listener_edit.html",
        done.status,
        **balancers.around(visit, listener.loadbalancer_id, "listener"),
        listener=listener,
        revision=done.seen(visit, listener),
        form=form,
        ca=switch,
        groups=listener_form.grouped(visit, form),
        others=listener_form.others(form),
        preview=preview,
        meanwhile=done.meanwhile,
        back=_back(listener),
        changed=_changed(form),
    )


def _new_popup(visit: Visit, balancer_id: str, form: Filled, status: int = 200) -> Response:
    return visit.page(
        "listener_create.html",
        status,
        **balancers.around(visit, balancer_id, "listener"),
        form=form,
        ca=client_ca.shown(visit, visit.form),
        groups=listener_form.grouped(visit, form),
        others=listener_form.others(form),
        back=_tab(balancer_id),
    )


def _changed(form: Filled) -> int:
    """How many advanced settings differ from what they would be if nobody had said anything."""
    return sum(one.is_changed for one in form.advanced())


def _preview(visit: Visit, listener: Listener, mode: str, chosen: str) -> Preview | None:
    """What is known of whom it would shut out; None to those who may not know."""
    if not visit.can("rehearsal:read"):
        return None
    try:
        return rehearsals.preview(visit.system, visit.caller, listener.id, client_authentication=mode, client_ca=chosen or None)
    except Invalid:
        return None


def _back(listener: Listener) -> str:
    return _tab(listener.loadbalancer_id)


def _tab(balancer_id: str) -> str:
    return url(f"/console/balancers/{balancer_id}", tab="listener")


ROUTES: Final = (
    page("/console/balancers/{balancer_id}/listeners/create", new, may="listener:create", current="balancers"),
    action("/console/balancers/{balancer_id}/listeners/create", create, may="listener:create", current="balancers"),
    page("/console/listeners/{listener_id}/edit", edit, may="listener:read", current="balancers"),
    action("/console/listeners/{listener_id}/edit", save, may="listener:update", current="balancers"),
    page("/console/listeners/{listener_id}/effect", effect, may="listener:read"),
    page("/console/listeners/{listener_id}/delete", ask_delete, may="listener:delete", current="balancers"),
    action("/console/listeners/{listener_id}/delete", delete, may="listener:delete", current="balancers"),
)
