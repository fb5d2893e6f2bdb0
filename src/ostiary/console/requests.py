"""Certificate requests that wait for somebody else to agree: who asks for what, what it would become, and the decision."""

from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from ostiary.console import certificates, decisions, lists
from ostiary.console.profiles import NAMES
from ostiary.console.status import Shown, Tone
from ostiary.console.visit import Visit, action, page
from ostiary.errors import Conflict, Denied, Invalid
from ostiary.model.request import CertificateRequest
from ostiary.ops import naming, requests
from ostiary.ops.issuing import Outlook
from ostiary.web.words import _

STATES: Final[dict[str, tuple[str, Tone]]] = {
    "PENDING": (_("Waits"), "busy"),
    "ISSUED": (_("Issued"), "good"),
    "REFUSED": (_("Refused"), "off"),
}


@dataclass(frozen=True)
class Looked:
    """What a request would become now; or why it would be refused."""

    outlook: Outlook | None
    names: tuple[tuple[str, str], ...] = ()
    refused: str = ""


def home(visit: Visit) -> Response:
    """Those that wait, or how the others ended."""
    chosen = visit.query.get("status", "PENDING")
    chosen = chosen if chosen in STATES else ""
    found = lists.listed(
        visit,
        lambda query: requests.find(visit.system, visit.caller, query),
        filters=(("status", chosen),) if chosen else (),
        sort=(("created_at", chosen != "PENDING"),),
    )
    names = naming.authorities(visit.system, visit.caller, sorted({one.authority_id for one in found.items}))
    return visit.page(
        "requests.html",
        found=found,
        rows=[_row(visit, one, names) for one in found.items],
        chosen=chosen,
        states={name: visit.say(word) for name, (word, _tone) in STATES.items()},
        **certificates.section(visit),
    )


def details(visit: Visit) -> Response:
    """One of them, with all that whoever decides wants to know."""
    return _details(visit)


def approve(visit: Visit) -> Response:
    """Agree. The last approval that is needed issues the certificate."""
    try:
        reason = decisions.reason(visit)
        after = requests.approve(visit.system, visit.caller, visit.path["request_id"], reason)
    except (Invalid, Conflict, Denied) as error:
        return _details(visit, error)
    if after.certificate_id is not None:
        return visit.see(
            f"/console/certificates/{after.certificate_id}", visit.say(_("You agreed, and the certificate was issued."))
        )
    return visit.see(_place(visit), visit.say(_("You agreed. Somebody else has to agree as well.")))


def refuse(visit: Visit) -> Response:
    """Refuse it, or take it back."""
    try:
        requests.refuse(visit.system, visit.caller, visit.path["request_id"], decisions.reason(visit))
    except (Invalid, Conflict, Denied) as error:
        return _details(visit, error, "refuse")
    return visit.see(_place(visit), visit.say(_("The request was refused.")))


def _details(visit: Visit, error: Invalid | Conflict | Denied | None = None, about: str = "approve") -> Response:
    asked = requests.get(visit.system, visit.caller, visit.path["request_id"])
    me = visit.caller.name
    issuers = naming.authorities(visit.system, visit.caller, [asked.authority_id])
    return visit.page(
        "request.html",
        decisions.status(error),
        asked=asked,
        title=_title(asked),
        names=_names(visit, asked.asked_for),
        state=_state(visit, asked),
        authority=issuers[asked.authority_id] or asked.authority_id,
        looked=_looked(visit, asked) if asked.status == "PENDING" else None,
        error=decisions.words(visit, error),
        about=about,
        reason=visit.form.text("reason"),
        is_mine=me == asked.requested_by,
        has_agreed=any(decision.by == me for decision in asked.decisions),
        back=_place(visit),
        **certificates.section(visit),
    )


def _looked(visit: Visit, asked: CertificateRequest) -> Looked:
    try:
        outlook = requests.outlook(visit.system, visit.caller, asked)
    except (Invalid, Conflict) as refused:
        return Looked(None, refused=visit.say(refused.message))
    return Looked(outlook, _names(visit, outlook.names))


def _row(visit: Visit, one: CertificateRequest, names: dict[str, str | None]) -> dict[str, Any]:
    return {
        "asked": one,
        "title": _title(one),
        "state": _state(visit, one),
        "authority": names[one.authority_id] or one.authority_id,
    }


def _state(visit: Visit, one: CertificateRequest) -> Shown:
    word, tone = STATES[one.status]
    return Shown(visit.say(word), tone)


def _names(visit: Visit, told: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Names with their kinds, as people call those; told as `dns:alice.example`."""
    parts = [name.partition(":") for name in told]
    return tuple((visit.say(NAMES.get(kind, kind)), name) for kind, _colon, name in parts)


def _title(one: CertificateRequest) -> str:
    first = next(iter(one.asked_for), "")
    return one.name or first.partition(":")[2] or one.id


def _place(visit: Visit) -> str:
    return f"/console/requests/{visit.path['request_id']}"


_ONE: Final = "/console/requests/{request_id}"

ROUTES: Final = (
    page("/console/requests", home, may="certificate:read", current="certificates"),
    page(_ONE, details, may="certificate:read", current="certificates"),
    action(f"{_ONE}/approve", approve, may="certificate:approve", current="certificates"),
    action(f"{_ONE}/refuse", refuse, may="certificate:approve", current="certificates"),
)
