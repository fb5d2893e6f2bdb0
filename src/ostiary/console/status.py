"""How far a change has come and how a thing is, in words and a colour; derived from what the gateways acknowledged."""

from dataclasses import dataclass
from typing import Final, Literal

from ostiary.console.visit import Visit
from ostiary.model.resource import Configured
from ostiary.ops.status import operating, provisioning
from ostiary.web.words import _

Tone = Literal["good", "busy", "bad", "off"]

_PROVISIONING: Final[dict[str, tuple[str, Tone]]] = {
    "ACTIVE": (_("Applied"), "good"),
    "PENDING_CREATE": (_("Creating …"), "busy"),
    "PENDING_UPDATE": (_("Being applied …"), "busy"),
    "ERROR": (_("Refused by the engine"), "bad"),
}
_OPERATING: Final[dict[str, tuple[str, Tone]]] = {
    "ONLINE": (_("Online"), "good"),
    "NO_MONITOR": (_("Not monitored"), "off"),
    "DRAINING": (_("Draining"), "busy"),
    "DEGRADED": (_("Degraded"), "bad"),
    "ERROR": (_("Down"), "bad"),
    "OFFLINE": (_("Out of service"), "off"),
}


@dataclass(frozen=True)
class Shown:
    """A word, its colour, and what the engine said against it, if anything."""

    word: str
    tone: Tone
    detail: str = ""


def applied(visit: Visit, thing: Configured) -> Shown:
    """Whether it is in force at every gateway that is connected."""
    state = provisioning(visit.system, thing)
    word, tone = _PROVISIONING.get(state.status, (state.status, "busy"))
    if not visit.system.fleet.live():
        return Shown(visit.say(_("Waiting for a gateway")), "busy")
    return Shown(visit.say(word), tone, state.error or "")


def health(visit: Visit, thing: Configured) -> Shown:
    """How it does."""
    state = operating(visit.system, thing)
    word, tone = _OPERATING.get(state, (state, "off"))
    return Shown(visit.say(word), tone)
