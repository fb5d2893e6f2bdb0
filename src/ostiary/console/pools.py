"""Pools: the page of one, with its members and how they do, and the pop-ups in which one is made, changed and deleted."""

from typing import Any, Final

from starlette.responses import Response

from ostiary.console import balancers as of_balancer
from ostiary.console import chosen, forms, lists, pool_form, status
from ostiary.console.attempts import NOT_YET, Attempt, attempt
from ostiary.console.forms import Filled
from ostiary.console.visit import Visit, action, live, page, url
from ostiary.model.pool import Member, Pool
from ostiary.ops import balancers, client_cas, lately, members, monitors, naming, pools, related, served
from ostiary.web.words import _

_PLAIN: Final = ("name", "description", "admin_state_up", "tags", "lb_algorithm", "tls_enabled")
_REFERENCES: Final = ("tls_container_ref", "ca_tls_container_ref", "crl_container_ref")
_TLS: Final = (*_REFERENCES, "tls_versions", "tls_ciphers", "alpn_protocols")
# What stands at the head of the page.
_ABOVE: Final = ("name", "loadbalancer_id", "project_id", "protocol", "lb_algorithm", "session_persistence")


def details(visit: Visit) -> Response:
    """One pool."""
    return visit.page("pool.html", **around(visit))


def details_live(visit: Visit) -> str:
    """The statuses on the page, as they change."""
    return visit.part("pool_live.html", **around(visit))


def new(visit: Visit) -> Response:
    """The pop-up of a new one."""
    return _new_popup(visit, _new_form(visit))


def create(visit: Visit) -> Response:
    """Make it; members are attached on its own page."""
    form = _new_form(visit)
    done = attempt(visit, "pool", lambda: pools.create(visit.system, visit.caller, _wanted(visit, form)))
    if not done.is_done:
        return _new_popup(visit, forms.typed(form, visit.form, done.errors), done.status)
    return visit.see(f"/console/pools/{done.made.id}", visit.say(_("%(name)s was created."), name=done.made.name or done.made.id))


def edit(visit: Visit) -> Response:
    """The pop-up, over the page of the pool."""
    pool = pools.get(visit.system, visit.caller, visit.path["pool_id"])
    return _popup(visit, pool, _form(visit, pool))


def save(visit: Visit) -> Response:
    """Take what was sent."""
    pool = pools.get(visit.system, visit.caller, visit.path["pool_id"])
    form = _form(visit, pool)
    done = attempt(visit, "pool", lambda: _update(visit, pool, form))
    if done.is_done:
        return visit.see(f"/console/pools/{pool.id}", visit.say(_("%(name)s was saved."), name=pool.name or pool.id))
    newest = pools.get(visit.system, visit.caller, pool.id)
    return _popup(visit, newest, forms.typed(_form(visit, newest), visit.form, done.errors), done)


def ask_delete(visit: Visit) -> Response:
    """What goes with it, and who would answer no more."""
    its = around(visit)
    came = lately.at_listeners(visit.system, visit.caller, tuple(its["listeners"]))
    return visit.page("pool_delete.html", lately=came, **its)


def delete(visit: Visit) -> Response:
    """Remove it with its members."""
    pool = pools.get(visit.system, visit.caller, visit.path["pool_id"])
    pools.delete(visit.system, visit.caller, pool.id)
    return visit.see(_tab(pool.loadbalancer_id), visit.say(_("%(name)s was deleted."), name=pool.name or pool.id))


def around(visit: Visit) -> dict[str, Any]:
    """All that the page of a pool shows, also behind a pop-up."""
    pool = pools.get(visit.system, visit.caller, visit.path["pool_id"])
    its = related.of_pools(visit.system, [pool.id])[pool.id]
    found = lists.listed(
        visit,
        lambda query: members.find(visit.system, visit.caller, pool.id, query),
        sort=(("address", False), ("protocol_port", False)),
    )
    monitor = monitors.get(visit.system, visit.caller, its.monitor) if its.monitor else None
    return {
        "pool": pool,
        "balancer": balancers.get(visit.system, visit.caller, pool.loadbalancer_id),
        "state": status.applied(visit, pool),
        "health": status.health(visit, pool),
        "found": found,
        "rows": [_row(visit, one) for one in found.items],
        "member_count": len(its.members),
        "monitor": monitor,
        "listeners": naming.listeners(visit.system, visit.caller, its.listeners),
        "chosen": chosen.rows(visit, "pool", pool, but=_ABOVE),
        "back": f"/console/pools/{pool.id}",
    }


def _row(visit: Visit, member: Member) -> dict[str, Any]:
    return {"member": member, "state": status.applied(visit, member), "health": status.health(visit, member)}


def _choices(visit: Visit, pool: Pool | None = None) -> dict[str, forms.Choices]:
    held: dict[str, str | None] = {name: getattr(pool, name) if pool else None for name in _REFERENCES}
    kept = {name: visit.form.text(name) or held[name] for name in _REFERENCES}
    none = ("", visit.say(_("None")))
    shown = served.certificates(visit.system, visit.caller, keep=[held["tls_container_ref"], kept["tls_container_ref"]])
    known, _count = client_cas.find(visit.system, visit.caller, limit=100)
    bundles = served.bundles(visit.system, visit.caller, None)
    authorities = {one.href: one.authority.name or one.authority.subject for one in known} | {
        one.href: one.name for one in bundles
    }
    chosen = kept["ca_tls_container_ref"]
    if chosen and chosen not in authorities:
        authorities |= client_cas.named(visit.system, visit.caller, [chosen])
    lists_of = served.revocation_lists(visit.system, visit.caller, kept["crl_container_ref"])
    return {
        "tls_container_ref": [none, *((one.href, one.name) for one in shown)],
        "ca_tls_container_ref": [("", visit.say(_("Nobody in particular: members are not verified"))), *authorities.items()],
        "crl_container_ref": [none, *((one.href, one.name) for one in lists_of)],
    }


def _form(visit: Visit, pool: Pool) -> Filled:
    made = forms.made(visit, Pool, (*_PLAIN, *_TLS), dict(pool), **_choices(visit, pool))
    return forms.together(made, pool_form.sticky(visit, pool, cookies=pool.protocol != "TCP"))


def _new_form(visit: Visit) -> Filled:
    spoken = [(one, visit.say(forms.CHOICES.get(one, one))) for one in ("HTTP", "TCP", "PROXY", "PROXYV2")]
    values = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    made = forms.made(visit, Pool, ("protocol", *_PLAIN, *_TLS), values, **_choices(visit), protocol=spoken)
    return forms.together(made, pool_form.sticky(visit))


def _values(visit: Visit, form: Filled) -> dict[str, Any]:
    """What was typed. Without TLS to members, what belongs to it was not shown, and refers to nothing any more."""
    is_on = visit.form.ticked("tls_enabled")
    names = [name for name in form.controls if name in Pool.model_fields and (is_on or name not in _TLS)]
    values, sticky = forms.every(
        lambda: forms.decoded(visit, Pool, forms.only(form, names), visit.form),
        lambda: pool_form.stickiness(visit, form, visit.form),
    )
    return {**values, **sticky, **({} if is_on else dict.fromkeys(_REFERENCES))}


def _wanted(visit: Visit, form: Filled) -> Pool:
    return Pool(loadbalancer_id=visit.path["balancer_id"], **forms.given(_values(visit, form)))


def _update(visit: Visit, pool: Pool, form: Filled) -> None:
    changes = forms.differing(pool, _values(visit, form))
    pools.update(visit.system, visit.caller, pool.id, changes, since=visit.form.seen(pool.revision))


def _popup(visit: Visit, pool: Pool, form: Filled, done: Attempt = NOT_YET) -> Response:
    return visit.page(
        "pool_edit.html",
        done.status,
        form=form,
        revision=done.seen(visit, pool),
        meanwhile=done.meanwhile,
        **around(visit),
    )


def _new_popup(visit: Visit, form: Filled, code: int = 200) -> Response:
    balancer_id = visit.path["balancer_id"]
    return visit.page(
        "pool_create.html", code, form=form, back=_tab(balancer_id), **of_balancer.around(visit, balancer_id, "pool")
    )


def _tab(balancer_id: str) -> str:
    return url(f"/console/balancers/{balancer_id}", tab="pool")


_ONE: Final = "/console/pools/{pool_id}"
_NEW: Final = "/console/balancers/{balancer_id}/pools/create"

ROUTES: Final = (
    page(_NEW, new, may="pool:create", current="balancers"),
    action(_NEW, create, may="pool:create", current="balancers"),
    page(_ONE, details, may="pool:read", current="balancers"),
    live(f"{_ONE}/live", details_live, may="pool:read"),
    page(f"{_ONE}/edit", edit, may="pool:update", current="balancers"),
    action(f"{_ONE}/edit", save, may="pool:update", current="balancers"),
    page(f"{_ONE}/delete", ask_delete, may="pool:delete", current="balancers"),
    action(f"{_ONE}/delete", delete, may="pool:delete", current="balancers"),
)
