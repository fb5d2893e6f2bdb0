"""Pictures for who would rather look: what was admitted and refused, what ends when, how much comes in; and a few numbers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from markupsafe import Markup
from starlette.responses import Response

from ostiary.console import warnings
from ostiary.console.approvals import title
from ostiary.console.visit import Visit, page, url
from ostiary.console.which import which
from ostiary.model.traffic import Bucket, Traffic
from ostiary.ops import alarms, approvals, break_glass, glance, inventory, traffic
from ostiary.web import charts
from ostiary.web.axes import Reader
from ostiary.web.charts import About, Series, Table, Timeline
from ostiary.web.words import _


@dataclass(frozen=True)
class Span:
    """How far back to look, and in how many steps at most: so many that each is a round time."""

    title: str
    length: timedelta
    points: int


@dataclass(frozen=True)
class Picture:
    """A picture and the same numbers in a table."""

    caption: str
    picture: Markup
    table: Table


SPANS: Final = {
    "1h": Span(_("1 hour"), timedelta(hours=1), 61),
    "24h": Span(_("24 hours"), timedelta(hours=24), 49),
    "7d": Span(_("7 days"), timedelta(days=7), 57),
    "30d": Span(_("30 days"), timedelta(days=30), 61),
}
_USUAL: Final = "24h"
_WEEKS: Final = 26
# Why somebody is refused, in so few words that they fit beside a picture.
REASONS: Final = {
    "no_certificate": _("No certificate shown"),
    "certificate_required": _("Certificate required"),
    "unknown_authority": _("Unknown CA"),
    "authority_removed": _("CA no longer trusted"),
    "expired": _("Expired"),
    "not_yet_valid": _("Not valid yet"),
    "revoked": _("Revoked or on hold"),
    "wrong_purpose": _("Not made for clients"),
    "bad_signature": _("Bad signature"),
    "weak_key": _("Weak key"),
    "chain_too_long": _("Chain too long"),
    "name_constraint": _("Name its CA may not sign"),
    "status_unknown": _("No current revocation list"),
    "malformed": _("Malformed"),
    "no_rule_allows": _("No rule allows it"),
    "denied_by_rule": _("Denied by a rule"),
    "misdirected": _("Asked for another host"),
    "source_not_allowed": _("Network not allowed"),
}


def show(visit: Visit) -> Response:
    """All of it on one page, of one listener or all, for a time."""
    name = visit.query.get("span", _USUAL)
    name = name if name in SPANS else _USUAL
    chosen = which(visit)
    found = _traffic(visit, SPANS[name], chosen.id)
    day = found if name == _USUAL and not chosen.id else _traffic(visit, SPANS[_USUAL], "")
    reader = Reader(visit.language, visit.zone)
    return visit.page(
        "overview.html",
        glance=glance.glance(visit.system, visit.caller),
        refused=sum(day.refused.values()),
        raised=alarms.raised(visit.system, visit.caller),
        warned=warnings.tile(visit),
        waiting=[(one, title(visit, one)) for one in approvals.waiting(visit.system, visit.caller)],
        emergencies=break_glass.unreviewed(visit.system, visit.caller),
        which=chosen,
        span=name,
        spans=[(one, visit.say(SPANS[one].title), _link(chosen.id, one)) for one in SPANS],
        pictures=(_requests(visit, found, reader), _handshakes(visit, found, reader), _endings(visit, reader)),
    )


def _traffic(visit: Visit, span: Span, listener_id: str) -> Traffic:
    return traffic.series(
        visit.system,
        visit.caller,
        since=visit.at - span.length,
        until=visit.at,
        listener_id=listener_id or None,
        points=span.points,
    )


def _link(listener_id: str, span: str) -> str:
    return url("/console/overview", listener_id=listener_id, span=span)


def _requests(visit: Visit, found: Traffic, reader: Reader) -> Picture:
    """Admitted at the bottom, and on top of it what was refused, the most frequent reason first."""
    begins = found.buckets
    series = charts.few(
        (
            Series(visit.say(_("Admitted")), [one.admitted for one in begins]),
            *(Series(_reason(visit, code), [one.refused.get(code, 0) for one in begins]) for code in found.refused),
        ),
        visit.say(_("Other reasons")),
    )
    about = About(
        "requests",
        visit.say(_("Requests admitted and refused")),
        visit.say(_("For each step of time, how many requests were admitted and how many were refused, by reason.")),
        visit.say(_("No request in this time")),
    )
    timeline = _timeline(found)
    return _picture(visit, about, charts.stacked_bars(about, timeline, series, reader), timeline, series, reader)


def _handshakes(visit: Visit, found: Traffic, reader: Reader) -> Picture:
    series = (
        Series(visit.say(_("Handshakes")), [_each_second(one, one.handshakes) for one in found.buckets]),
        Series(visit.say(_("Failed handshakes")), [_each_second(one, one.failed_handshakes) for one in found.buckets]),
    )
    about = About(
        "handshakes",
        visit.say(_("TLS handshakes per second")),
        visit.say(_("For each step of time, how many TLS handshakes there were in a second, and how many failed.")),
        visit.say(_("No handshake in this time")),
    )
    timeline = _timeline(found)
    return _picture(visit, about, charts.lines(about, timeline, series, reader), timeline, series, reader)


def _endings(visit: Visit, reader: Reader) -> Picture:
    found = inventory.expiries(visit.system, visit.caller, _WEEKS)
    series = (
        Series(visit.say(_("Client certificates")), [one.clients for one in found]),
        Series(visit.say(_("Server certificates")), [one.servers for one in found]),
        Series(visit.say(_("CA certificates")), [one.authorities for one in found]),
    )
    about = About(
        "endings",
        visit.say(_("Certificates by expiry, week by week")),
        visit.say(_("For each of the next 26 weeks, how many certificates that are in force expire in it.")),
        visit.say(_("Nothing expires in the next 26 weeks")),
    )
    timeline = Timeline([one.week for one in found], timedelta(weeks=1))
    return _picture(visit, about, charts.stacked_bars(about, timeline, series, reader), timeline, series, reader)


def _picture(
    visit: Visit, about: About, picture: Markup, timeline: Timeline, series: Iterable[Series], reader: Reader
) -> Picture:
    shown = charts.table(visit.say(_("From")), timeline, tuple(series), reader, whole=False)
    return Picture(about.title, picture, shown)


def _timeline(found: Traffic) -> Timeline:
    return Timeline([one.at for one in found.buckets], found.step)


def _each_second(one: Bucket, count: int) -> float | None:
    return round(count / one.seconds, 3) if one.seconds >= 1 else None


def _reason(visit: Visit, code: str) -> str:
    known = REASONS.get(code)
    return code if known is None else visit.say(known)


ROUTES: Final = (page("/console/overview", show, may="traffic:read", current="overview"),)
