"""A load balancer that is being made, step by step: what was typed so far travels with the form, and nothing is stored.

Fields are called as the one call that makes it all would call them: `listener.protocol_port`, `members.1.address`.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any, Final

from ostiary.console import client_ca, forms, listener_form, pool_form
from ostiary.console.forms import Control, Filled, Wrong
from ostiary.console.visit import Form, Visit
from ostiary.errors import Conflict, Invalid
from ostiary.model.balancer import LoadBalancer
from ostiary.model.fields import Data
from ostiary.model.health import HealthMonitor
from ostiary.model.listener import Listener
from ostiary.model.pool import Member, Pool
from ostiary.model.rules import listener_is_coherent, monitor_is_coherent, pool_is_coherent
from ostiary.model.whole import WholeListener, WholePool
from ostiary.ops import addresses, listeners
from ostiary.ops.members import given_once
from ostiary.web.words import _

# In the order in which they come.
STEPS: Final = {
    "balancer": _("Load Balancer"),
    "listener": _("Listener"),
    "pool": _("Default Pool"),
    "members": _("Pool Members"),
}
# Which fields are of which step, by how their names begin.
_PATHS: Final = {
    "balancer.": "balancer",
    "listener.": "listener",
    "pool.": "pool",
    "monitor.": "pool",
    "members.": "members",
}
# How the one call names what it refuses → how the fields are called here; the first that fits.
_REFUSED: Final = (
    ("listeners.0.default_pool.members.", "members."),
    ("listeners.0.default_pool.healthmonitor.", "monitor."),
    ("listeners.0.default_pool.", "pool."),
    ("listeners.0.", "listener."),
    ("", "balancer."),
)
LAYER: Final = "balancer.layer"
APPLICATION, NETWORK = "application", "network"
ADDRESS: Final = "127.0.0.1"
ROWS_MAX: Final = 100
_ROW: Final = re.compile(r"members\.(\d{1,2})\.address", re.ASCII)
_OF_LISTENER: Final = (
    "name",
    "protocol",
    "protocol_port",
    "default_tls_container_ref",
    "insert_headers",
    client_ca.MODE,
    client_ca.CLIENT_CA,
)


class Wanted(Data):
    """All that is to be made."""

    balancer: LoadBalancer
    listener: WholeListener


@dataclass(frozen=True)
class Draft:
    """What was chosen so far (`typed`), and what would be where nothing was chosen: `sent` is as if every step had been sent."""

    form: Filled
    sent: Form
    typed: Form
    rows: tuple[int, ...]  # of members, by the numbers in their names

    def text(self, name: str) -> str:
        """What stands in a field."""
        return self.sent.text(name)

    @property
    def protocol(self) -> str:
        """What the listener speaks."""
        return self.text("listener.protocol")

    @property
    def is_application(self) -> bool:
        """Whether its listener understands requests."""
        return self.text(LAYER) == APPLICATION

    def with_errors(self, errors: Mapping[str, str]) -> "Draft":
        """The same with what is wrong with it."""
        return replace(self, form=forms.typed(self.form, self.typed, errors))

    def hidden(self, step: str) -> Iterator[tuple[str, str]]:
        """Names and values of what is not of this step, to be sent along."""
        for name, texts in self.typed.texts.items():
            if step_of(name) not in {"", step}:
                yield from ((name, text) for text in texts)
        for name in dict.fromkeys(self.typed.all(forms.PRESENT)):
            if step_of(name) not in {"", step}:
                yield forms.PRESENT, name


def draft(visit: Visit, form: Form, rows: tuple[int, ...]) -> Draft:
    """The form of all steps, as it was sent."""
    layer = form.text(LAYER) if form.text(LAYER) in {APPLICATION, NETWORK} else APPLICATION
    protocols = listener_form.PROTOCOLS[:2] if layer == APPLICATION else listener_form.PROTOCOLS[2:]
    spoken = [*(("HTTP", "TCP")[layer == NETWORK],), "PROXY", "PROXYV2"]
    form = _without(form, "listener.protocol", {one for one, _text in protocols})
    form = _without(form, "pool.protocol", set(spoken))
    if layer == NETWORK:
        form = _without(form, f"pool.{pool_form.STICKY}type", {"", "SOURCE_IP"})
    made = forms.together(
        _balancer(visit, layer),
        _listener(visit, form, protocols),
        _pool(visit, spoken, layer),
        _monitor(visit),
        *(_member(visit, row) for row in rows),
    )
    return Draft(forms.typed(made, form), forms.completed(made, form), form, rows)


def rows_of(form: Form) -> tuple[int, ...]:
    """The numbers of the members' rows that were sent; one row at first."""
    found = sorted({int(match[1]) for name in form.texts if (match := _ROW.fullmatch(name))})
    return tuple(found) or (0,)


def with_rows(form: Form, rows: tuple[int, ...]) -> Form:
    """Without what was sent of members in other rows."""
    gone = [
        name for name in form.texts if name.startswith("members.") and not any(name.startswith(f"members.{row}.") for row in rows)
    ]
    return replace(form, texts={name: texts for name, texts in form.texts.items() if name not in gone})


def step_of(name: str) -> str:
    """The step that a field is of; empty when it is of none."""
    return next((step for path, step in _PATHS.items() if name.startswith(path)), "")


def check(visit: Visit, of: Draft, step: str) -> None:
    """Whether a step may be left. Raises `Wrong`."""
    checks: dict[str, Callable[[], object]] = {
        "balancer": lambda: _balancer_of(visit, of),
        "listener": lambda: _checked_listener(visit, of),
        "pool": lambda: (_pool_of(visit, of), _monitor_of(visit, of)),
        "members": lambda: _members_of(visit, of),
    }
    checks[step]()


def wanted(visit: Visit, of: Draft) -> Wanted:
    """All of it. Raises `Wrong` with the first step in which something is wrong."""
    balancer, listener = _balancer_of(visit, of), _listener_of(visit, of)
    pool, monitor, members = _pool_of(visit, of), _monitor_of(visit, of), _members_of(visit, of)
    # Nobody was asked what it is to be called; by its id alone it could not be told from others.
    pool = pool.model_copy(update={"name": listener.name})
    whole = WholePool(pool=pool, members=tuple(members.values()), healthmonitor=monitor)
    return Wanted(balancer=balancer, listener=WholeListener(listener=listener, default_pool=whole))


def refused(visit: Visit, of: Draft, error: Invalid | Conflict | Wrong) -> dict[str, str]:
    """What is wrong, by the fields as they are called here."""
    if isinstance(error, Wrong):
        return error.errors
    place = error.field or ""
    before, after = next(one for one in _REFUSED if place.startswith(one[0]))
    name = after + place.removeprefix(before)
    if after == "members.":
        # They are counted without the rows that were left empty.
        number, _dot, field = name.removeprefix(after).partition(".")
        name = f"members.{_filled_rows(of)[int(number)]}.{field or 'address'}"
    return {name if place else "": visit.say(error.message)}


def _without(form: Form, name: str, allowed: set[str]) -> Form:
    """Without what was chosen there before something else was, which rules it out."""
    if name not in form.texts or form.text(name) in allowed:
        return form
    texts = {one: texts for one, texts in form.texts.items() if one != name}
    present = tuple(one for one in form.all(forms.PRESENT) if one != name)
    return replace(form, texts={**texts, forms.PRESENT: present})


def _balancer(visit: Visit, layer: str) -> Filled:
    made = forms.made(visit, LoadBalancer, ("name", "vip_address", "description"), {"vip_address": ADDRESS})
    named = replace(made["name"], help=visit.say(_("Made up if left empty.")))
    address = replace(made["vip_address"], suggestions=(ADDRESS, "0.0.0.0", *addresses.own()), default=ADDRESS)
    layers = Control(
        LAYER,
        "choice",
        visit.say(_("Layer")),
        value=layer,
        choices=(
            (APPLICATION, visit.say(_("Application (HTTP, HTTPS)"))),
            (NETWORK, visit.say(_("Network (TCP)"))),
        ),
    )
    controls = forms.under(Filled({**made.controls, "name": named, "vip_address": address}), "balancer.").controls
    return Filled({**controls, LAYER: layers})


def _listener(visit: Visit, form: Form, protocols: forms.Choices) -> Filled:
    values: dict[str, Any] = {
        "protocol": protocols[0][0],
        "insert_headers": dict.fromkeys(listener_form.FIRST_HEADERS, "true"),
    }
    if "listener.protocol_port" not in form.texts:
        values["protocol_port"] = listeners.free_port(visit.system, visit.caller, address=_address(form))
    made = forms.made(
        visit,
        Listener,
        _OF_LISTENER,
        values,
        protocol=protocols,
        insert_headers=[(one, one) for one in listener_form.FIRST_HEADERS],
        **listener_form.certificates(visit, path="listener."),
    )
    return forms.under(made, "listener.")


def _address(form: Form) -> str:
    """Where it will stand, for a look at what is free there; one that is none yet is found wrong in its own step."""
    try:
        return str(ipaddress.ip_address(form.text("balancer.vip_address")))
    except ValueError:
        return ADDRESS


def _pool(visit: Visit, spoken: list[str], layer: str) -> Filled:
    choices = [(one, visit.say(forms.CHOICES.get(one, one))) for one in spoken]
    values = {"protocol": spoken[0], "lb_algorithm": "ROUND_ROBIN"}
    made = forms.made(visit, Pool, ("lb_algorithm", "protocol"), values, protocol=choices)
    return forms.together(forms.under(made, "pool."), pool_form.sticky(visit, cookies=layer == APPLICATION, path="pool."))


def _monitor(visit: Visit) -> Filled:
    names = ("type", "url_path", "delay", "timeout", "max_retries", "max_retries_down")
    made = forms.made(visit, HealthMonitor, names, pool_form.FIRST_CHECK, type=pool_form.check_types(visit, none=True))
    return forms.under(made, "monitor.")


def _member(visit: Visit, row: int) -> Filled:
    made = forms.made(visit, Member, ("address", "protocol_port", "weight"), {"protocol_port": 80})
    # An empty row is no member: nothing of it is needed. What the fields mean is said once, above all rows.
    short = {name: replace(one, is_needed=False, help="") for name, one in made.controls.items()}
    return forms.under(Filled(short), f"members.{row}.")


def _balancer_of(visit: Visit, of: Draft) -> LoadBalancer:
    values = forms.given(forms.decoded(visit, LoadBalancer, of.form, of.sent, path="balancer."))
    values["name"] = values.get("name") or f"lb-{token_hex(3)}"
    return LoadBalancer(**{"vip_address": ADDRESS, **values})


def _listener_of(visit: Visit, of: Draft) -> Listener:
    names = (f"listener.{name}" for name in listener_form.names(of.protocol, _OF_LISTENER))
    values = forms.decoded(visit, Listener, forms.only(of.form, names), of.sent, path="listener.")
    if of.protocol == "TERMINATED_HTTPS":
        values = client_ca.settled(visit, of.sent, values, path="listener.")
    made_up = f"{dict(listener_form.PROTOCOLS).get(of.protocol, 'port').lower()}-{values['protocol_port']}"
    listener = Listener(**{**forms.given(values), "name": values["name"] or made_up})
    with _named(visit, "listener."):
        listener_is_coherent(listener)
    return listener


def _checked_listener(visit: Visit, of: Draft) -> None:
    """Whether it could be opened today. The whole is checked again when it is made: somebody may be faster."""
    listener = _listener_of(visit, of)
    address = _address(of.sent)
    free = listeners.free_port(visit.system, visit.caller, address=address, first=listener.protocol_port)
    if free != listener.protocol_port:
        said = visit.say(
            _("Port %(port)s at %(address)s is taken; the next that is free is %(free)s."),
            port=listener.protocol_port,
            address=address,
            free=free,
        )
        raise Wrong({"listener.protocol_port": said})


def _pool_of(visit: Visit, of: Draft) -> Pool:
    its = forms.only(of.form, ("pool.protocol", "pool.lb_algorithm"))
    values = forms.decoded(visit, Pool, its, of.sent, path="pool.")
    values |= pool_form.stickiness(visit, of.form, of.sent, path="pool.")
    pool = Pool(**forms.given(values))
    with _named(visit, "pool."):
        pool_is_coherent(pool)
    return pool


def _monitor_of(visit: Visit, of: Draft) -> HealthMonitor | None:
    if not of.text("monitor.type"):
        return None
    values = pool_form.check(visit, of.form, of.sent, path="monitor.")
    monitor = HealthMonitor(**{**pool_form.FIRST_CHECK, **forms.given(values)})
    with _named(visit, "monitor."):
        monitor_is_coherent(monitor)
    return monitor


def _members_of(visit: Visit, of: Draft) -> dict[tuple[str, int], Member]:
    def one(row: int) -> dict[str, Any]:
        path = f"members.{row}."
        its = forms.only(of.form, (control.name for control in of.form.part(path)))
        return forms.decoded(visit, Member, its, of.sent, path=path)

    rows = _filled_rows(of)
    every = forms.every(*(lambda row=row: one(row) for row in rows))
    members = [Member(**forms.given(values)) for values in every]
    try:
        return given_once(members)
    except Invalid as twice:
        row = rows[int(twice.field.rpartition(".")[2])]
        raise Wrong({f"members.{row}.address": visit.say(twice.message)}) from None


@contextmanager
def _named(visit: Visit, path: str) -> Iterator[None]:
    """What does not fit together within a part, by the fields as they are called here."""
    try:
        yield
    except Invalid as error:
        raise Wrong({path + error.field: visit.say(error.message)}) from None


def _filled_rows(of: Draft) -> list[int]:
    return [row for row in of.rows if of.text(f"members.{row}.address")]
