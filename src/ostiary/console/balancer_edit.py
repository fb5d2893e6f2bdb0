"""The pop-ups in which a load balancer is changed, taken out of service and deleted."""

from typing import Any, Final

from starlette.responses import Response

from ostiary.console import balancers as pages
from ostiary.console import forms
from ostiary.console.attempts import NOT_YET, Attempt, attempt
from ostiary.console.forms import Filled
from ostiary.console.visit import Visit, action, page, url
from ostiary.model.balancer import LoadBalancer
from ostiary.ops import balancers, lately, related
from ostiary.web.words import _

_FIELDS: Final = ("name", "description", "admin_state_up", "tags")


def edit(visit: Visit) -> Response:
    """The pop-up, over the settings of the load balancer."""
    balancer = _balancer(visit)
    return _popup(visit, balancer, _form(visit, balancer))


def save(visit: Visit) -> Response:
    """Take what was sent."""
    balancer = _balancer(visit)
    done = attempt(visit, "loadbalancer", lambda: _update(visit, balancer))
    if done.is_done:
        return visit.see(_settings(balancer), visit.say(_("%(name)s was saved."), name=balancer.name))
    newest = _balancer(visit)
    return _popup(visit, newest, forms.typed(_form(visit, newest), visit.form, done.errors), done)


def ask_service(visit: Visit) -> Response:
    """What it would mean to take it out of service."""
    balancer = _balancer(visit)
    return visit.page("balancer_service.html", **_around(visit, balancer))


def service(visit: Visit) -> Response:
    """Out of service, or back."""
    balancer = _balancer(visit)
    is_in = visit.form.ticked("in")
    balancers.update(visit.system, visit.caller, balancer.id, {"admin_state_up": is_in})
    said = _("%(name)s is in service.") if is_in else _("%(name)s is out of service.")
    return visit.see(_settings(balancer), visit.say(said, name=balancer.name))


def ask_delete(visit: Visit) -> Response:
    """What goes with it."""
    return visit.page("balancer_delete.html", **_around(visit, _balancer(visit)))


def delete(visit: Visit) -> Response:
    """Remove it with all that hangs on it."""
    balancer = _balancer(visit)
    balancers.delete(visit.system, visit.caller, balancer.id, cascade=True)
    return visit.see("/console/balancers", visit.say(_("%(name)s was deleted."), name=balancer.name))


def _balancer(visit: Visit) -> LoadBalancer:
    return balancers.get(visit.system, visit.caller, visit.path["balancer_id"])


def _form(visit: Visit, balancer: LoadBalancer) -> Filled:
    return forms.made(visit, LoadBalancer, _FIELDS, dict(balancer))


def _update(visit: Visit, balancer: LoadBalancer) -> None:
    values = forms.decoded(visit, LoadBalancer, _form(visit, balancer), visit.form)
    changes = forms.differing(balancer, {name: value for name, value in values.items() if visit.form.has(name)})
    balancers.update(visit.system, visit.caller, balancer.id, changes, since=visit.form.seen(balancer.revision))


def _popup(visit: Visit, balancer: LoadBalancer, form: Filled, done: Attempt = NOT_YET) -> Response:
    return visit.page(
        "balancer_edit.html",
        done.status,
        **pages.around(visit, balancer.id, "settings"),
        form=form,
        revision=done.seen(visit, balancer),
        meanwhile=done.meanwhile,
        back=_settings(balancer),
    )


def _around(visit: Visit, balancer: LoadBalancer) -> dict[str, Any]:
    """The page below, and what would be hit."""
    its = related.of_balancers(visit.system, [balancer.id])[balancer.id]
    return {
        **pages.around(visit, balancer.id, "settings"),
        "listener_count": len(its.listeners),
        "pool_count": len(its.pools),
        "lately": lately.at_listeners(visit.system, visit.caller, its.listeners),
        "back": _settings(balancer),
    }


def _settings(balancer: LoadBalancer) -> str:
    return url(f"/console/balancers/{balancer.id}", tab="settings")


ROUTES: Final = (
    page("/console/balancers/{balancer_id}/edit", edit, may="loadbalancer:update", current="balancers"),
    action("/console/balancers/{balancer_id}/edit", save, may="loadbalancer:update", current="balancers"),
    page("/console/balancers/{balancer_id}/service", ask_service, may="loadbalancer:update", current="balancers"),
    action("/console/balancers/{balancer_id}/service", service, may="loadbalancer:update", current="balancers"),
    page("/console/balancers/{balancer_id}/delete", ask_delete, may="loadbalancer:delete", current="balancers"),
    action("/console/balancers/{balancer_id}/delete", delete, may="loadbalancer:delete", current="balancers"),
)
