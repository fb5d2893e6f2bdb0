"""The fields of a listener as its forms group them, and what there is to choose from."""

from typing import Any, Final

from ostiary.console import client_ca, forms
from ostiary.console.forms import Control, Filled
from ostiary.console.visit import Visit
from ostiary.model.listener import Listener
from ostiary.model.query import Query
from ostiary.model.reference import parse
from ostiary.ops import containers, pools, secrets
from ostiary.web.words import _

# What is in none of them comes last of Advanced Settings.
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
# What only a listener that terminates TLS has, and only one that understands requests.
OF_TLS: Final = frozenset({*client_ca.FIELDS, "default_tls_container_ref", *GROUPS[1][2]})
OF_HTTP: Final = frozenset({"insert_headers"})
PROTOCOLS: Final = (("TERMINATED_HTTPS", "HTTPS"), ("HTTP", "HTTP"), ("TCP", "TCP"))
# What vLB ticks for a new one.
FIRST_HEADERS: Final = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port")


def names(protocol: str, every: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the fields that a listener of this protocol has."""
    left_out = (frozenset() if protocol == "TERMINATED_HTTPS" else OF_TLS) | (OF_HTTP if protocol == "TCP" else frozenset())
    return tuple(name for name in every if name not in left_out)


def grouped(visit: Visit, form: Filled) -> list[tuple[str, str, list[Control]]]:
    """The advanced settings that stand together: key, title, controls."""
    return [(key, visit.say(title), [form[name] for name in its if name in form]) for key, title, its in GROUPS]


def others(form: Filled) -> tuple[Control, ...]:
    """The advanced settings that stand nowhere else."""
    return form.advanced(*(name for _key, _title, its in GROUPS for name in its), *client_ca.FIELDS)


def certificates(visit: Visit, chosen: str = "") -> forms.Choices:
    """The server certificates to choose from, for a listener that is not there yet."""
    every = containers.find(visit.system, visit.caller, Query(limit=0, sort=(("name", False),))).items
    shown = [(f"/v1/containers/{one.id}", one.name or one.id) for one in every]
    return _with([("", visit.say(_("Issued by ostiary itself"))), *shown], chosen)


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


def same(listener: Listener, name: str, value: Any) -> bool:
    """Whether it is so already; None is the default."""
    held = getattr(listener, name)
    if name == "insert_headers":
        return {header for header, wanted in held.items() if wanted == "true"} == set(value or {})
    info = Listener.model_fields[name]
    return bool(held == (info.get_default(call_default_factory=True) if value is None else value))


def _with(choices: list[tuple[str, str]], value: str | None) -> list[tuple[str, str]]:
    """With what is chosen now among them, however it was written: nobody is to lose it by saving."""
    if not value or any(one == value for one, _text in choices):
        return choices
    known = next((text for one, text in choices if one and parse(one, "").id == parse(value, "").id), value)
    return [*((one, text) for one, text in choices if text != known), (value, known)]
