"""The health check of a pool: set up, changed and ended, in pop-ups over the page of the pool."""

from typing import Any, Final

from starlette.responses import Response

from ostiary.console import forms, pool_form, pools
from ostiary.console.attempts import NOT_YET, Attempt, attempt
from ostiary.console.forms import Filled
from ostiary.console.visit import Visit, action, page
from ostiary.errors import NotFound
from ostiary.model.health import HealthMonitor
from ostiary.ops import monitors, related
from ostiary.web.words import _

_LATER: Final = ("delay", "timeout", "max_retries", "max_retries_down", *pool_form.OF_REQUESTS, "admin_state_up")


def new(visit: Visit) -> Response:
    """The pop-up of a pool that has none."""
    return _popup(visit, _new_form(visit))


def create(visit: Visit) -> Response:
    """Ask its members from now on."""
    form = _new_form(visit)
    done = attempt(visit, "healthmonitor", lambda: _create(visit, form))
    if not done.is_done:
        return _popup(visit, forms.typed(form, visit.form, done.errors), done)
    return visit.see(_pool(visit), visit.say(_("The health check was set up.")))


def edit(visit: Visit) -> Response:
    """The pop-up of the one there is."""
    monitor = _monitor(visit)
    return _popup(visit, _form(visit, monitor), check=monitor)


def save(visit: Visit) -> Response:
    """Take what was sent."""
    monitor = _monitor(visit)
    done = attempt(visit, "healthmonitor", lambda: _update(visit, monitor))
    if done.is_done:
        return visit.see(_pool(visit), visit.say(_("The health check was saved.")))
    newest = _monitor(visit)
    return _popup(visit, forms.typed(_form(visit, newest), visit.form, done.errors), done, check=newest)


def ask_delete(visit: Visit) -> Response:
    """What it would mean to have none."""
    _monitor(visit)
    return visit.page("check_delete.html", **pools.around(visit))


def delete(visit: Visit) -> Response:
    """Take all members to be well from now on."""
    monitors.delete(visit.system, visit.caller, _monitor(visit).id)
    return visit.see(_pool(visit), visit.say(_("The health check was deleted.")))


def _monitor(visit: Visit) -> HealthMonitor:
    pool_id = visit.path["pool_id"]
    found = related.of_pools(visit.system, [pool_id])[pool_id].monitor
    if found is None:
        raise NotFound("Health check of pool", pool_id)
    return monitors.get(visit.system, visit.caller, found)


def _new_form(visit: Visit) -> Filled:
    types = pool_form.check_types(visit, none=False)
    return forms.made(visit, HealthMonitor, ("type", *_LATER), pool_form.FIRST_CHECK, type=types)


def _form(visit: Visit, monitor: HealthMonitor) -> Filled:
    names = tuple(name for name in _LATER if monitor.type != "TCP" or name not in pool_form.OF_REQUESTS)
    return forms.made(visit, HealthMonitor, names, dict(monitor))


def _create(visit: Visit, form: Filled) -> HealthMonitor:
    values = forms.given(pool_form.check(visit, form, visit.form))
    return monitors.create(visit.system, visit.caller, HealthMonitor(pool_id=visit.path["pool_id"], **values))


def _update(visit: Visit, monitor: HealthMonitor) -> None:
    changes = forms.differing(monitor, forms.decoded(visit, HealthMonitor, _form(visit, monitor), visit.form))
    monitors.update(visit.system, visit.caller, monitor.id, changes, since=visit.form.seen(monitor.revision))


def _popup(visit: Visit, form: Filled, done: Attempt = NOT_YET, *, check: HealthMonitor | None = None) -> Response:
    its: dict[str, Any] = {"form": form, "check": check, "meanwhile": done.meanwhile}
    if check is not None:
        its["revision"] = done.seen(visit, check)
    return visit.page("check_edit.html", done.status, **its, **pools.around(visit))


def _pool(visit: Visit) -> str:
    return f"/console/pools/{visit.path['pool_id']}"


_ONE: Final = "/console/pools/{pool_id}/check"

ROUTES: Final = (
    page(f"{_ONE}/create", new, may="healthmonitor:create", current="balancers"),
    action(f"{_ONE}/create", create, may="healthmonitor:create", current="balancers"),
    page(f"{_ONE}/edit", edit, may="healthmonitor:update", current="balancers"),
    action(f"{_ONE}/edit", save, may="healthmonitor:update", current="balancers"),
    page(f"{_ONE}/delete", ask_delete, may="healthmonitor:delete", current="balancers"),
    action(f"{_ONE}/delete", delete, may="healthmonitor:delete", current="balancers"),
)
