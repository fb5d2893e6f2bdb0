"""The members of a pool: attached, changed and taken out again, in pop-ups over the page of the pool."""

from typing import Any, Final

from starlette.responses import Response

from ostiary.console import forms, pools
from ostiary.console.attempts import NOT_YET, Attempt, attempt
from ostiary.console.forms import Filled
from ostiary.console.visit import Visit, action, page
from ostiary.model.pool import Member
from ostiary.ops import members
from ostiary.web.words import _

_LATER: Final = ("weight", "backup", "name", "admin_state_up", "tags", "monitor_address", "monitor_port")
_FIRST: Final = ("address", "protocol_port", *_LATER)


def new(visit: Visit) -> Response:
    """The pop-up of a new one."""
    return _popup(visit, _new_form(visit))


def attach(visit: Visit) -> Response:
    """Send it requests from now on."""
    form = _new_form(visit)
    done = attempt(visit, "member", lambda: _create(visit, form))
    if not done.is_done:
        return _popup(visit, forms.typed(form, visit.form, done.errors), done)
    return visit.see(_pool(visit), visit.say(_("%(name)s was attached."), name=called(done.made)))


def edit(visit: Visit) -> Response:
    """The pop-up of one."""
    member = _member(visit)
    return _popup(visit, _form(visit, member), member=member)


def save(visit: Visit) -> Response:
    """Take what was sent."""
    member = _member(visit)
    done = attempt(visit, "member", lambda: _update(visit, member))
    if done.is_done:
        return visit.see(_pool(visit), visit.say(_("%(name)s was saved."), name=called(member)))
    newest = _member(visit)
    return _popup(visit, forms.typed(_form(visit, newest), visit.form, done.errors), done, member=newest)


def ask_delete(visit: Visit) -> Response:
    """Whether it is really meant."""
    member = _member(visit)
    return visit.page("member_delete.html", member=member, name=called(member), **pools.around(visit))


def delete(visit: Visit) -> Response:
    """Send it nothing any more."""
    member = _member(visit)
    members.delete(visit.system, visit.caller, member.pool_id, member.id)
    return visit.see(_pool(visit), visit.say(_("%(name)s was removed."), name=called(member)))


def called(member: Member) -> str:
    """By its name, or by where it is."""
    host = f"[{member.address}]" if ":" in member.address else member.address
    return member.name or f"{host}:{member.protocol_port}"


def _member(visit: Visit) -> Member:
    return members.get(visit.system, visit.caller, visit.path["pool_id"], visit.path["member_id"])


def _new_form(visit: Visit) -> Filled:
    return forms.made(visit, Member, _FIRST, {"protocol_port": 80})


def _form(visit: Visit, member: Member) -> Filled:
    return forms.made(visit, Member, _LATER, dict(member))


def _create(visit: Visit, form: Filled) -> Member:
    member = Member(**forms.given(forms.decoded(visit, Member, form, visit.form)))
    return members.create(visit.system, visit.caller, visit.path["pool_id"], member)


def _update(visit: Visit, member: Member) -> None:
    changes = forms.differing(member, forms.decoded(visit, Member, _form(visit, member), visit.form))
    since = visit.form.seen(member.revision)
    members.update(visit.system, visit.caller, member.pool_id, member.id, changes, since=since)


def _popup(visit: Visit, form: Filled, done: Attempt = NOT_YET, *, member: Member | None = None) -> Response:
    its: dict[str, Any] = {"form": form, "member": member, "meanwhile": done.meanwhile}
    if member is not None:
        its |= {"revision": done.seen(visit, member), "name": called(member)}
    return visit.page("member_edit.html", done.status, **its, **pools.around(visit))


def _pool(visit: Visit) -> str:
    return f"/console/pools/{visit.path['pool_id']}"


_ALL: Final = "/console/pools/{pool_id}/members"
_ONE: Final = f"{_ALL}/{{member_id}}"

ROUTES: Final = (
    page(f"{_ALL}/create", new, may="member:create", current="balancers"),
    action(f"{_ALL}/create", attach, may="member:create", current="balancers"),
    page(f"{_ONE}/edit", edit, may="member:update", current="balancers"),
    action(f"{_ONE}/edit", save, may="member:update", current="balancers"),
    page(f"{_ONE}/delete", ask_delete, may="member:delete", current="balancers"),
    action(f"{_ONE}/delete", delete, may="member:delete", current="balancers"),
)
