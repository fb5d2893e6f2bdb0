"""The Edit pop-up of a listener, with its Advanced Settings and in them the switch: Enable Client CA."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from ostiary.console import balancers, forms
from ostiary.console.forms import Control, Filled, Wrong
from ostiary.console.visit import Visit, action, page, url
from ostiary.errors import Conflict, Invalid, Overtaken
from ostiary.model.listener import Listener
from ostiary.model.query import Query
from ostiary.model.reference import parse
from ostiary.model.rehearsal import Preview
from ostiary.ops import client_cas, containers, listeners, pools, rehearsals, secrets
from ostiary.web.words import _

SWITCH: Final = "enable_client_ca"
MODE: Final = "client_authentication"
CLIENT_CA: Final = "client_ca_tls_container_ref"
# What stands beside the switch; the rest of Advanced Settings comes in these groups, and what is in none of them in the last.
CLIENT: Final = (MODE, CLIENT_CA, "client_crl_container_ref", "stale_revocation", "stale_allow_hours", "max_connection_age")
GROUPS: Final = (
    ("who", _("Networks and headers"), ("allowed_cidrs", "insert_headers")),
    (
        "tls",
        "TLS",
        (
            "sni_container_refs",
            "tls_versions",
            "tls_ciphers",
            "alpn_protocols",
            "hsts_max_age",
            "hsts_include_subdomains",
            "hsts_preload",
        ),
    ),
    (
        "timeouts",
        _("Timeouts and limits"),
        (
            "timeout_client_data",
            "timeout_member_connect",
            "timeout_member_data",
            "timeout_tcp_inspect",
            "connection_limit",
            "stream_recheck",
            "max_stream_duration",
        ),
    ),
)
_NOT_OF_PLAIN: Final = {  # a listener that does not terminate TLS has none of these
    *CLIENT,
    "default_tls_container_ref",
    *GROUPS[1][2],
}


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
    try:
        changes = _changes(visit, listener, form)
        if not changes:
            return visit.see(_back(listener), visit.say(_("Nothing was changed.")))
        listeners.update(visit.system, visit.caller, listener.id, changes, since=_seen(visit, listener))
    except Overtaken as meanwhile:
        # The page now knows what they did: sent once more, it is a decision and not an accident.
        newest = listeners.get(visit.system, visit.caller, listener.id)
        return _popup(visit, newest, forms.typed(_form(visit, newest), visit.form), 409, meanwhile=_told(visit, meanwhile))
    except (Invalid, Conflict, Wrong) as error:
        return _popup(visit, listener, forms.typed(form, visit.form, forms.wrong(visit, error)), 422)
    return visit.see(_back(listener), visit.say(_("%(name)s was saved."), name=listener.name or listener.id))


def effect(visit: Visit) -> Response:
    """What saving would do to the clients there are: a piece of the pop-up, asked for as choices are made."""
    listener = listeners.get(visit.system, visit.caller, visit.path["listener_id"])
    mode = visit.query.get(MODE, "NONE") if visit.query.get(SWITCH) else "NONE"
    return visit.page("listener_effect.html", preview=_preview(visit, listener, mode, visit.query.get(CLIENT_CA, "")))


def ask_delete(visit: Visit) -> Response:
    """Whether it is really meant, and whom it would hit."""
    listener = listeners.get(visit.system, visit.caller, visit.path["listener_id"])
    around = balancers.around(visit, listener.loadbalancer_id, "listener")
    return visit.page("listener_delete.html", listener=listener, back=_back(listener), **around)


def delete(visit: Visit) -> Response:
    """Close the port."""
    listener = listeners.get(visit.system, visit.caller, visit.path["listener_id"])
    listeners.delete(visit.system, visit.caller, listener.id)
    return visit.see(_back(listener), visit.say(_("%(name)s was deleted."), name=listener.name or listener.id))


def _form(visit: Visit, listener: Listener) -> Filled:
    names = forms.settable(Listener, later=True)
    if not listener.is_tls:
        names = tuple(name for name in names if name not in _NOT_OF_PLAIN)
    return forms.made(visit, Listener, names, dict(listener), **choices(visit, listener.loadbalancer_id, listener))


def choices(visit: Visit, balancer_id: str, listener: Listener | None = None) -> dict[str, forms.Choices]:
    """What there is to choose from: pools, server certificates, revocation lists."""
    its_pools = pools.find(visit.system, visit.caller, Query(filters=(("loadbalancer_id", balancer_id),), limit=0)).items
    certificates = containers.find(visit.system, visit.caller, Query(limit=0, sort=(("name", False),))).items
    held = secrets.find(visit.system, visit.caller, Query(limit=0, sort=(("name", False),))).items
    shown = [(f"/v1/containers/{one.id}", one.name or one.id) for one in certificates]
    lists = [
        (f"/v1/secrets/{one.id}", one.name or one.id) for one in held if one.payload_content_type.startswith("text/") and one.name
    ]
    its: dict[str, list[tuple[str, str]]] = {
        "default_pool_id": [("", visit.say(_("None"))), *((one.id, one.name or one.id) for one in its_pools)],
        "default_tls_container_ref": [("", visit.say(_("Issued by ostiary itself"))), *shown],
        "sni_container_refs": shown,
        "client_crl_container_ref": [("", visit.say(_("The lists of the authorities themselves"))), *lists],
    }
    if listener is not None:
        for name in ("default_tls_container_ref", "client_crl_container_ref"):
            its[name] = _with(its[name], getattr(listener, name))
        for reference in listener.sni_container_refs:
            its["sni_container_refs"] = _with(its["sni_container_refs"], reference)
    return dict(its)


def _with(choices: list[tuple[str, str]], value: str | None) -> list[tuple[str, str]]:
    """With what is chosen now among them, however it was written: nobody is to lose it by saving."""
    if not value or any(one == value for one, _text in choices):
        return choices
    same = next((text for one, text in choices if one and parse(one, "").id == parse(value, "").id), value)
    return [*((one, text) for one, text in choices if text != same), (value, same)]


def _changes(visit: Visit, listener: Listener, form: Filled) -> dict[str, Any]:
    """What differs from how it is; what was not shown is not changed. Raises `Wrong`."""
    values = forms.decoded(visit, Listener, form, visit.form)
    if listener.is_tls and SWITCH in visit.form.all(forms.PRESENT):
        if not visit.form.ticked(SWITCH):
            values |= {MODE: "NONE", CLIENT_CA: None}
            values.pop("client_crl_container_ref", None)
            values["client_crl_container_ref"] = None
        elif not values.get(CLIENT_CA):
            raise Wrong({CLIENT_CA: visit.say(_("Choose a CA certificate from the list."))})
        elif values.get(MODE) in {None, "NONE"}:
            values[MODE] = "MANDATORY"
    sent = {name for name in values if name in visit.form.texts or name in visit.form.all(forms.PRESENT)}
    if listener.is_tls and not visit.form.ticked(SWITCH):
        sent |= {MODE, CLIENT_CA, "client_crl_container_ref"}
    return {name: value for name, value in values.items() if name in sent and not _same(listener, name, value)}


def _same(listener: Listener, name: str, value: Any) -> bool:
    held = getattr(listener, name)
    if name == "insert_headers":
        return {k for k, wanted in held.items() if wanted == "true"} == set(value or {})
    info = Listener.model_fields[name]
    return bool(held == (info.get_default(call_default_factory=True) if value is None else value))


def _seen(visit: Visit, listener: Listener) -> int:
    """The revision that the form was made of."""
    text = visit.form.text("revision")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else listener.revision


def _popup(
    visit: Visit,
    listener: Listener,
    form: Filled,
    status: int = 200,
    *,
    looked: bool = False,
    meanwhile: Mapping[str, Any] | None = None,
) -> Response:
    sent = bool(visit.form.texts)
    is_on = visit.form.ticked(SWITCH) if sent else listener.client_authentication != "NONE"
    mode = form[MODE].value if MODE in form else "NONE"
    chosen = visit.form.text(CLIENT_CA) if sent else (listener.client_ca_tls_container_ref or "")
    offered, count = _offered(visit, chosen) if listener.is_tls else ((), 0)
    preview = None
    if listener.is_tls and (looked or sent):
        preview = _preview(visit, listener, str(mode) if is_on and mode != "NONE" else "MANDATORY" if is_on else "NONE", chosen)
    grouped = {name for _key, _title, names in GROUPS for name in names}
    return visit.page(
        "listener_edit.html",
        status,
        **balancers.around(visit, listener.loadbalancer_id, "listener"),
        listener=listener,
        form=form,
        is_on=is_on,
        mode=mode if mode != "NONE" else "MANDATORY",
        chosen=_id(chosen),
        chosen_ref=chosen,
        offered=offered,
        offered_count=count,
        groups=[(key, visit.say(title), [form[name] for name in names if name in form]) for key, title, names in GROUPS],
        others=form.advanced(*grouped, *CLIENT),
        preview=preview,
        meanwhile=meanwhile,
        back=_back(listener),
        changed=_changed(form),
    )


def _changed(form: Filled) -> int:
    """How many advanced settings differ from what they would be if nobody had said anything."""
    return sum(one.is_changed for one in form.advanced())


def _offered(visit: Visit, chosen: str) -> tuple[tuple[client_cas.ClientCA, ...], int]:
    search = visit.form.text("authority_search") or visit.query.get("authority_search", "")
    return client_cas.find(visit.system, visit.caller, search=search[:200], keep=_id(chosen))


def _preview(visit: Visit, listener: Listener, mode: str, client_ca: str) -> Preview | None:
    """What is known of whom it would shut out; None to those who may not know."""
    if not visit.can("rehearsal:read"):
        return None
    try:
        return rehearsals.preview(
            visit.system, visit.caller, listener.id, client_authentication=mode, client_ca=client_ca or None
        )
    except Invalid:
        return None


def _told(visit: Visit, meanwhile: Overtaken) -> dict[str, Any]:
    """Who did what meanwhile, field by field."""
    fields = Listener.model_fields
    rows = [
        (_label(visit, name) if name in fields else name, forms.plain(was), forms.plain(now))
        for name, (was, now) in meanwhile.changes.items()
    ]
    return {"actor": meanwhile.actor, "rows": rows}


def _label(visit: Visit, name: str) -> str:
    control: Control = forms.made(visit, Listener, [name], {})[name]
    return control.label


def _id(reference: str) -> str:
    if not reference:
        return ""
    try:
        return parse(reference, CLIENT_CA).id
    except Invalid:
        return ""


def _back(listener: Listener) -> str:
    return url(f"/console/balancers/{listener.loadbalancer_id}", tab="listener")


ROUTES: Final = (
    page("/console/listeners/{listener_id}/edit", edit, may="listener:read", current="balancers"),
    action("/console/listeners/{listener_id}/edit", save, may="listener:update", current="balancers"),
    page("/console/listeners/{listener_id}/effect", effect, may="listener:read"),
    page("/console/listeners/{listener_id}/delete", ask_delete, may="listener:delete", current="balancers"),
    action("/console/listeners/{listener_id}/delete", delete, may="listener:delete", current="balancers"),
)
