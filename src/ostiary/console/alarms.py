"""What cannot wait, in words, on every page: one look into memory, and a link to where it is mended."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ostiary.ops import alarms

if TYPE_CHECKING:
    from ostiary.console.visit import Visit
from ostiary.web import formats
from ostiary.web.words import _

_MOST: Final = 3
_WORDS: Final = 300  # characters of an engine's own words


@dataclass(frozen=True)
class Alarm:
    """A sentence, and where to go from it."""

    text: str
    place: str
    link: str


def of(visit: "Visit") -> tuple[Alarm, ...]:
    """The most pressing ones; none for who may not see how the gateways are."""
    if visit.session is None or not visit.can("gateway:read"):
        return ()
    return tuple(alarm for _number, alarm in zip(range(_MOST), _every(visit), strict=False))


def _every(visit: "Visit") -> Iterator[Alarm]:
    raised = alarms.raised(visit.system, visit.caller)
    for emergency in raised.emergencies:
        text = visit.say(
            _("%(who)s does without another person's approval until %(until)s: %(why)s"),
            who=emergency.begun_by,
            until=formats.moment(emergency.ends_at, visit.language, visit.zone),
            why=emergency.reason,
        )
        yield Alarm(text, f"/console/break-glass/{emergency.id}", visit.say(_("See what is done")))
    if raised.no_gateway:
        text = visit.say(_("No gateway is connected: what you change here is kept, and in force once one is."))
        yield Alarm(text, "/console/gateways", visit.say(_("See the gateways")))
    if raised.refusing:
        text = visit.say_many(
            "Revocation lists have ended: clients with certificates are refused at %(count)s listener.",
            "Revocation lists have ended: clients with certificates are refused at %(count)s listeners.",
            len(raised.refusing),
        )
        yield Alarm(text, "/console/authorities", visit.say(_("See the CA certificates")))
    if raised.allowing:
        text = visit.say_many(
            "Revocation lists have ended: at %(count)s listener certificates that were revoked since may still be let in.",
            "Revocation lists have ended: at %(count)s listeners certificates that were revoked since may still be let in.",
            len(raised.allowing),
        )
        yield Alarm(text, "/console/authorities", visit.say(_("See the CA certificates")))
    if raised.short_of_memory:
        text = visit.say_many(
            "%(count)s gateway has no memory to spare: it ends requests that hold much, and refuses others.",
            "%(count)s gateways have no memory to spare: they end requests that hold much, and refuse others.",
            len(raised.short_of_memory),
        )
        yield Alarm(text, "/console/gateways", visit.say(_("See the gateways")))
    for one in raised.refused:
        text = visit.say(_("The engine refuses listener %(name)s: %(why)s"), name=one.name, why=one.why[:_WORDS])
        place = "edit" if visit.can("listener:update") else ""
        yield Alarm(text, f"/console/listeners/{one.listener_id}/{place}".rstrip("/"), visit.say(_("See the listener")))
    for export in raised.unsent:
        since = "" if export.failing_since is None else formats.moment(export.failing_since, visit.language, visit.zone)
        text = visit.say(_("The access record has not reached %(target)s since %(since)s."), target=export.target, since=since)
        yield Alarm(text, "/console/gateways", visit.say(_("See the gateways")))
