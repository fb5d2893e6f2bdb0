"""The page of one listener: who is let in, by which certificates it is known, who came, what was changed and how soon it held."""

from typing import Any, Final

from starlette.responses import Response

from ostiary.console import chosen, server_certificates, status
from ostiary.console.deeds import deed
from ostiary.console.visit import Visit, live, page, url
from ostiary.model.listener import Listener
from ostiary.model.reference import parse
from ostiary.ops import balancers, client_cas, effects_kept, lately, listeners, naming, served
from ostiary.ops.status import stats
from ostiary.web.words import _

# What stands elsewhere on the page.
_ABOVE: Final = (
    "name",
    "loadbalancer_id",
    "project_id",
    "protocol",
    "protocol_port",
    "default_pool_id",
    "client_authentication",
    "client_ca_tls_container_ref",
    "default_tls_container_ref",
    "sni_container_refs",
)
_COUNTERS: Final = {
    "active_connections": _("Connections now"),
    "total_connections": _("Connections"),
    "bytes_in": _("Bytes in"),
    "bytes_out": _("Bytes out"),
    "request_errors": _("Broken requests"),
}


def details(visit: Visit) -> Response:
    """One listener."""
    listener = listeners.get(visit.system, visit.caller, visit.path["listener_id"])
    balancer = balancers.get(visit.system, visit.caller, listener.loadbalancer_id)
    pool_id = listener.default_pool_id
    return visit.page(
        "listener.html",
        balancer=balancer,
        pool=naming.pools(visit.system, visit.caller, [pool_id])[pool_id] if pool_id else None,
        authority=_authority(visit, listener),
        certificates=_certificates(visit, listener),
        lately=lately.at_listeners(visit.system, visit.caller, [listener.id]),
        chosen=chosen.rows(visit, "listener", listener, but=_ABOVE),
        links=_links(visit, listener),
        **_moving(visit, listener),
    )


def details_live(visit: Visit) -> str:
    """What changes on the page while somebody looks."""
    listener = listeners.get(visit.system, visit.caller, visit.path["listener_id"])
    return visit.part("listener_live.html", **_moving(visit, listener))


def _moving(visit: Visit, listener: Listener) -> dict[str, Any]:
    counted = stats(visit.system, (listener.id,))
    made = effects_kept.of_thing(visit.system, visit.caller, listener.id)
    return {
        "listener": listener,
        "state": status.applied(visit, listener),
        "health": status.health(visit, listener),
        "counters": [(name, visit.say(label), counted[name]) for name, label in _COUNTERS.items()],
        "changes": [(revision, deed(visit, revision.action), effects) for revision, effects in made],
    }


def _authority(visit: Visit, listener: Listener) -> dict[str, str] | None:
    """Who may have signed the certificates of its clients: its name, and its page if it has one."""
    text = listener.client_ca_tls_container_ref
    if not text:
        return None
    reference = parse(text, "client_ca_tls_container_ref")
    name = client_cas.named(visit.system, visit.caller, [text])[text]
    is_secret = reference.kind == "secret"
    return {"name": name, "place": "" if is_secret else f"/console/authorities/{reference.id}"}


def _certificates(visit: Visit, listener: Listener) -> list[dict[str, Any]]:
    """Its server certificates, the default one first."""
    default = listener.default_tls_container_ref
    found = served.referred(visit.system, visit.caller, [default, *listener.sni_container_refs])
    first = parse(default, "default_tls_container_ref").id if default else ""
    return [
        {
            "one": one,
            "title": server_certificates.title(visit, one),
            "state": server_certificates.ending(visit, one.content),
            "is_default": one.id == first,
        }
        for one in found
    ]


def _links(visit: Visit, listener: Listener) -> list[tuple[str, str]]:
    """Where there is more of it to be seen."""
    places = [
        ("client:read", "/console/clients", _("Clients that were let in")),
        ("denial:read", "/console/denials", _("Who was refused, and why")),
        ("access-rule:read", "/console/access", _("Access rules")),
        ("access-rule:read", "/console/explain", _("Explain a request")),
    ]
    its = [(url(place, listener_id=listener.id), visit.say(text)) for action, place, text in places if visit.can(action)]
    return its if listener.is_http else its[:2]


_ONE: Final = "/console/listeners/{listener_id}"

ROUTES: Final = (
    page(_ONE, details, may="listener:read", current="balancers"),
    live(f"{_ONE}/live", details_live, may="listener:read"),
)
