"""What forms of pools, members and health checks have in common, also where a load balancer is made with all that hangs on it."""

from dataclasses import replace
from typing import Any, Final

from ostiary.console import forms
from ostiary.console.forms import Choices, Filled
from ostiary.console.visit import Form, Visit
from ostiary.model.health import HealthMonitor
from ostiary.model.pool import Pool, SessionPersistence
from ostiary.web.words import _

STICKY: Final = "session_persistence."
# What is chosen for a new health check: members are found to be gone within half a minute, and asked every ten seconds.
FIRST_CHECK: Final = {"type": "TCP", "delay": 10, "timeout": 5, "max_retries": 2, "max_retries_down": 3}
OF_REQUESTS: Final = ("http_method", "url_path", "expected_codes", "domain_name")  # what a TCP check does not have


def sticky(visit: Visit, pool: Pool | None = None, *, cookies: bool = True, path: str = "") -> Filled:
    """Sticky session as two plain fields; without `cookies`, of what sees no requests."""
    held = pool.session_persistence if pool is not None else None
    kinds = ("SOURCE_IP", "HTTP_COOKIE", "APP_COOKIE") if cookies else ("SOURCE_IP",)
    its: Choices = [("", visit.say(_("None"))), *((one, visit.say(forms.CHOICES[one])) for one in kinds)]
    names = ("type", "cookie_name") if cookies else ("type",)
    made = forms.made(visit, SessionPersistence, names, dict(held) if held else {}, type=its)
    may_be_none = replace(made["type"], is_needed=False)
    return forms.under(Filled({**made.controls, "type": may_be_none}), path + STICKY)


def stickiness(visit: Visit, filled: Filled, form: Form, *, path: str = "") -> dict[str, Any]:
    """What was chosen, as the pool's own field. A cookie's name counts only where there is a cookie. Raises `Wrong`."""
    kind = form.text(f"{path}{STICKY}type")
    if not kind:
        return {"session_persistence": None}
    names = [f"{path}{STICKY}type", *([] if kind == "SOURCE_IP" else [f"{path}{STICKY}cookie_name"])]
    its = forms.only(filled, (name for name in names if name in filled))
    values = forms.decoded(visit, SessionPersistence, its, form, path=path + STICKY)
    return {"session_persistence": SessionPersistence(**forms.given(values))}


def check_types(visit: Visit, *, none: bool) -> Choices:
    """How members can be asked for their health; `none` is one of the choices where a pool need not have a check."""
    its = [(one, one) for one in ("TCP", "HTTP", "HTTPS")]
    return [("", visit.say(_("None"))), *its] if none else its


def check(visit: Visit, filled: Filled, form: Form, *, path: str = "") -> dict[str, Any]:
    """The settings of a health check; what its kind does not have is left out, for it was not shown. Raises `Wrong`."""
    left_out = OF_REQUESTS if form.text(f"{path}type") == "TCP" else ()
    its = forms.only(filled, (one.name for one in filled.part(path) if one.name.removeprefix(path) not in left_out))
    return forms.decoded(visit, HealthMonitor, its, form, path=path)
