"""Ask for an evidence pack: for which standards, and about which time."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

from starlette.responses import Response, StreamingResponse

from ostiary.console.visit import HEADERS, Visit, action, page
from ostiary.errors import Invalid, TooMany
from ostiary.ops import reports
from ostiary.ops.evidence.controls import FRAMEWORKS
from ostiary.web.words import _

PLACE: Final = "/console/audit/report"
_USUAL: Final = ("pci-4.0.1",)


def ask(visit: Visit) -> Response:
    """The form: the last whole quarter, unless somebody says otherwise."""
    since, until = _last_quarter(visit.at)
    return _form(visit, {"from": since.isoformat(), "to": until.isoformat()}, _USUAL)


def make(visit: Visit) -> Response:
    """Send it while it is made. It is on record, and nothing is changed."""
    typed = {name: visit.form.text(name)[:64] for name in ("from", "to")}
    chosen = visit.form.all("framework")
    try:
        wanted = reports.asked(chosen, typed["from"], typed["to"], record=visit.form.ticked("record"))
        pieces = reports.make(visit.system, visit.caller, wanted)
    except Invalid as refused:
        return _form(visit, typed, chosen, {refused.field: visit.say(refused.message)})
    except TooMany as refused:
        return _form(visit, typed, chosen, {"": visit.say(str(refused))})
    name = f"{reports.name_of(wanted)}.zip"
    headers = {**HEADERS, "content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(pieces, media_type="application/zip", headers=headers)


def _form(visit: Visit, typed: dict[str, str], chosen: tuple[str, ...], errors: dict[str, str] | None = None) -> Response:
    return visit.page(
        "report.html",
        422 if errors else 200,
        typed=typed,
        chosen=chosen,
        frameworks=[(one.name, one.title) for one in FRAMEWORKS.values()],
        with_record=visit.form.ticked("record") if errors else True,
        errors=errors or {},
        labels={"from": visit.say(_("From")), "to": visit.say(_("Until")), "framework": visit.say(_("For which standards"))},
    )


def _last_quarter(at: datetime) -> tuple[date, date]:
    """The first and the last day of the quarter that was over last, in UTC."""
    today = at.astimezone(UTC).date()
    begun = date(today.year, 3 * ((today.month - 1) // 3) + 1, 1)
    last = begun - timedelta(days=1)
    return date(last.year, last.month - 2, 1), last


ROUTES: Final = (
    page(PLACE, ask, may="audit:report", current="audit"),
    action(PLACE, make, may="audit:report", current="audit"),
)
