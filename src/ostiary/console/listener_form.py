"""The fields of a listener as its forms group them, and what there is to choose from."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ostiary.console import forms
from ostiary.console.forms import Control, Filled
from ostiary.console.visit import Visit
from ostiary.model.fields import traits
from ostiary.model.listener import Listener
from ostiary.model.query import Query
from ostiary.ops import naming, pools, served
from ostiary.web.words import _

# What is in none of them comes last of Advanced Settings.
GROUPS: Final = (("who", _("Networks and headers")), ("tls", "TLS"), ("timeouts", _("Timeouts and limits")))
SEARCH: Final = "certificate_search"
_SEARCH_MAX: Final = 200
_POOLS_MAX: Final = 100
PROTOCOLS: Final = (("TERMINATED_HTTPS", "HTTPS"), ("HTTP", "HTTP"), ("TCP", "TCP"))
# What vLB ticks for a new one.
FIRST_HEADERS: Final = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port")


def names(protocol: str, every: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the fields that a listener of this protocol has."""
    missing = {"TERMINATED_HTTPS": set(), "HTTP": {"tls"}}.get(protocol, {"tls", "requests"})
    return tuple(name for name in every if traits(Listener.model_fields[name]).get("needs") not in missing)


def grouped(visit: Visit, form: Filled) -> list[tuple[str, str, list[Control]]]:
    """The advanced settings that stand together: key, title, controls."""
    return [(key, visit.say(title), list(form.together(key))) for key, title in GROUPS]


def others(form: Filled) -> tuple[Control, ...]:
    """The advanced settings that stand nowhere else."""
    return tuple(one for one in form.advanced() if not one.group)


def certificates(visit: Visit, chosen: Iterable[str | None] = (), *, path: str = "") -> dict[str, forms.Choices]:
    """The server certificates to choose from, for the default one and for the others.

    What is chosen now, and what was chosen in the form that was sent, is among them whatever is searched for.
    """
    sent = visit.form
    kept = (*chosen, *sent.all(f"{path}default_tls_container_ref"), *sent.all(f"{path}sni_container_refs"))
    search = sent.text(f"{path}{SEARCH}")[:_SEARCH_MAX]
    found = served.certificates(visit.system, visit.caller, search=search, keep=kept)
    shown = [(one.href, _called(visit, one)) for one in found]
    own = ("", visit.say(_("Issued by ostiary itself")))
    return {"default_tls_container_ref": [own, *shown], "sni_container_refs": shown}


def choices(visit: Visit, balancer_id: str, listener: Listener | None = None) -> dict[str, forms.Choices]:
    """What there is to choose from: pools, server certificates, revocation lists."""
    chosen = () if listener is None else (listener.default_tls_container_ref, *listener.sni_container_refs)
    held = None if listener is None else listener.client_crl_container_ref
    lists = [(one.href, one.name) for one in served.revocation_lists(visit.system, visit.caller, held)]
    own = ("", visit.say(_("The lists of the authorities themselves")))
    pool = "" if listener is None else listener.default_pool_id or ""
    return {
        **certificates(visit, chosen),
        "default_pool_id": [("", visit.say(_("None"))), *_pools(visit, balancer_id, visit.form.text("default_pool_id"), pool)],
        "client_crl_container_ref": [own, *lists],
    }


def _called(visit: Visit, one: served.Choice) -> str:
    return visit.say(_("Issued by ostiary itself: %(names)s"), names=one.name) if one.is_ours else one.name


def _pools(visit: Visit, balancer_id: str, *kept: str) -> list[tuple[str, str]]:
    """Pools of this load balancer by name, those that are chosen in any case."""
    query = Query(filters=(("loadbalancer_id", balancer_id),), limit=_POOLS_MAX, sort=(("name", False),))
    found = pools.find(visit.system, visit.caller, query)
    its = {one.id: one.name or one.id for one in found.items}
    missing = [one for one in kept if one and one not in its] if found.more else []
    its |= {one: name for one, name in naming.pools(visit.system, visit.caller, missing).items() if name is not None}
    return list(its.items())


def same(listener: Listener, name: str, value: Any) -> bool:
    """Whether it is so already; None is the default."""
    held = getattr(listener, name)
    if isinstance(held, Mapping):
        return {header for header, wanted in held.items() if wanted == "true"} == set(value or {})
    info = Listener.model_fields[name]
    return bool(held == (info.get_default(call_default_factory=True) if value is None else value))
