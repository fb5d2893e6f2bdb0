"""Create a Load Balancer, step by step, with all that hangs on it; one call makes it in the end."""

from typing import Any, Final

from starlette.responses import Response

from ostiary.console import client_ca, drafts
from ostiary.console.drafts import STEPS, Draft
from ostiary.console.forms import Wrong
from ostiary.console.visit import Visit, action, page
from ostiary.errors import Conflict, Invalid
from ostiary.ops import addresses, balancers
from ostiary.web.words import _

_ORDER: Final = tuple(STEPS)


def begin(visit: Visit) -> Response:
    """The first step. What is chosen in none of them is something that works."""
    return _shown(visit, drafts.draft(visit, visit.form, (0,)), _ORDER[0])


def go_on(visit: Visit) -> Response:
    """To another step, to the same with a row more or less, or to the end."""
    step = visit.form.text("step") if visit.form.text("step") in STEPS else _ORDER[0]
    rows, wish = drafts.rows_of(visit.form), visit.form.text("go")
    if wish.startswith("remove."):
        rows = tuple(row for row in rows if wish != f"remove.{row}") or (0,)
    elif wish == "add" and len(rows) < drafts.ROWS_MAX:
        rows = (*rows, min(set(range(drafts.ROWS_MAX)) - set(rows)))
    draft = drafts.draft(visit, drafts.with_rows(visit.form, rows), rows)
    if visit.form.ticked("look") or wish == "add" or wish.startswith("remove."):
        return _shown(visit, draft, step)
    if wish == "create":
        return _create(visit, draft)
    if wish in STEPS:
        return _shown(visit, draft, wish)
    if wish == "back":
        return _shown(visit, draft, _ORDER[max(_ORDER.index(step) - 1, 0)])
    try:
        drafts.check(visit, draft, step)
    except Wrong as error:
        return _shown(visit, draft.with_errors(error.errors), step, 422)
    return _shown(visit, draft, _ORDER[min(_ORDER.index(step) + 1, len(_ORDER) - 1)])


def _create(visit: Visit, draft: Draft) -> Response:
    """All of it or nothing. What is refused leads back to the step in which it stands."""
    try:
        wanted = drafts.wanted(visit, draft)
        made = balancers.create(visit.system, visit.caller, wanted.balancer, with_listeners=[wanted.listener])
    except (Invalid, Conflict, Wrong) as error:
        errors = drafts.refused(visit, draft, error)
        step = next((found for name in errors if (found := drafts.step_of(name))), _ORDER[0])
        return _shown(visit, draft.with_errors(errors), step, 422)
    return visit.see(f"/console/balancers/{made.id}", visit.say(_("%(name)s was created."), name=made.name))


def _shown(visit: Visit, draft: Draft, step: str, status: int = 200) -> Response:
    return visit.page(
        "balancer_create.html",
        status,
        draft=draft,
        form=draft.form,
        step=step,
        number=_ORDER.index(step),
        steps={name: visit.say(title) for name, title in STEPS.items()},
        hidden=list(draft.hidden(step)),
        ca=client_ca.shown(visit, draft.sent, path="listener.") if step == "listener" else None,
        own=addresses.own() if step == _ORDER[0] else (),
        summary=_summary(visit, draft),
    )


def _summary(visit: Visit, draft: Draft) -> dict[str, Any]:
    """What would be made, as far as it stands now."""
    form = draft.form
    chosen = draft.text(f"listener.{client_ca.CLIENT_CA}")
    is_on = draft.protocol == "TERMINATED_HTTPS" and draft.sent.ticked(f"listener.{client_ca.SWITCH}")
    return {
        "layer": form[drafts.LAYER].chosen,
        "protocol": form["listener.protocol"].chosen,
        "certificate": form["listener.default_tls_container_ref"].chosen if draft.protocol == "TERMINATED_HTTPS" else "",
        "client_ca": client_ca.name(visit, chosen) if is_on else "",
        "algorithm": form["pool.lb_algorithm"].chosen,
        "sticky": form["pool.session_persistence.type"].chosen,
        "check": form["monitor.type"].chosen,
        "members": [
            {name: draft.text(f"members.{row}.{name}") for name in ("address", "protocol_port", "weight")}
            for row in draft.rows
            if draft.text(f"members.{row}.address")
        ],
    }


ROUTES: Final = (
    page("/console/balancers/create", begin, may="loadbalancer:create", current="balancers"),
    action("/console/balancers/create", go_on, may="loadbalancer:create", current="balancers"),
)
