"""Enable Client CA: the switch, the CA certificate that is chosen, and how strictly it is meant; in every form of a listener."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ostiary.console import forms
from ostiary.console.forms import Wrong
from ostiary.console.visit import Form, Visit
from ostiary.errors import Invalid
from ostiary.model.listener import Listener
from ostiary.model.reference import parse
from ostiary.ops import client_cas
from ostiary.ops.client_cas import ClientCA
from ostiary.web.words import _

SWITCH: Final = "enable_client_ca"
MODE: Final = "client_authentication"
CLIENT_CA: Final = "client_ca_tls_container_ref"
CRL: Final = "client_crl_container_ref"
SEARCH: Final = "authority_search"
_SEARCH_MAX: Final = 200
_OFFERED: Final = 25  # with the page below, no more than can be sent at once


@dataclass(frozen=True)
class Switch:
    """How the piece is shown. `chosen` is the reference that is chosen, as it is written; `offered` some of `count` to choose."""

    is_on: bool
    mode: str
    chosen: str
    chosen_id: str
    chosen_name: str
    offered: tuple[ClientCA, ...]
    count: int
    search: str

    @property
    def is_another(self) -> bool:
        """Whether what is chosen is none of those offered: a secret with certificates, say."""
        return bool(self.chosen) and all(one.authority.id != self.chosen_id for one in self.offered)


def shown(visit: Visit, form: Form, listener: Listener | None = None, *, path: str = "") -> Switch:
    """As it was sent, or else as the listener has it; off for a new one. `path` stands before the names (`forms.under`)."""
    is_sent = path + SWITCH in form.all(forms.PRESENT)
    held = "NONE" if listener is None else listener.client_authentication
    reference = "" if listener is None else listener.client_ca_tls_container_ref or ""
    mode = form.text(path + MODE) if is_sent else held
    chosen = form.text(path + CLIENT_CA) if is_sent else reference
    search = form.text(path + SEARCH)[:_SEARCH_MAX]
    offered, count = client_cas.find(visit.system, visit.caller, search=search, keep=_id(chosen), limit=_OFFERED)
    return Switch(
        is_on=form.ticked(path + SWITCH) if is_sent else held != "NONE",
        mode=mode if mode not in {"", "NONE"} else "MANDATORY",
        chosen=chosen,
        chosen_id=_id(chosen),
        chosen_name=name(visit, chosen),
        offered=offered,
        count=count,
        search=search,
    )


def settled(visit: Visit, form: Form, values: Mapping[str, Any], *, path: str = "") -> dict[str, Any]:
    """The values with what the switch means for them. Raises `Wrong` when it is on and nothing is chosen."""
    if path + SWITCH not in form.all(forms.PRESENT):
        return dict(values)
    if not form.ticked(path + SWITCH):
        return {**values, MODE: "NONE", CLIENT_CA: None, CRL: None}
    if not values.get(CLIENT_CA):
        raise Wrong({path + CLIENT_CA: visit.say(_("Choose a CA certificate from the list."))})
    return {**values, MODE: values[MODE] if values.get(MODE) not in {None, "NONE"} else "MANDATORY"}


def name(visit: Visit, reference: str) -> str:
    """What people call what is referred to; empty for what is no reference, as somebody may have sent."""
    return client_cas.named(visit.system, visit.caller, [reference])[reference] if _id(reference) else ""


def _id(reference: str) -> str:
    if not reference:
        return ""
    try:
        return parse(reference, CLIENT_CA).id
    except Invalid:
        return ""
