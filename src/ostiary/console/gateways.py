"""Gateways: each Envoy, whether it has what it should have, and what it said against it."""

from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from ostiary.console.status import Shown
from ostiary.console.visit import Visit, live, page
from ostiary.ops import gateways
from ostiary.ops.gateways import GatewayState
from ostiary.ops.spoken_of import named
from ostiary.web.words import _

# In the order in which they are shown.
COUNTERS: Final = {
    "active_connections": _("Connections now"),
    "total_connections": _("Connections since it started"),
    "handshakes": _("TLS handshakes"),
    "failed_handshakes": _("Failed TLS handshakes"),
    "requests": _("Requests"),
    "admitted": _("Requests admitted"),
    "request_errors": _("Answers with an error"),
    "bytes_in": _("Bytes received"),
    "bytes_out": _("Bytes sent"),
}


@dataclass(frozen=True)
class Row:
    """A gateway, and how it does in a word."""

    gateway: GatewayState
    state: Shown


def find(visit: Visit) -> Response:
    """All gateways heard of since start."""
    return visit.page("gateways.html", **_shown(visit))


def find_live(visit: Visit) -> str:
    """What of it changes while somebody looks."""
    return visit.part("gateways_live.html", **_shown(visit))


def _shown(visit: Visit) -> dict[str, Any]:
    found = sorted(gateways.find(visit.system, visit.caller), key=lambda one: (not one.connected, one.id))
    rows = tuple(Row(one, _state(visit, one)) for one in found)
    stale = {listener_id for one in found for lists in one.stale for listener_id in lists.listener_ids}
    names = named(visit.system, visit.caller, [("listener", one) for one in stale]) if stale else {}
    return {
        "rows": rows,
        "listeners": {one: names.get(("listener", one)) or one for one in stale},
        "counters": {name: visit.say(text) for name, text in COUNTERS.items()},
    }


def _state(visit: Visit, one: GatewayState) -> Shown:
    if not one.connected:
        return Shown(visit.say(_("Not connected")), "bad")
    if one.last_error:
        return Shown(visit.say(_("Refuses a part")), "bad")
    if one.applied_revision is None:
        return Shown(visit.say(_("Being applied …")), "busy")
    return Shown(visit.say(_("Up to date")), "good")


ROUTES: Final = (
    page("/console/gateways", find, may="gateway:read", current="gateways"),
    live("/console/gateways/live", find_live, may="gateway:read"),
)
